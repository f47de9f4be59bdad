"""Stored costs are those of today's recipes, and a forecast by them measures nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from finewave.studies import cost, stored_costs
from finewave.studies.cost import cost_of, key_of_cost
from finewave.studies.runner import missing_groups
from finewave.studies.stored_costs import STORED, StoredCosts, recipes_of
from finewave.studies.study_request import request_cells
from finewave.studies.training_flops import phases_of
from finewave.systems.registry import create_model
from finewave.training.configuration.recipes import network_options

STALE = "run: python -m finewave.studies.stored_costs"


def test_the_stored_costs_are_of_the_recipes_as_they_are() -> None:
    known = StoredCosts().known
    current = {key: cell for study in STORED for key, cell in recipes_of(study)}
    assert {known[key]["recipe"] for key in known.keys() - current.keys()} == set(), STALE
    assert {str(current[key]) for key in current.keys() - known.keys()} == set(), STALE
    for key, cell in current.items():
        system, options = network_options(cell.recipe)
        with torch.device("meta"):
            net = create_model(system, **options)
        assert known[key]["parameters"] == sum(p.numel() for p in net.parameters()), f"{cell}: {STALE}"
        assert len(known[key]["step"]) == len(phases_of(cell.recipe))


@pytest.mark.parametrize("dataset", ["cave", "ntire2020"])
def test_a_forecast_of_table2_measures_nothing_but_the_unit(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "measure", lambda *_, **__: pytest.fail("it measured"))
    units = []
    monkeypatch.setattr(stored_costs, "reference_seconds", lambda: units.append(1) or 0.02)
    stored = StoredCosts()
    groups = missing_groups(request_cells("table2", datasets=[dataset], scales=[4]).cells(), tmp_path)
    found = cost_of(groups, tmp_path, stored=stored)
    trained = [each for each in found.estimates if each.recipe]
    assert (len(units), stored.used) == (1, len(trained))
    assert all(0 < each.whole.low <= each.whole.high for each in trained)
    assert not (tmp_path / "timings.json").exists()


def test_units_become_seconds_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "costs.json"
    entry = {"study": "table2", "recipe": "a", "step": [[10, 20]], "scene": [1, 2], "parameters": 7}
    path.write_text(json.dumps({"key": entry}))
    monkeypatch.setattr(stored_costs, "reference_seconds", lambda: 0.5)
    stored = StoredCosts(path)
    assert stored.seconds("key") == {"step": [[5, 10]], "scene": [0.5, 1], "parameters": 7}
    assert stored.seconds("other") is None


def test_the_unit_is_timed() -> None:
    assert 0 < stored_costs.reference_seconds() < 10


def test_what_takes_no_time_does_not_tell_recipes_apart() -> None:
    (cell,) = request_cells("table2", datasets=["cave"], scales=[4], rows=["us3rn"]).cells()
    recipe, phases = cell.recipe, phases_of(cell.recipe)
    key = key_of_cost(recipe, phases)
    assert key_of_cost(recipe, [{**phase, "learning_rate": 1, "steps": 3} for phase in phases]) == key
    assert key_of_cost(recipe, [{**phase, "losses": {"mse": 1.0}} for phase in phases]) != key
    assert key_of_cost({**recipe, "data": {**recipe["data"], "crop": 32}}, phases) != key
