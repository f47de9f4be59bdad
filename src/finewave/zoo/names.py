"""Models by the names that users give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EXPORTED = ".onnx"
"""Extension of an exported model that finewave runs, see `finewave.zoo.exports.onnx_model`."""


ANY_SENSOR = "any-sensor"
"""All weights for any sensor together, of which the scene's bands and pixels choose one."""


def member_names(which: Any) -> list[str]:
    """Return the parts of a name like ``"mstpp-cave+awan-cave"``; empty for a single name or path."""
    if not isinstance(which, str) or "+" not in which or Path(which).exists():
        return []
    parts = which.split("+")
    return parts if all(parts) else []


def is_exported(which: Any) -> bool:
    """Return whether a model is given by the name of an exported file."""
    return isinstance(which, str | Path) and str(which).lower().endswith(EXPORTED)
