"""Folds by the name of a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from finewave.errors import InputError
from finewave.evaluation.baselines import FLOORS
from finewave.evaluation.folds import Refit
from finewave.training.refit import fold_rows


def test_a_recipe_without_phases_is_a_row() -> None:
    plan = fold_rows("residual-fusion-cave-x8", "cave", baseline=True)
    system, options = plan.rows["residual-fusion-cave-x8"]
    assert (system, options["steps"], options["windows"]) == ("residual-fusion", 8000, [8.0, 3.0, 1.2, 0.6])
    assert not {"scale", "ms_bands", "hs_bands"} & options.keys()  # of the protocol
    assert list(plan.rows) == ["residual-fusion-cave-x8", *FLOORS["fusion"]]
    assert plan.floors == list(FLOORS["fusion"])
    assert plan.protocol == {"scale": 8, "sensor": "nikon-d5100", "degradation": {"kernel": "gaussian"}}
    assert plan.refits == {"residual-fusion-cave-x8": Refit(42, None)}


def test_a_recipe_that_starts_from_weights_names_them() -> None:
    plan = fold_rows("residual-sr-cave-x4", "cave", baseline=False)
    assert plan.rows["residual-sr-cave-x4"][0] == "sr-ssr"
    assert plan.floors == ["residual-sr-cave-x4"]
    assert plan.refits == {"residual-sr-cave-x4": Refit(42, "runs/residual-sr-photographs-x4")}


def test_a_system_is_fitted_by_its_defaults_and_by_options() -> None:
    plan = fold_rows("residual-fusion", "cave", baseline=False, scale=8)
    assert (plan.rows, plan.protocol, plan.refits) == ({"residual-fusion": ("residual-fusion", {})}, {"scale": 8}, {})


def test_means_have_the_options_of_their_recipes() -> None:
    name = "residual-fusion-cave-x4+local-regression"
    plan = fold_rows(name, "cave", baseline=True)
    system, options = plan.rows[name]
    assert (system, options["members"]) == ("ensemble-fusion", ["residual-fusion", "local-regression"])
    assert (options["options"][0]["steps"], options["options"][1]) == (8000, {})
    assert plan.refits == {name: Refit(42, None)}
    assert plan.protocol["scale"] == 4
    with pytest.raises(InputError, match="recipes of one mean have one scale"):
        fold_rows("residual-fusion-cave-x4+residual-fusion-cave-x8", "cave", baseline=False)
    with pytest.raises(InputError, match="starts from trained weights is scored over folds alone"):
        fold_rows("residual-sr-cave-x4+residual-sr-cave-x4", "cave", baseline=False)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("data: {store: scenes.zarr}", r"states data\.store; folds are of the data set's own spectra alone"),
        ("init_from: runs/net", "starts from trained weights is scored over folds alone, not in a mean"),
        ("seed: 3", "one scale, sensor, degradation and seed"),
    ],
)
def test_recipes_of_other_images_or_seeds(lines: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"base: scene-ridge-cave\nname: mine\n{lines}\n")
    other = "+scene-ridge-cave" if "seed" in lines else ""
    with pytest.raises(InputError, match=message):
        fold_rows(f"{path}{other}", "cave", baseline=False)


def test_what_cannot_be_fitted_again() -> None:
    with pytest.raises(InputError, match=r"folds are for what is refitted for each \(.*'mstpp-cave' is not"):
        fold_rows("mstpp-cave", "cave", baseline=False)
    with pytest.raises(InputError, match="the recipe scene-ridge-cave is of cave, not of harvard"):
        fold_rows("scene-ridge-cave", "harvard", baseline=False)
    with pytest.raises(InputError, match="the recipe scene-ridge-cave says them"):
        fold_rows("scene-ridge-cave", "cave", baseline=False, sensor="srgb")
