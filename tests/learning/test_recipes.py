from __future__ import annotations

from pathlib import Path

import pytest

import finewave as fw
from finewave.learning.recipes import list_recipes, load_recipe
from finewave.models.registry import create_model


def test_overrides_by_key() -> None:
    recipe = load_recipe("jssunet-cave-x4", ["model.features=64", "phase1.learning_rate=5e-4", "data.augment=true"])
    assert recipe["model"]["features"] == 64
    assert recipe["phase1"]["learning_rate"] == 5e-4
    assert recipe["data"]["augment"] is True


def test_the_published_values() -> None:
    """Section IV of the paper."""
    recipe = load_recipe("jssunet-cave-x4")
    assert (recipe["model"]["stages"], recipe["model"]["features"], recipe["model"]["n_clusters"]) == (
        4,
        128,
        10,
    )
    assert recipe["phase1"]["learning_rate"] == recipe["phase2"]["learning_rate"] == 1e-4
    epochs = recipe["phase1"]["steps"] * recipe["data"]["batch_size"] / 320
    assert epochs == 1000
    fractions = [row[0] for row in recipe["phase1"]["stage_weights"]]
    assert [f * epochs for f in fractions] == [0, 300, 600]
    assert [row[1:] for row in recipe["phase1"]["stage_weights"]] == [[2, 1, 0.5], [0.5, 1, 1], [0, 0.5, 1]]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.feature=64", "did you mean 'model.features'"),
        ("modle.features=64", "did you mean 'model.features'"),
        ("model.features", "not of the form key=value"),
        ("seed=[1", "seed=\\[1"),
    ],
)
def test_a_bad_override_is_refused_with_the_nearest_key(override: str, message: str) -> None:
    with pytest.raises(fw.InputError, match=message):
        load_recipe("jssunet-cave-x4", [override])


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(fw.InputError, match="did you mean 'jssunet-cave-x4'"):
        load_recipe("jssunet-cave-x3")


def test_a_recipe_changes_only_keys_of_its_base(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: jssunet-cave-x4\nmodel: {featurs: 3}\n")
    with pytest.raises(fw.InputError, match=r"model\.featurs.*did you mean 'model\.features'"):
        load_recipe(path)
    path.write_text("base: jssunet-cave-x4\nmodel: {features: 3}\n")
    assert load_recipe(path)["model"]["features"] == 3
    assert load_recipe(path)["model"]["stages"] == 4


@pytest.mark.parametrize("text", ["model: [", "just words", ""])
def test_a_malformed_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(fw.InputError, match=r"mine\.yaml"):
        load_recipe(path, ["seed=1"])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(fw.InputError, match="does not exist"):
        load_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_builds_its_network(name: str) -> None:
    options = dict(load_recipe(name)["model"])
    create_model(options.pop("system"), **options)
