"""Stored costs of published studies for fast forecasts: ``costs.json`` beside this file.

The unit is a fixed training workload (`reference_seconds`), timed on the current machine: the cost of a recipe in this
unit is similar on all machines. Costs were measured on small images and scaled by the pixels and crops of a batch, so
they give an order of magnitude; ``--measure`` is more accurate.

``python -m finewave.studies.stored_costs table2`` measures missing costs, and removes those without a recipe.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from finewave.io.atomic import atomic_output
from finewave.studies.cost import SIDE, key_of_cost, measure
from finewave.studies.experiment import Cell
from finewave.studies.study_request import request_cells
from finewave.studies.training_flops import phases_of
from finewave.training.configuration.recipes import phase_data

PATH = Path(__file__).with_name("costs.json")
STORED = {"table2": ("cave", "ntire2020"), "mulsr": ("cave@mulsr",)}
"""Studies and data sets with stored costs; recipes of equal cost are stored once."""


CROP, IMAGE = 32, 64
"""Sides in HR pixels of the crops and the image that are timed."""


class StoredCosts:
    """Contents of the file, and its unit in seconds on this machine."""

    def __init__(self, path: Path = PATH) -> None:
        self.used = 0
        self.known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    @cached_property
    def unit(self) -> float:
        """Seconds of the unit on this machine, now."""
        return reference_seconds()

    def seconds(self, key: str) -> dict[str, Any] | None:
        """Return an estimate of `finewave.studies.cost.measure`; None if not stored."""
        if key not in self.known:
            return None
        self.used += 1
        cost = self.known[key]
        scene, steps = cost["scene"], cost["step"]
        return {
            "step": [[value * self.unit for value in pair] for pair in steps],
            "scene": [value * self.unit for value in scene],
            "parameters": cost["parameters"],
        }


def reference_seconds() -> float:
    """Time the unit: the median of five steps of forward and backward through convolutions of 64 features, 64 x 64."""
    import torch
    from torch import nn

    layers = (nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1))
    net = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as in `cost`
    x = torch.zeros(1, 64, 64, 64).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(7):  # the first two include set-up
        begun = time.perf_counter()
        for _ in range(5):
            net(x).sum().backward()
        times.append((time.perf_counter() - begun) / 5)
    return sorted(times[2:])[2]


def recipes_of(study: str) -> Iterator[tuple[str, Cell]]:
    """Yield each training of a study once, by its key."""
    seen = set()
    for cell in request_cells(study, datasets=STORED[study]).cells():
        if cell.recipe is not None and (key := key_of_cost(cell.recipe, phases_of(cell.recipe))) not in seen:
            seen.add(key)
            yield key, cell


def measure_small(recipe: dict[str, Any]) -> dict[str, Any]:
    """Measure as `measure`, with single small crops and a small image."""
    phases = phases_of(recipe)
    small = copy.deepcopy(recipe)
    for data in (small["data"], *(phase["data"] for phase in phases_of(small) if phase.get("data"))):
        data.update(crop=CROP, batch_size=1)
    costs = measure(small, phases_of(small), side=IMAGE, steps=3, runs=2)
    for number, phase in enumerate(phases):
        data = phase_data(recipe, phase)
        larger = data["batch_size"] * (data["crop"] / CROP) ** 2
        costs["step"][number] = [seconds * larger for seconds in costs["step"][number]]
    costs["scene"] = [seconds * (SIDE / IMAGE) ** 2 for seconds in costs["scene"]]
    return costs


def update(study: str, path: Path = PATH) -> None:
    """Measure the missing costs of a study, writing the file after each."""
    from finewave.provenance import describe_machine

    known = StoredCosts(path).known
    current = dict(recipes_of(study))
    kept = {key: cost for key, cost in known.items() if cost["study"] != study or key in current}
    for key, cell in current.items():
        if key in kept:
            continue
        assert cell.recipe is not None
        before = reference_seconds()
        costs = measure_small(cell.recipe)
        unit = (before + reference_seconds()) / 2
        kept[key] = {
            "study": study,
            "recipe": cell.recipe["name"],
            "step": [[round(value / unit, 1) for value in pair] for pair in costs["step"]],
            "scene": [round(value / unit, 1) for value in costs["scene"]],
            "parameters": costs["parameters"],
            "processor": describe_machine()["processor"],
        }
        print(f"{cell}: {kept[key]['step']} units of {unit * 1000:.1f} ms", flush=True)
        with atomic_output(path) as temporary:
            temporary.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    with atomic_output(path) as temporary:
        temporary.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or STORED:
        update(name)
