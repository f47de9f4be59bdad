"""Result cells of studies as JSON files, named by all settings that affect their numbers.

A cell of another protocol, split, recipe or budget has another name, so it cannot get into a table by accident. A file
whose content does not match its name raises an error.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from finewave.errors import InputError
from finewave.io.atomic import atomic_output
from finewave.metrics import METRICS
from finewave.studies.experiment import Cell, key_of

FORMAT = 1
NEEDED = ("facts", "images", "mean", "scenes_sha256", "commit", "finewave", "hardware", "seconds")


def cells_folder(out: Path) -> Path:
    """Return the folder of the cells in a results folder."""
    return out / "cells"


def write_result(out: Path, result: dict[str, Any]) -> Path:
    """Write a cell atomically."""
    folder = cells_folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{key_of(result['facts'])}.json"
    with atomic_output(path) as temporary:
        temporary.write_text(json.dumps({"format": FORMAT, **_plain(result)}, indent=1) + "\n", encoding="utf-8")
    return path


def find_result(out: Path, cell: Cell) -> dict[str, Any] | None:
    """Return the result of a cell, None if missing."""
    path = cells_folder(out) / f"{cell.key}.json"
    return read_result(path) if path.exists() else None


def read_result(path: Path) -> dict[str, Any]:
    """Read a cell.

    Raises
    ------
    InputError
        If it is damaged, of another version, or does not match its name.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"result cell {path} cannot be read ({error}); remove it to have it made again") from error
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        raise InputError(f"result cell {path} is of another version; remove it to have it made again")
    missing = [key for key in NEEDED if key not in result]
    if missing:
        raise InputError(f"result cell {path} lacks {', '.join(missing)}; remove it to have it made again")
    try:
        stored_key = key_of(result["facts"])
    except (KeyError, TypeError) as error:
        raise InputError(f"result cell {path} does not say what it is of ({error}); remove it") from error
    if stored_key != path.stem:
        raise InputError(
            f"result cell {path} is not what its name says: its protocol, recipe or split make it {stored_key}; "
            "remove it or give it its own name"
        )
    if not result["images"] or any(set(values) != set(METRICS) for values in result["images"].values()):
        raise InputError(f"result cell {path} has not all metrics of all images; remove it to have it made again")
    for values in (result["mean"], *result["images"].values()):
        for name, value in values.items():
            values[name] = _number(value)
    return result


def all_results(out: Path) -> list[Path]:
    """Return the files of all cells in a results folder."""
    return sorted(cells_folder(out).glob("*.json"))


def _plain(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result with metrics encoded for JSON, which has no infinity."""

    def text(values: dict[str, float]) -> dict[str, Any]:
        return {name: value if math.isfinite(value) else str(value) for name, value in values.items()}

    images = {name: text(values) for name, values in result["images"].items()}
    return {**result, "images": images, "mean": text(result["mean"])}


def _number(value: Any) -> float:
    return float(value)
