"""Resolution of a requested study into cells with complete settings."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from finewave.datasets.registry import list_datasets
from finewave.errors import InputError
from finewave.evaluation.protocols import Protocol
from finewave.studies.budget import Budget
from finewave.studies.dataset_facts import base_of, sensor_of, wavelengths_of
from finewave.studies.definitions.definition import Row, Study
from finewave.training.configuration.recipes import list_recipes, load_recipe

RecipeSet = Literal["published", "short", "common"]
RECIPE_SETS: dict[str, str] = {
    "published": "of each system after its article",
    "short": "of each system for a processor (-short)",
    "common": "the common one for every system",
}
COMMON = "common"
OF_THE_TABLE = ("data.dataset", "data.sensor", "data.degradation", "model.scale", "model.ms_bands", "model.hs_bands")
"""Keys set by table and protocol, overriding the recipe."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table: a system, trained or not, scored on one data set at one scale.

    Parameters
    ----------
    row : Row
    dataset, scale, split : str, int, str
    protocol : Protocol
    number : int
        Added to the recipe's seed.
    recipe_name : str or None
        Source of the recipe; None for a baseline.
    recipe : dict or None
        Resolved: with the row's overrides, budget, seed, data set, scale and the protocol's degradation.
    """

    row: Row
    dataset: str
    scale: int
    split: str
    protocol: Protocol
    number: int = 0
    recipe_name: str | None = None
    recipe: dict[str, Any] | None = None

    @property
    def sensor(self) -> str:
        """Sensor of the multispectral images: the protocol's camera, otherwise that of the data set."""
        return self.protocol.sensor or sensor_of(self.dataset, self.row.system)

    @cached_property
    def what(self) -> dict[str, Any]:
        """All settings that affect the weights."""
        if self.recipe is None:
            return {"system": self.row.system, "options": dict(self.row.options), "sensor": self.sensor}
        recipe = {key: value for key, value in self.recipe.items() if key not in ("name", "out")}
        recipe["data"] = {key: value for key, value in recipe["data"].items() if key != "store"}
        return {"system": self.row.system, "recipe": recipe}

    @cached_property
    def facts(self) -> dict[str, Any]:
        """All settings that affect the numbers of the cell, apart from code and data."""
        return {
            "dataset": self.dataset,
            "scale": self.scale,
            "split": self.split,
            "protocol": self.protocol.as_dict(),
            "image": self.row.image,
            "post": self.row.post,
            **self.what,
        }

    @property
    def training(self) -> str:
        """Name of the training's folder, shared by the cells of one training."""
        return f"{self.dataset}-x{self.scale}-{self.row.system}-{digest(self.what)}"

    @property
    def key(self) -> str:
        """Name of the cell's file."""
        return key_of(self.facts)

    def __str__(self) -> str:
        seed = f", seed +{self.number}" if self.number else ""
        return f"{self.row.label} on {self.dataset} x{self.scale} ({self.split}{seed})"


@dataclass(frozen=True)
class StudyRequest:
    """A request for cells of a study.

    Parameters
    ----------
    study : Study
    datasets, scales, rows : tuple
        Data sets and scales of the study or others; rows are those of the study.
    split : str
    protocol : Protocol
    budget : Budget
    recipes : {"published", "short", "common"}
        Which recipe of each system, see `RECIPE_SETS`.
    seeds : int
        Number of seeds; the first is the recipe's, then incremented by one.
    """

    study: Study
    datasets: tuple[str, ...]
    scales: tuple[int, ...]
    rows: tuple[Row, ...]
    split: str
    protocol: Protocol
    budget: Budget
    recipes: RecipeSet = "published"
    seeds: int = 1

    def cells(self) -> Iterator[Cell]:
        """Yield the cells in the order of the table; a baseline has one seed."""
        for dataset in self.datasets:
            for scale in self.scales:
                for row in self.rows:
                    for number in range(self.seeds if row.family else 1):
                        yield self.cell(row, dataset, scale, number)

    def cell(self, row: Row, dataset: str, scale: int, number: int = 0) -> Cell:
        """Return one cell.

        Raises
        ------
        InputError
            If there is no such recipe, or it has no such key.
        """
        place = row.key, dataset, scale, number
        if place not in self._made:
            self._made[place] = self._make(row, dataset, scale, number)
        return self._made[place]

    @cached_property
    def _made(self) -> dict[tuple[str, str, int, int], Cell]:
        """Cache of cells, as reading recipes takes long."""
        return {}

    def _make(self, row: Row, dataset: str, scale: int, number: int) -> Cell:
        name, recipe = None, None
        if row.family is not None:
            name, recipe = _recipe(row, row.family, self.recipes, dataset, scale, self.protocol)
            recipe["seed"] += number
            recipe = self.budget.apply(recipe)
        return Cell(row, dataset, scale, self.split, self.protocol, number, name, recipe)


