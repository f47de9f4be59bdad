"""Recipes of the articles train, made small: each phase of a composition with its own crops, measured guides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import finewave as fw
from finewave.datasets.base import Image
from finewave.datasets.catalogue.worldview2_colosseum import WAVELENGTHS
from finewave.datasets.store import write_store
from finewave.training import trainer
from finewave.training.configuration.recipes import load_recipe
from tests.training.conftest import smooth_scene


def shortened(*phases: str) -> list[str]:
    return [f"{phase}.{key}" for phase in phases for key in ("steps=1", "validate_every=1")]


def test_each_part_of_a_composition_has_crops_of_its_own(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, Any]] = []
    crops = trainer.Crops

    class Noted(crops):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **options: Any) -> None:
            made.append(options)
            super().__init__(*args, **options)

    monkeypatch.setattr(trainer, "Crops", Noted)
    small = {
        "sr_options": "{features: 8, blocks: 1, reduction: 4}",
        "ssr_options": "{features: 16, blocks: 1}",
        "fusion_options": "{patch: 4}",
    }
    folder = trainer.train(
        "sr-ssr-fusion-cave-x4",
        [
            f"data.store={small_store}",
            f"out={tmp_path / 'run'}",
            *(f"model.{key}={value}" for key, value in small.items()),
            *shortened("phase1", "phase2", "phase3"),
            *(f"phase{n}.data.crop=16" for n in (1, 2, 3)),
            "phase2.data.batch_size=2",
        ],
    )
    assert [options["batch_size"] for options in made] == [16, 2, 3]
    assert [options["augment"] for options in made] == [True, False, False]
    assert [options["sampling"] for options in made] == ["random", "random", "grid"]
    card = fw.load_model(folder).card
    assert card is not None
    assert (card.config["sr"], card.config["ssr"], card.config["fusion"]) == ("sspsr", "awan", "fusformer")
    assert card.recipe["phase2"]["losses"]["mrae"] == 1.0


def test_parts_name_recipes_and_can_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "base: common-cave-x4\nmodel: {system: ssr-sr, sr_options: {blocks: 2}}\n"
        "parts: {ssr: awan-cave-short, sr: sspsr-chikusei-x4}\nphase2: {steps: 5, data: {gain: [0.5, 2]}}\n"
    )
    recipe = load_recipe(path, ["phase1.data.batch_size=3"])
    assert recipe["model"]["ssr_options"]["features"] == 48
    assert (recipe["model"]["sr_options"]["group_size"], recipe["model"]["sr_options"]["blocks"]) == (8, 2)
    assert (recipe["phase1"]["part"], recipe["phase2"]["part"]) == ("ssr", "sr")
    assert recipe["phase1"]["data"]["batch_size"] == 3
    assert recipe["phase2"]["data"]["gain"] == [0.5, 2]
    assert (recipe["phase2"]["steps"], recipe["phase2"]["learning_rate"]) == (5, 1e-4)
    assert "hs_bands" not in recipe["model"]["sr_options"]
    with pytest.raises(fw.InputError, match=r"no key 'phase1\.data\.crops'; did you mean 'phase1\.data\.crop'"):
        load_recipe(path, ["phase1.data.crops=3"])
    path.write_text("base: common-cave-x4\nmodel: {system: ssr-sr}\nparts: {ssr: awan-cav}\n")
    with pytest.raises(fw.InputError, match="did you mean 'awan-cave'"):
        load_recipe(path)


def test_mulsr_learns_on_a_measured_guide(tmp_path: Path) -> None:
    """The Roman Colosseum: 8 bands, and an RGB image of four times the size."""

    def image(seed: int) -> Image:
        sharp = smooth_scene(seed, 96)[[20, 12, 5]]
        return Image(smooth_scene(seed, 24)[::4], {"sharp": sharp}, 65535.0)

    attributes = {"dataset": "worldview2-colosseum", "split": {"train": ["left"], "val": ["middle"], "test": []}}
    scenes = ((name, image(seed)) for seed, name in enumerate(("left", "middle")))
    store = write_store(tmp_path / "small.zarr", scenes, WAVELENGTHS, attributes)
    folder = trainer.train(
        "mulsr-worldview2-colosseum-x4",
        [
            f"data.store={store}",
            f"out={tmp_path / 'run'}",
            "model.features=8",
            "model.modules=1",
            "data.crop=16",
            "data.batch_size=2",
            *shortened("phase1"),
        ],
    )
    card = fw.load_model(folder).card
    assert card is not None
    assert (card.sensor, card.ms_bands) == (None, ["sharp1", "sharp2", "sharp3"])
    assert len(card.wavelengths_nm) == 8
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert (recipe["data"]["blind"], recipe["data"]["roll"]) == (True, True)
    assert np.isfinite(card.metrics["worldview2-colosseum/val"]["mean"]["psnr"])


def test_sixty_four_crops_are_an_epoch_of_the_colosseum() -> None:
    recipe = load_recipe("mulsr-worldview2-colosseum-x4")
    per_epoch = 64 // recipe["data"]["batch_size"] * recipe["model"]["hs_bands"]  # a step for each band
    assert recipe["phase1"]["steps"] == 200 * per_epoch
    assert recipe["data"]["crop"] == 12 * recipe["model"]["scale"]
