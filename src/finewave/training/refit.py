"""Rows of folds by the name of a recipe: what it fits in one go is fitted again for each fold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finewave.errors import InputError
from finewave.evaluation.baselines import FLOORS, Floor
from finewave.evaluation.folds import Refit, rows_named
from finewave.systems.registry import SYSTEMS
from finewave.training.configuration.recipes import PROTOCOL_OPTIONS, list_recipes, load_recipe, network_options


@dataclass(frozen=True)
class FoldRows:
    """Arguments of `finewave.evaluation.folds.evaluate_folds`.

    Attributes
    ----------
    rows, floors, refits
        As there.
    protocol : dict
        ``scale``, ``sensor`` and ``degradation``, of a recipe.
    """

    rows: dict[str, Floor]
    floors: list[str]
    refits: dict[str, Refit] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)


def fold_rows(name: str, dataset: str, *, baseline: bool, **options: Any) -> FoldRows:
    """Return what is scored over folds for a name.

    Parameters
    ----------
    name : str
        As for `rows_named`, or a recipe without phases, by name or file.
    dataset : str
        That of the recipe.
    baseline : bool
        Add the baselines of its task.
    **options
        ``scale``, ``sensor`` and ``degradation``, where there is no recipe.

    Raises
    ------
    InputError
        It is none of these, or the recipe is of another data set, or options are given beside it.
    """
    recipe = load_recipe(name) if name in list_recipes() or Path(name).suffix in (".yaml", ".yml") else None
    if recipe is None or any(key.startswith("phase") for key in recipe):
        rows, floors = rows_named(name, baseline=baseline)
        return FoldRows(rows, floors, protocol=options)
    data = recipe["data"]
    if data["dataset"] != dataset:
        raise InputError(f"the recipe {name} is of {data['dataset']}, not of {dataset}")
    if options:
        raise InputError(f"--scale, --sensor and --kernel are for baselines; the recipe {name} says them")
    system, stated = network_options(recipe)
    row: Floor = (system, {key: value for key, value in stated.items() if key not in PROTOCOL_OPTIONS})
    label = recipe["name"]
    added = FLOORS[SYSTEMS[system].task] if baseline else {}
    protocol = {"scale": recipe["model"]["scale"], "sensor": data["sensor"], "degradation": data["degradation"]}
    refits = {label: Refit(recipe["seed"], recipe["init_from"])}
    return FoldRows({label: row, **added}, list(added) or [label], refits, protocol)
