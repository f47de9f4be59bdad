"""Half-widths beside a result: in memory, in files, in tiles, with spots, and where a card has none."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from finewave.calibration.intervals import HeldOutErrors, calibrated
from finewave.cli import main
from finewave.errors import InputError
from finewave.inference.half_widths import half_widths_of
from finewave.inference.options import PredictOptions
from finewave.inference.predict import predict_file
from finewave.inference.super_resolve import super_resolve
from finewave.io.ground.spectral_library import Spectrum
from finewave.io.ground.spots import PIXELS, Spot
from finewave.io.open_save import load_scene, save_scene
from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import describe
from finewave.zoo.model import Model
from tests.inference.tiny_models import PLACE, scene_of

BANDS = [400.0, 450.0, 500.0, 550.0, 600.0, 650.0, 700.0]


@pytest.fixture(scope="module")
def model() -> Model:
    random = np.random.default_rng(5)
    scenes = [
        HeldOutErrors(str(number), random.random((7, 500), np.float32), random.random((500, 4))) for number in range(4)
    ]
    intervals = calibrated(scenes, "made up")
    net = create_model("ridge", ms_bands=3, hs_bands=7)
    torch.nn.init.uniform_(net.coefficients, 0.05, 0.3)
    card = describe(
        net, name="tiny", sensor="nikon-d5100", wavelengths_nm=BANDS, ms_bands=["red", "green", "blue"],
        ms_wavelengths_nm=[600.0, 540.0, 460.0], data={"intervals": intervals.to_card()},
    )  # fmt: skip
    return Model(net, card)


def test_memory_files_and_tiles_say_the_same(model: Model, tmp_path: Path) -> None:
    scene = scene_of(40, 44, **PLACE)
    result = super_resolve(scene, model, uncertainty=0.9)
    half = result.coords["uncertainty"]
    assert half.dims == ("band", "y", "x")
    assert (half.values > 0).all()
    assert half.attrs["quantity"].startswith("half-width within which 90% of the errors are expected, calibrated on")
    np.testing.assert_array_equal(result.values, super_resolve(scene, model).values)
    save_scene(scene, tmp_path / "a.tif")
    predict_file(tmp_path / "a.tif", tmp_path / "b.tif", model, uncertainty=True, tile=16)
    written = load_scene(tmp_path / "b.uncertainty.tif")
    np.testing.assert_allclose(written.values, half.values, rtol=1e-5)
    assert written.attrs["quantity"] == half.attrs["quantity"]
    lazy = super_resolve(scene.chunk({"y": 20}), model, uncertainty=0.9, tile=16, bands=[450.0, 600.0])
    np.testing.assert_allclose(lazy.coords["uncertainty"].values, half.values[[1, 4]], rtol=1e-5)


def test_a_larger_share_is_wider(model: Model) -> None:
    scene = scene_of(20, 20)
    narrow, wide = (super_resolve(scene, model, uncertainty=share).coords["uncertainty"] for share in (0.5, 0.95))
    assert (narrow.values < wide.values).all()


def test_it_is_narrower_where_a_spot_is(model: Model) -> None:
    scene = scene_of(40, 44)
    before = super_resolve(scene, model)
    spectrum = Spectrum(np.array(BANDS), before.values[:, 20, 20].astype(float))
    spot = Spot("a", np.array([[20.5, 20.5]]), spectrum, 0.5, PIXELS)
    plain = super_resolve(scene, model, uncertainty=0.9).coords["uncertainty"].values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FinewaveWarning)  # the random scene contradicts its spectrum
        anchored = super_resolve(scene, model, uncertainty=0.9, anchors=[spot]).coords["uncertainty"].values
    assert (anchored <= plain * (1 + 1e-6)).all()
    assert anchored[0, 20, 20] < 0.995 * plain[0, 20, 20]


def test_what_is_not_calibrated_is_refused(model: Model, tmp_path: Path) -> None:
    scene = scene_of(20, 20)
    with pytest.raises(InputError, match="finewave calibrate measures them"):
        super_resolve(scene, Model(create_model("ridge", ms_bands=3, hs_bands=7)), uncertainty=0.9)
    with pytest.raises(InputError, match="models of two images have none"):
        half_widths_of(Model(create_model("gsa", scale=2)), 0.9)
    with pytest.raises(InputError, match=r"uncertainty=0\.7"):
        super_resolve(scene, model, uncertainty=0.7)
    for value in (0.0, 1.0, 90.0, "90%"):
        with pytest.raises(InputError, match="a share of errors"):
            PredictOptions(uncertainty=value)
    with pytest.raises(InputError, match="--uncertainty or --spread"):
        PredictOptions(uncertainty=True, spread=True)
    result = CliRunner().invoke(main, ["calibrate", str(tmp_path)])
    assert result.exit_code == 2
    assert "does not hold a card.json" in result.stderr
    (tmp_path / "card.json").write_text("{}", encoding="utf-8")
    result = CliRunner().invoke(main, ["calibrate", str(tmp_path), "--picture", "a.xyz"])  # before any work
    assert "unknown extension of a figure '.xyz'" in result.output
