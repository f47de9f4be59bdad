"""Where trained weights stand, found without loading PyTorch.

A folder ``<name>/`` with `WEIGHTS` and `CARD` is one set of trained weights. They ship inside the wheel as
``finewave/_weights``; in a checkout they stand in ``weights/`` at the root.
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path

WEIGHTS = "model.safetensors"
CARD = "card.json"


def weight_folders() -> dict[str, Path]:
    """Return the folder of every set of weights that ships with the package, by name."""
    folders: dict[str, Path] = {}
    for root in _roots():
        if root.is_dir():
            for folder in sorted(root.iterdir()):
                if (folder / CARD).is_file() and (folder / WEIGHTS).is_file():
                    folders.setdefault(folder.name, folder)
    return folders


def _roots() -> list[Path]:
    # Traversable has no common base with Path; an installed wheel is unpacked, so it is one in practice
    package = Path(str(importlib.resources.files("finewave")))
    checkout = package.parents[1]
    roots = [package / "_weights"]
    if (checkout / "pyproject.toml").is_file():
        roots.append(checkout / "weights")
    return roots