def digest(facts: dict[str, Any]) -> str:
    """Return a digest of twelve characters."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:12]


def key_of(facts: dict[str, Any]) -> str:
    """Return the name of the file of the cell with these facts."""
    name = f"{facts['dataset']}-x{facts['scale']}-{facts['system']}-{facts['protocol']['name']}-{facts['split']}"
    return f"{name}-{digest(facts)}"


def _recipe(
    row: Row, family: str, which: RecipeSet, dataset: str, scale: int, protocol: Protocol
) -> tuple[str, dict[str, Any]]:
    """Return name and content of the recipe of a row for a data set, a scale and a protocol."""
    overrides = list(row.overrides)
    if which != "published" and any(name.startswith(f"{COMMON}-{family}-") for name in list_recipes()):
        family = f"{COMMON}-{family}"  # a composition's, part by part
    if which == "common" and not family.startswith(COMMON):
        if row.image != "hr_hsi":
            raise InputError(f"{row.label} trains one branch, by a recipe of its own; use --recipes published or short")
        overrides = [f"model.system={row.system}", *overrides]
        family = COMMON
    name = recipe_name(family, dataset, scale, short=which == "short")
    recipe = copy.deepcopy(_loaded(name, tuple(overrides)))
    if not row.post and not any(phase["kind"] == "post" for key, phase in recipe.items() if key.startswith("phase")):
        # joint training would change the rest of the network
        recipe["model"]["post"] = False
    sensor = protocol.sensor or sensor_of(dataset, row.system)
    if dataset != recipe["data"]["dataset"]:
        from finewave.physics.sensors import get_sensor

        recipe["model"].update(hs_bands=len(wavelengths_of(dataset)), ms_bands=len(get_sensor(sensor).bands))
    recipe["data"].update(dataset=dataset, sensor=sensor, degradation=dict(protocol.degradation))
    recipe["model"]["scale"] = scale
    phases = [phase for key, phase in recipe.items() if key.startswith("phase")]
    for data in (recipe["data"], *(phase["data"] for phase in phases if phase.get("data"))):
        if "crop" in data:
            data["crop"] += -data["crop"] % scale
    recipe["name"] = f"{row.system}-{dataset}-x{scale}"
    return name, recipe


@lru_cache
def _loaded(name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    return load_recipe(name, overrides)


def recipe_name(family: str, dataset: str, scale: int, *, short: bool) -> str:
    """Return the name of the recipe of a family that best matches a data set and a scale.

    ``<family>-<data set>-x<scale>`` if it exists, otherwise one of another scale or without, of CAVE, or of another
    data set.
    """
    end = "-short" if short else ""
    datasets = "|".join(sorted({re.escape(base_of(name)) for name in list_datasets()}, key=len, reverse=True))
    pattern = re.compile(rf"{re.escape(family)}-(?P<dataset>{datasets})(-x(?P<scale>\d+))?{end}")
    matches = {name: match for name in list_recipes() if (match := pattern.fullmatch(name))}
    if not matches:
        raise InputError(f"there is no {'short ' if short else ''}recipe of {family}; see finewave study --help")

    def distance(name: str) -> tuple[bool, bool, int, str]:
        recipe_scale = matches[name]["scale"]
        of = matches[name]["dataset"]
        return of != base_of(dataset), of != "cave", abs(int(recipe_scale or 0) - scale), name

    return min(matches, key=distance)
