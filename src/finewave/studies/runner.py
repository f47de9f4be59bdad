"""Computation of the missing cells of a study: training, scoring, writing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

import finewave
from finewave.errors import InputError
from finewave.io.sole_writer import sole_writer
from finewave.studies.experiment import Cell
from finewave.studies.results import find_result, write_result

Say = Callable[[str], None]


def trainings_folder(out: Path) -> Path:
    """Return the folder of the trainings in a results folder."""
    return out / "trainings"


def missing_groups(cells: Iterable[Cell], out: Path) -> list[list[Cell]]:
    """Return the missing cells, grouped by training, in the order of the table."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        group = groups.setdefault(cell.training, [])
        if find_result(out, cell) is None and cell.key not in {other.key for other in group}:
            group.append(cell)
    return [group for group in groups.values() if group]


def run_groups(groups: list[list[Cell]], out: Path, say: Say) -> dict[str, str]:
    """Compute cells, one training after the other.

    Returns
    -------
    dict
        Why a training or its scores were not possible, by the training's name; the others are made all the same.
    """
    from finewave.studies.cost import duration

    failures = {}
    begun = time.monotonic()
    for number, group in enumerate(groups, start=1):
        pace = (time.monotonic() - begun) / (number - 1) if number > 1 else None
        left = "" if pace is None else f" ({duration(pace * (len(groups) - number + 1))} left at this pace)"
        say(f"{number} of {len(groups)}: {', '.join(map(str, group))}{left}")
        try:
            run_group(group, out, say)
        except InputError as error:
            failures[group[0].training] = str(error)
            say(f"not possible: {error}")
    return failures


def run_group(group: list[Cell], out: Path, say: Say = lambda line: None) -> None:
    """Run the training shared by a group of cells, unless it is done, and score each cell.

    Raises
    ------
    InputError
        If the recipe cannot be run, data are missing, or another process is computing them.
    """
    folder = trainings_folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    with sole_writer(_recipe_of(folder / group[0].training)):  # the training locks its own folder
        _run(group, out, say)


def _run(group: list[Cell], out: Path, say: Say) -> None:
    from finewave.provenance import describe_machine
    from finewave.studies.scoring import baseline, score

    pending = [cell for cell in group if find_result(out, cell) is None]
    if not pending:
        return
    if group[0].recipe is None:
        begun = time.perf_counter()
        model = baseline(group[0])
        seconds = time.perf_counter() - begun
    else:
        model, seconds = _trained(group[0], out)
    machine, commit = describe_machine(), model.card.commit if model.card is not None else None
    for cell in pending:
        begun = time.perf_counter()
        scores = score(model, cell, say)
        write_result(
            out,
            {
                "facts": cell.facts,
                "row": {"label": cell.row.label, "overrides": list(cell.row.overrides)},
                "recipe_name": cell.recipe_name,
                "seed": None if cell.recipe is None else cell.recipe["seed"],
                **scores,
                "parameters": sum(p.numel() for p in model.net.parameters()),
                "weights_sha256": model.card.sha256 if model.card is not None and model.card.sha256 else None,
                "finewave": finewave.__version__,
                "commit": {"training": _short(commit), "scoring": _short(machine["commit"])},
                "hardware": {key: machine[key] for key in ("processor", "cores", "threads", "gpu", "torch")},
                "seconds": {"training": round(seconds, 1), "scoring": round(time.perf_counter() - begun, 1)},
                "date": machine["date"],
            },
        )


def _recipe_of(run: Path) -> Path:
    return run.with_name(f"{run.name}.yaml")


def _trained(cell: Cell, out: Path) -> tuple[Any, float]:
    """Return the trained model of a cell, and how long its training took in seconds."""
    from finewave.training.trainer import train
    from finewave.zoo.model import load_model

    assert cell.recipe is not None
    run = trainings_folder(out) / cell.training
    recipe = _recipe_of(run)
    recipe.write_text(yaml.safe_dump({**cell.recipe, "out": str(run)}, sort_keys=False), encoding="utf-8")
    model = load_model(train(recipe))
    recipe.unlink()  # the run folder has its own
    _forget_checkpoints(run)
    hours = model.card.hours if model.card is not None else None
    return model, 3600 * (hours or 0.0)


def _short(commit: str | None) -> str | None:
    """Return a revision in the short form of `describe_machine`, and whether the checkout had changes."""
    if commit is None:
        return None
    revision, plus, changes = commit.partition("+")
    return f"{revision[:7]}{plus}{changes}"


def _forget_checkpoints(run: Path) -> None:
    """Remove the training state, which is many times as large as the weights."""
    for file in (*run.glob("phase*/last.ckpt"), *run.glob("phase*/best.safetensors")):
        file.unlink()
