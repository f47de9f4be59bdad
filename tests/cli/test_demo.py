"""``finewave demo``, with a tiny model."""

from __future__ import annotations

import re
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from finewave.io.open_save import load_scene
from tests.cli.command_line import assert_refused, run


def test_demo_on_the_photograph_that_ships(tiny_weights: Path, tmp_path: Path) -> None:
    result = run("demo", "--out", tmp_path / "demo", "--model", tiny_weights)
    assert result.exit_code == 0, result.output
    scene = load_scene(tmp_path / "demo" / "result.tif")
    assert scene.shape == (31, 256, 384)
    np.testing.assert_allclose(scene.coords["wavelength"], np.arange(400, 701, 10))
    picture = iio.imread(tmp_path / "demo" / "result.png")
    assert min(picture.shape[:2]) > 1000
    assert picture[..., :3].std() > 20
    for path in ("result.tif", "result.png"):
        assert str(tmp_path / "demo" / path) in result.stdout
    assert re.search(r"made in \d+\.\d s", result.stdout)
    assert re.search(r"-?\d+\.\d dB PSNR", result.stdout)


def test_demo_on_ones_own_photograph(photograph: Path, tiny_weights: Path, tmp_path: Path) -> None:
    result = run("demo", "--out", tmp_path / "demo", "--model", tiny_weights, "--image", photograph)
    assert result.exit_code == 0, result.output
    assert load_scene(tmp_path / "demo" / "result.tif").shape == (31, 12, 14)


def test_demo_refuses_what_it_cannot_use(photograph: Path, tiny_weights: Path, tmp_path: Path) -> None:
    model = ("--model", tiny_weights)
    assert_refused(run("demo", "--out", tmp_path / "a" / "b", *model, "--image", photograph), "parent")
    assert_refused(run("demo", "--out", photograph, *model, "--image", photograph), "file")
    assert_refused(run("demo", "--out", tmp_path / "demo", *model, "--image", tmp_path / "no.png"), "no.png")
    assert not (tmp_path / "demo").exists()


def test_consistency_of_a_perfect_result(tiny_weights: Path) -> None:
    from finewave.inference.corrections.consistency import consistency_psnr
    from finewave.physics.degradation import degrade
    from finewave.scene import make_scene
    from finewave.zoo.model import load_model

    model = load_model(tiny_weights)
    truth = make_scene(
        np.random.default_rng(0).random((31, 12, 16), dtype=np.float32), wavelengths=np.arange(400.0, 701, 10)
    )
    observed = degrade(truth, 2, sensor="nikon-d5100")
    observed = make_scene(observed.values)
    assert consistency_psnr(truth, observed, model) > 100
    assert consistency_psnr(truth, observed + 0.1, model) == pytest.approx(20, abs=0.01)
