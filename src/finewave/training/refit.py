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
from finewave.zoo.ensemble import ENSEMBLES
from finewave.zoo.names import member_names


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
        As for `rows_named`; besides, recipes without phases, by name or file.
    dataset : str
        That of the recipe.
    baseline : bool
        Add the baselines of its task.
    **options
        ``scale``, ``sensor`` and ``degradation``, where there is no recipe.

    Raises
    ------
    InputError
        It is none of these, or recipes are of another data set or other images, or differ in protocol or seed, or
        options are given beside them.
    """
    members = member_names(name) or [name]
    recipes = {each: load_recipe(each) for each in members if _names_recipe(each)}
    if not recipes or any(key.startswith("phase") for recipe in recipes.values() for key in recipe):
        rows, floors = rows_named(name, baseline=baseline)  # which refuses what is not fitted in one go
        return FoldRows(rows, floors, protocol=options)
    if options:
        raise InputError(
            f"--scale, --sensor and --kernel are for baselines; the recipe {next(iter(recipes))} says them"
        )
    protocols = [_protocol_of(each, recipe, dataset) for each, recipe in recipes.items()]
    first = next(iter(recipes.values()))
    if any(each != protocols[0] for each in protocols) or any(r["seed"] != first["seed"] for r in recipes.values()):
        raise InputError(f"{name}: recipes of one mean have one scale, sensor, degradation and seed")
    parts = [_row_of(recipes[each]) if each in recipes else _row_named(each) for each in members]
    starts = any(recipe["init_from"] for recipe in recipes.values())
    if starts and (len(members) > 1 or parts[0][0] in ENSEMBLES):
        raise InputError(f"{name}: a recipe that starts from trained weights is scored over folds alone, not in a mean")
    if len(members) == 1:
        label, row = first["name"], parts[0]
    else:
        task = SYSTEMS[parts[0][0]].task
        systems, stated = (list(each) for each in zip(*parts, strict=True))
        label, row = name, (f"ensemble-{task}", {"members": systems, "options": stated})
    added = FLOORS[SYSTEMS[row[0]].task] if baseline else {}
    refits = {label: Refit(first["seed"], first["init_from"])}
    return FoldRows({label: row, **added}, list(added) or [label], refits, protocols[0])


def _names_recipe(name: str) -> bool:
    return name in list_recipes() or Path(name).suffix in (".yaml", ".yml")


def _protocol_of(name: str, recipe: dict[str, Any], dataset: str) -> dict[str, Any]:
    """Return scale, sensor and degradation of a recipe, which is of this data set."""
    data = recipe["data"]
    if data["dataset"] != dataset:
        raise InputError(f"the recipe {name} is of {data['dataset']}, not of {dataset}")
    for key in ("store", "msi", "reference"):
        if data.get(key) is not None:
            raise InputError(f"the recipe {name} states data.{key}; folds are of the data set's own spectra alone")
    return {"scale": recipe["model"]["scale"], "sensor": data["sensor"], "degradation": data["degradation"]}


def _row_of(recipe: dict[str, Any]) -> Floor:
    system, options = network_options(recipe)
    return system, {key: value for key, value in options.items() if key not in PROTOCOL_OPTIONS}


def _row_named(name: str) -> Floor:
    rows, _ = rows_named(name, baseline=False)
    return rows[name]
