"""finewave: from a low-resolution multispectral image to a high-resolution hyperspectral one.

The public names are imported when first used, so that ``import finewave`` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME_OF = {
    "InputError": "finewave.errors",
    "FinewaveWarning": "finewave.warnings",
    "create_model": "finewave.models.registry",
    "list_models": "finewave.models.registry",
    "load_model": "finewave.models.pretrained",
    "export": "finewave.models.export",
    "from_reference": "finewave.models.reference",
    "open_scene": "finewave.imaging.files",
    "save_scene": "finewave.imaging.files",
    "get_sensor": "finewave.imaging.sensors",
    "degrade": "finewave.imaging.degradation",
    "super_resolve": "finewave.inference.scenes",
    "metrics": "finewave.metrics",
}

__all__ = [
    "FinewaveWarning",
    "InputError",
    "create_model",
    "degrade",
    "export",
    "from_reference",
    "get_sensor",
    "list_models",
    "load_model",
    "metrics",
    "open_scene",
    "save_scene",
    "super_resolve",
]

if TYPE_CHECKING:
    from finewave import metrics as metrics
    from finewave.errors import InputError as InputError
    from finewave.imaging.degradation import degrade as degrade
    from finewave.imaging.files import open_scene as open_scene
    from finewave.imaging.files import save_scene as save_scene
    from finewave.imaging.sensors import get_sensor as get_sensor
    from finewave.inference.scenes import super_resolve as super_resolve
    from finewave.models.export import export as export
    from finewave.models.pretrained import load_model as load_model
    from finewave.models.reference import from_reference as from_reference
    from finewave.models.registry import create_model as create_model
    from finewave.models.registry import list_models as list_models
    from finewave.warnings import FinewaveWarning as FinewaveWarning


def __getattr__(name: str) -> Any:
    """Import a public name from its home when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'finewave' has no attribute {name!r}")
    home = importlib.import_module(_HOME_OF[name])
    value = home if _HOME_OF[name] == f"{__name__}.{name}" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, for completion."""
    return sorted([*__all__, "__version__"])
