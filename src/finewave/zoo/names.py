"""Names of models, as users give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def member_names(which: Any) -> list[str]:
    """Return the parts of a name like ``"mstpp-cave+awan-cave"``; empty for a single name or path."""
    if not isinstance(which, str) or "+" not in which or Path(which).exists():
        return []
    parts = which.split("+")
    return parts if all(parts) else []
