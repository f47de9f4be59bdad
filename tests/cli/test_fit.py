"""``finewave fit``: from scenes to a model for ``finewave predict``, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import finewave as fw
from finewave.scene import make_scene
from tests.cli.command_line import assert_refused, run

WAVELENGTHS = np.linspace(450.0, 700.0, 6)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A GeoTIFF of 6 bands and 72 x 40 pixels, with an island without values."""
    values = np.random.default_rng(0).random((6, 72, 40), dtype=np.float32)
    values[:, 20:23, 30:33] = np.nan
    path = tmp_path / "scene.tif"
    fw.save_scene(make_scene(values, wavelengths=WAVELENGTHS), path)
    return path


@pytest.fixture
def sensor(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "mtf: 0.25\nbands:\n  green: {centre_nm: 550, width_nm: 60}\n  red: {centre_nm: 650, width_nm: 60}\n"
    )
    return path


def test_fit_then_predict(scene: Path, sensor: Path, tmp_path: Path) -> None:
    small = ["--system", "jssunet", "model.features=4", "model.stages=1", "data.crop=16", "data.batch_size=1"]
    out = tmp_path / "model"
    fitted = run("fit", scene, *small, "--sensor", sensor, "--scale", 2, "--steps", 3, "-o", out)
    assert fitted.exit_code == 0, fitted.output
    lines = fitted.stdout.splitlines()
    assert lines[-1] == f"fitted: {out}"
    # three steps on noise are no match for regression: that is the model, and the first line says so
    first = next(n for n, line in enumerate(lines) if line.startswith("kept as the model: "))
    assert "better than the network" in lines[first]
    assert lines[first + 1].startswith("validation")
    rows = {line.split("  ")[0]: line for line in lines[first + 3 : -1]}
    kinds = ("linear", "quadratic", "kernel ridge")
    assert {"network", *(f"bicubic + {kind} regression" for kind in kinds)} <= set(rows)
    psnr = {label: float(row[len(label) :].split()[0]) for label, row in rows.items()}
    kept = fw.load_model(out)
    assert kept.card.notes.startswith("Not the trained network, but ")
    (scores,) = kept.card.metrics.values()
    assert scores["mean"]["psnr"] == pytest.approx(max(psnr.values()), rel=1e-3)
    assert scores["network"]["psnr"] == pytest.approx(psnr["network"], rel=1e-3)
    again = run("fit", scene, *small, "--sensor", sensor, "--scale", 2, "--steps", 3, "-o", out)
    assert again.exit_code == 0, again.output
    assert again.stdout.splitlines() == lines[first:]

    seen = tmp_path / "seen.tif"
    bands = {"wavelengths": [550.0, 650.0]}
    fw.save_scene(make_scene(np.random.default_rng(1).random((2, 9, 8), dtype=np.float32), **bands), seen)
    made = run("predict", seen, "-o", tmp_path / "hr.tif", "--model", out)
    assert made.exit_code == 0, made.output
    with fw.open_scene(tmp_path / "hr.tif") as result:
        assert result.shape == (6, 18, 16)
        np.testing.assert_allclose(result.wavelength, WAVELENGTHS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dove-r", "micasense-rededge-mx", "prisma:20,30,40,50", "sentinel2c:B2,B3,B4,B8"])
def test_listed_sensors_are_fitted_for(name: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((11, 72, 40), dtype=np.float32)
    fw.save_scene(make_scene(values, wavelengths=np.linspace(420.0, 920.0, 11)), tmp_path / "scene.tif")
    out = tmp_path / "model"
    small = ("--system", "jssunet", "model.features=4", "model.stages=1", "data.crop=16", "data.batch_size=1")
    fitted = run("fit", tmp_path / "scene.tif", *small, "--sensor", name, "--scale", 2, "--steps", 2, "-o", out)
    assert fitted.exit_code == 0, fitted.output
    card = fw.load_model(out).card
    assert (card.sensor, card.ms_bands) == (name, list(fw.get_sensor(name).bands))


def test_spatial_super_resolution_needs_no_sensor(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    small = ("model.features=6", "model.blocks=1", "data.crop=16")
    fitted = run("fit", scene, *small, "data.batch_size=1", "--scale", 2, "--steps", 2, "-o", out)
    assert fitted.exit_code == 0, fitted.output
    card = fw.load_model(out).card
    assert (card.task, card.sensor, card.ms_bands) == ("sr", None, None)
    made = run("predict", scene, "-o", tmp_path / "hr.tif", "--model", out)
    assert made.exit_code == 0, made.output
    with fw.open_scene(tmp_path / "hr.tif") as result:
        assert result.shape == (6, 144, 80)
        np.testing.assert_allclose(result.wavelength, WAVELENGTHS)


def test_what_may_go_wrong(scene: Path, sensor: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"

    def refuse(*arguments: str | Path | int, words: str) -> None:
        assert_refused(run("fit", *arguments, "-o", out), words)
        assert not out.exists()

    usual = ("--sensor", sensor, "--scale", 2)
    refuse(*usual, words="no scene was given")
    refuse(tmp_path / "nowhere.tif", *usual, words="no such file")
    refuse("sceen", *usual, words="nor a data set (")
    refuse(scene, "--sensor", sensor, "--scale", 0, words="scale 0 is out of range")
    refuse(scene, "--sensor", sensor, "--scale", 40, words="too small for a validation block at scale 40")
    refuse(scene, "--scale", 2, "--system", "ssfin", words="a sensor is needed")
    refuse(scene, "--scale", 1, words="a sensor is needed")
    refuse(scene, *usual, "--sensor-bands", "red,blue", words="unknown band of sensor mine")
    refuse(scene, "--sensor", "worldview3:swir1,swir2", "--scale", 2, words="does not overlap")
    refuse(scene, *usual, "--system", "jssunet", "model.feature=3", words="did you mean 'model.features'")
    refuse(scene, *usual, "--from", tmp_path / "none", words="no such file or folder")
    refuse(scene, *usual, "--system", "bicubik", words="did you mean 'bicubic'")
    bare = tmp_path / "bare.tif"
    fw.save_scene(make_scene(np.random.default_rng(0).random((6, 72, 40), dtype=np.float32)), bare)
    refuse(bare, *usual, words="does not say its wavelengths")


def test_a_folder_with_other_things_is_left_alone(scene: Path, sensor: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    refused = run("fit", scene, "--sensor", sensor, "--scale", 2, "-o", tmp_path)
    assert_refused(refused, "holds something else than a fit")
    assert sorted(tmp_path.iterdir()) == before
