"""Lengths in epochs of the data set at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finewave.errors import InputError
from finewave.studies.budget import Budget
from finewave.training.configuration.lengths import with_lengths
from finewave.training.configuration.recipes import load_recipe


def recipe(store: Path, *overrides: str) -> dict[str, Any]:
    return load_recipe("jssunet-cave-x4", [f"data.store={store}", "data.crop=16", "data.batch_size=6", *overrides])


@pytest.mark.parametrize(
    ("epochs", "crop", "steps"),
    [
        (4, 16, 18),  # 3 scenes of 48 x 48: 27 crops, batches of 6
        (1, 16, 4),  # rounded: 4.5 to even
        (10, 48, 5),
        (0.1, 48, 1),  # at least one
    ],
)
def test_an_epoch_shows_every_crop_once(small_store: Path, epochs: float, crop: int, steps: int) -> None:
    config = recipe(small_store, f"phase1.epochs={epochs}", f"data.crop={crop}")
    changed = with_lengths(config)
    assert changed["phase1"]["steps"] == steps
    assert "epochs" not in changed["phase1"]
    assert changed["phase2"] == config["phase2"]  # which is in steps
    assert config["phase1"]["epochs"] == epochs


def test_rows_beyond_a_multiple_of_the_scale_are_not_counted(small_store: Path) -> None:
    config = recipe(small_store, "phase1.epochs=1", "model.scale=5", "data.crop=45", "data.batch_size=1")
    assert with_lengths(config)["phase1"]["steps"] == 3
    config = recipe(small_store, "phase1.epochs=1", "model.scale=5", "data.crop=15", "data.batch_size=1")
    assert with_lengths(config)["phase1"]["steps"] == 27


def test_recipes_in_steps_need_no_data() -> None:
    config = load_recipe("jssunet-cave-x4", ["data.store=/nowhere"])
    assert with_lengths(config) is config


def test_later_steps_take_the_place_of_epochs(tmp_path: Path, small_store: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: jssunet-cave-x4\nphase1: {epochs: 7}\n")
    assert load_recipe(path)["phase1"]["epochs"] == 7
    assert "epochs" not in load_recipe(path, ["phase1.steps=5"])["phase1"]
    assert load_recipe(path, ["phase1.steps=5", "phase1.epochs=2"])["phase1"]["epochs"] == 2
    child = tmp_path / "child.yaml"
    child.write_text(f"base: {path}\nphase1: {{steps: 5}}\n")
    assert load_recipe(child)["phase1"]["steps"] == 5
    assert "epochs" not in load_recipe(child)["phase1"]


def test_a_budget_is_in_place_of_epochs_but_for_a_part_of_them(small_store: Path) -> None:
    config = recipe(small_store, "phase1.epochs=100")
    assert Budget.parse("published").apply(config)["phase1"]["epochs"] == 100
    assert Budget.parse("10%").apply(config)["phase1"]["epochs"] == pytest.approx(10)
    for text in ("40steps", "1e6px"):
        assert Budget.parse(text).apply(config)["phase1"]["epochs"] is None


def test_without_the_data_set_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path))
    monkeypatch.setenv("FINEWAVE_PREPARED", str(tmp_path))
    with pytest.raises(InputError, match="cave"):
        with_lengths(load_recipe("jssunet-cave-x4", ["phase1.epochs=1"]))
