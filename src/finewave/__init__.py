"""finewave: from a low-resolution multispectral image to a high-resolution hyperspectral one.

Public names are imported on first use, so that ``import finewave`` stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

_HOME_OF = {
    "InputError": "finewave.errors",
    "FinewaveWarning": "finewave.warnings",
    "Model": "finewave.zoo.model",
    "create_model": "finewave.systems.registry",
    "list_models": "finewave.zoo.distribution.listing",
    "load_model": "finewave.zoo.loading",
    "export": "finewave.zoo.exports.export",
    "from_reference": "finewave.systems.reference",
    "info": "finewave.inference.file_info",
    "open_scene": "finewave.io.open_save",
    "save_scene": "finewave.io.open_save",
    "get_sensor": "finewave.physics.sensors",
    "degrade": "finewave.physics.degradation",
    "super_resolve": "finewave.inference.super_resolve",
    "to_rgb": "finewave.physics.rendering.colour",
    "metrics": "finewave.metrics",
    "plot": "finewave.viz.plot",
}

_MODULES = frozenset({"metrics", "plot"})

__all__ = [
    "FinewaveWarning",
    "InputError",
    "Model",
    "create_model",
    "degrade",
    "export",
    "from_reference",
    "get_sensor",
    "info",
    "list_models",
    "load_model",
    "metrics",
    "open_scene",
    "plot",
    "save_scene",
    "super_resolve",
    "to_rgb",
]

if TYPE_CHECKING:
    from finewave import metrics as metrics
    from finewave.errors import InputError as InputError
    from finewave.inference.file_info import info as info
    from finewave.inference.super_resolve import super_resolve as super_resolve
    from finewave.io.open_save import open_scene as open_scene
    from finewave.io.open_save import save_scene as save_scene
    from finewave.physics.degradation import degrade as degrade
    from finewave.physics.rendering.colour import to_rgb as to_rgb
    from finewave.physics.sensors import get_sensor as get_sensor
    from finewave.systems.reference import from_reference as from_reference
    from finewave.systems.registry import create_model as create_model
    from finewave.viz import plot as plot
    from finewave.warnings import FinewaveWarning as FinewaveWarning
    from finewave.zoo.distribution.listing import list_models as list_models
    from finewave.zoo.exports.export import export as export
    from finewave.zoo.loading import load_model as load_model
    from finewave.zoo.model import Model as Model


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first access (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'finewave' has no attribute {name!r}")
    home = importlib.import_module(_HOME_OF[name])
    value = home if name in _MODULES else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, for completion."""
    return sorted([*__all__, "__version__"])
