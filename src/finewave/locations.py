"""Locations of the checkout, external data and reference cases."""

from __future__ import annotations

import os
from pathlib import Path


def checkout() -> Path | None:
    """Folder of the repository from which finewave is imported; None for an installation."""
    root = Path(__file__).parents[2]
    return root if (root / "pyproject.toml").is_file() else None


def data_folder() -> Path:
    """Folder of external data: ``FINEWAVE_DATA``, by default ``../shared/data``."""
    return Path(os.environ.get("FINEWAVE_DATA", "../shared/data"))


def parity_folder() -> Path:
    """Folder of the reference cases: ``FINEWAVE_PARITY``, by default ``../shared/parity``."""
    return Path(os.environ.get("FINEWAVE_PARITY", "../shared/parity"))


def cache_folder() -> Path | None:
    """Folder of what can be made or fetched again, ``~/.cache/finewave``; None for a user without a home folder.

    Containers run as users that are not in the system's list, with no ``HOME``.
    """
    try:
        return Path.home() / ".cache" / "finewave"
    except RuntimeError:
        return None
