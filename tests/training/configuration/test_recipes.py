from __future__ import annotations

from pathlib import Path

import pytest

import finewave as fw
from finewave.systems.registry import create_model
from finewave.training.configuration.recipes import list_recipes, load_recipe, network_options


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
        load_recipe("jssunet-cave-x44")


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
    system, options = network_options(load_recipe(name))
    create_model(system, **options)


def test_a_system_is_not_given_what_it_has_no_option_for(stand_ins: None) -> None:
    recipe = load_recipe("common-cave-x4", ["model.system=plain-ssr"])
    assert network_options(recipe) == ("plain-ssr", {"ms_bands": 3, "hs_bands": 31})
    assert network_options(load_recipe("common-cave-x4"))[1] == {"scale": 4, "ms_bands": 3, "hs_bands": 31}
    assert recipe["out"] == "runs/plain-ssr-common-cave-x4"


def test_options_of_the_system_are_keys(stand_ins: None, tmp_path: Path) -> None:
    recipe = load_recipe("common-cave-x4", ["model.width=5", "model.system=plain-ssr"])
    assert recipe["model"]["width"] == 5
    with pytest.raises(fw.InputError, match=r"no key 'model\.widht'; did you mean 'model\.width'"):
        load_recipe("common-cave-x4", ["model.system=plain-ssr", "model.widht=5"])
    with pytest.raises(fw.InputError, match="did you mean 'jssunet'"):
        load_recipe("common-cave-x4", ["model.system=jssunnet", "model.width=5"])
    path = tmp_path / "mine.yaml"
    path.write_text("base: common-cave-x4\nmodel: {system: plain-ssr, width: 7}\n")
    assert load_recipe(path, ["model.width=8"])["model"]["width"] == 8


def test_a_further_phase_is_the_first_but_for_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: common-cave-x4\nphase1: {steps: 7}\nphase2: {learning_rate: 0.5}\n")
    recipe = load_recipe(path)
    base = load_recipe("common-cave-x4")["phase1"]
    assert recipe["phase1"] == {**base, "steps": 7}
    assert recipe["phase2"] == {**base, "learning_rate": 0.5}
    path.write_text("base: common-cave-x4\nphase2: {learning_rat: 0.5}\n")
    with pytest.raises(fw.InputError, match=r"did you mean 'phase2\.learning_rate'"):
        load_recipe(path)


def test_what_inverts_the_degradation_is_told_that_of_the_data() -> None:
    """A system with the option, a part of a composition, and members of an ensemble; what the recipe states stays."""
    told = ["data.degradation={kernel: gaussian, fwhm: 6.0, noise: 0.01}"]
    blur = {"kernel": "gaussian", "fwhm": 6.0}  # noise is not inverted

    def options(*overrides: str) -> dict:
        return network_options(load_recipe("common-cave-x4", [*told, *overrides]))[1]

    assert options("model.system=ibp")["degradation"] == blur
    assert options("model.system=ibp", "model.degradation={kernel: bicubic}")["degradation"] == {"kernel": "bicubic"}
    parts = options("model.system=sr-ssr", "model.sr=ibp", "model.ssr=ridge")
    assert parts["sr_options"] == {"degradation": blur}
    assert "degradation" not in (parts.get("ssr_options") or {})
    members = {**options("model.system=ensemble-sr"), "hs_bands": 5}
    net = create_model("ensemble-sr", **members)
    assert net.observation.options == blur
    assert net.members[1].observation.options == blur  # ibp
