"""The size of a network that is trained in a given time, and what is fitted where no network is small enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import finewave as fw
from finewave.scene import make_scene
from finewave.training.configuration.recipes import load_recipe
from finewave.training.fit import FitOptions, fit
from finewave.training.fit_size import FEWEST, seconds_of_a_step, size_for
from tests.training.test_fit import SENSOR, WAVELENGTHS, blobs

JSSUNET = ["model.scale=2", "model.ms_bands=2", "model.hs_bands=6"]


def sized(folder: Path, minutes: float, *given: str) -> list[str] | None:
    """Size a network whose step takes as many tenths of a second as there are crops times features."""

    def cost(config: dict) -> float:
        return 0.1 * config["data"]["batch_size"] * config["model"]["features"] / 32

    return size_for(minutes, "fit-jssunet", JSSUNET, given, folder, cost)


def test_a_network_becomes_as_small_as_the_time_requires(tmp_path: Path) -> None:
    whole = 4 * 0.1 * FEWEST / 60 / 0.75  # minutes of the recipe's own size
    expected = [
        (1.1 * whole, []),
        (0.9 * whole, ["data.batch_size=1"]),
        (0.2 * whole, ["data.batch_size=1", "model.features=16"]),
        (0.1 * whole, ["data.batch_size=1", "model.features=8"]),
        (0.01 * whole, None),
    ]
    for number, (minutes, chosen) in enumerate(expected):
        assert sized(tmp_path / str(number), minutes) == chosen
    assert sized(tmp_path / "0", 0.01) == [], "the choice stays when a fit goes on"
    assert sized(tmp_path / "given", 0.3 * whole, "model.features=32") == ["data.batch_size=1"]
    assert sized(tmp_path / "fixed", 0.1 * whole, "model.features=32", "data.batch_size=4") is None


def test_a_network_that_starts_from_weights_keeps_its_width(tmp_path: Path) -> None:
    def cost(config: dict) -> float:
        return 1e3 * (config["model"]["features"] > 12)

    narrow = ["data.batch_size=1", "model.features=12"]
    overrides = ["model.scale=2", "model.hs_bands=6"]
    assert size_for(1, "fit-bandwise-sr", overrides, (), tmp_path / "new", cost) == narrow
    started = [*overrides, "init_from=bandwise-sr-any-x2"]
    assert size_for(1, "fit-bandwise-sr", started, (), tmp_path / "started", cost) is None


def test_wider_networks_take_longer() -> None:
    sizes = [[*JSSUNET, f"model.features={features}", "data.crop=16"] for features in (8, 64)]
    narrow, wide = (min(seconds_of_a_step(load_recipe("fit-jssunet", size)) for _ in range(3)) for size in sizes)
    assert 0 < narrow < wide


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.tif"
    fw.save_scene(make_scene(blobs(0), wavelengths=WAVELENGTHS), path)
    (tmp_path / "mine.yaml").write_text(SENSOR)
    return path


@pytest.mark.parametrize(
    ("scale", "with_sensor", "system"), [(2, True, "sr-ssr"), (2, False, "bandwise-sr"), (1, True, "kernel-ridge")]
)
def test_in_no_time_a_closed_form_is_fitted(
    scene: Path, tmp_path: Path, scale: int, with_sensor: bool, system: str
) -> None:
    sensor = str(tmp_path / "mine.yaml") if with_sensor else None
    lines: list[str] = []
    options = FitOptions(scale, sensor, mtf=0.3 if scale > 1 else None, minutes=1e-4, overrides=("data.crop=16",))
    model = fit([scene], tmp_path / "model", options, lines.append)
    assert any("too few for 300 steps" in line and system in line for line in lines)
    assert not list((tmp_path / "model" / "training").glob("phase*"))
    assert fw.load_model(tmp_path / "model" / "training" / "model").card.system == system
    (scores,) = model.card.metrics.values()
    assert scores["mean"]["psnr"] >= max(row["psnr"] for row in scores["baselines"].values()) - 1e-9
    before = (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns
    fit([scene], tmp_path / "model", options)
    assert (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns == before


def test_fusion_is_fitted_in_closed_form(scene: Path, tmp_path: Path) -> None:
    small = ("model.components=2", "model.features=4", "model.crop=8", "data.crop=16")
    options = FitOptions(2, str(tmp_path / "mine.yaml"), system="residual-fusion", steps=5, overrides=small)
    model = fit([scene], tmp_path / "model", options)
    (scores,) = model.card.metrics.values()
    assert {"GSA", "local regression"} <= set(scores["baselines"])
    assert scores["mean"]["psnr"] >= scores["baselines"]["GSA"]["psnr"]
    assert fw.load_model(tmp_path / "model").card.task == "fusion"
    assert fw.load_model(tmp_path / "model" / "training" / "model").card.config["steps"] == 5


def test_blocks_smaller_than_the_default_crop_of_fusion(tmp_path: Path) -> None:
    """At x16 a crop has 64 pixels, the training block 60 columns: such a fit takes what there is."""
    (tmp_path / "mine.yaml").write_text(SENSOR)
    fw.save_scene(make_scene(blobs(0, 200, 60), wavelengths=WAVELENGTHS), tmp_path / "scene.tif")
    tiny = ("model.components=2", "model.features=4", "model.windows=[3.0]", "model.ridge=[1e-4]", "data.crop=36")
    options = FitOptions(16, str(tmp_path / "mine.yaml"), system="residual-fusion", steps=1, overrides=tiny)
    model = fit([tmp_path / "scene.tif"], tmp_path / "model", options)
    assert model.card.scale == 16


def test_too_little_time_leaves_the_steps_of_fusion(scene: Path, tmp_path: Path) -> None:
    options = FitOptions(2, str(tmp_path / "mine.yaml"), system="fusformer", minutes=1e-4, steps=3)
    fit([scene], tmp_path / "model", options)
    config = fw.load_model(tmp_path / "model" / "training" / "model").card.config
    assert (config["steps"], config["batch_size"]) == (3, 24)


def test_steps_of_what_takes_none_are_refused(scene: Path, tmp_path: Path) -> None:
    options = FitOptions(1, str(tmp_path / "mine.yaml"), system="kernel-ridge", steps=5)
    with pytest.raises(fw.InputError, match="kernel-ridge is solved in one go and takes no steps"):
        fit([scene], tmp_path / "model", options)
    assert not (tmp_path / "model" / "training").exists()  # nothing was prepared for it


def test_what_is_fitted_from_nothing_takes_no_start(scene: Path, tmp_path: Path) -> None:
    small = ("model.components=2", "model.features=4", "model.crop=8")
    options = FitOptions(2, str(tmp_path / "mine.yaml"), system="residual-fusion", steps=1, overrides=small)
    fit([scene], tmp_path / "first", options)
    with pytest.raises(fw.InputError, match="residual-fusion is fitted from nothing in one go and takes no start"):
        fit([scene], tmp_path / "second", replace(options, start=str(tmp_path / "first"), steps=7))
