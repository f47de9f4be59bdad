"""Merging of results folders."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finewave.errors import InputError
from finewave.io.atomic import atomic_output
from finewave.studies.results import all_results, cells_folder, read_result
from finewave.studies.runner import trainings_folder

MODEL = "model"


def merge(folders: Sequence[Path], out: Path) -> int:
    """Copy cells and trained models into one folder.

    Parameters
    ----------
    folders : sequence of Path
        Results folders.
    out : Path
        Created if missing; existing files are kept.

    Returns
    -------
    int
        Number of cells in ``out``.

    Raises
    ------
    InputError
        If a folder has no cells, a cell is damaged, or two folders have different numbers for one cell; nothing is
        copied then.
    """
    results: dict[str, tuple[Path, dict[str, Any]]] = {}
    for folder in (*folders, *([out] if all_results(out) else [])):
        paths = all_results(folder)
        if not paths:
            raise InputError(f"{folder} holds no result cells ({cells_folder(folder)} is empty or missing)")
        for path in paths:
            result = read_result(path)
            first, before = results.setdefault(path.name, (path, result))
            if any(before[key] != result[key] for key in ("images", "scenes_sha256")):
                raise InputError(
                    f"{first} and {path} are the same cell with different numbers (commits {before['commit']} and "
                    f"{result['commit']}); remove one of them"
                )
    cells_folder(out).mkdir(parents=True, exist_ok=True)
    for name, (path, _) in results.items():
        target = cells_folder(out) / name
        if not target.exists():
            with atomic_output(target) as temporary:
                shutil.copyfile(path, temporary)
    for folder in folders:
        _copy_models(folder, out)
    return len(all_results(out))


def _copy_models(folder: Path, out: Path) -> None:
    """Copy finished trainings, needed for figures; unfinished ones are not copied."""
    for model in sorted(trainings_folder(folder).glob(f"*/{MODEL}")):
        target = trainings_folder(out) / model.parent.name
        if not target.exists():
            trainings_folder(out).mkdir(parents=True, exist_ok=True)
            with atomic_output(target) as temporary:
                shutil.copytree(model.parent, temporary)
