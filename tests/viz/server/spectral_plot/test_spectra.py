from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finewave.io.open_save import save_scene
from finewave.scene import make_scene
from finewave.viz.scene_pair import open_scene_pair
from finewave.viz.server.spectral_plot import spectra
from finewave.viz.server.spectral_plot.spectra import RegionOfInterest, RegionSpectrum, Superseded, spectrum
from finewave.viz.server.spectral_plot.spectra_panel import _line
from tests.viz.views import WAVELENGTHS, opened


def test_a_pixel_is_read_as_it_is_stored(tmp_path: Path) -> None:
    view = opened(tmp_path)
    found = spectrum(view.result, RegionOfInterest(9, 10, 21, 22))
    assert found is not None
    np.testing.assert_array_equal(found.axis, WAVELENGTHS)
    np.testing.assert_allclose(found.mean, view.result.scene.values[:, 21, 9], rtol=1e-6)
    assert found.pixels == 1
    assert np.all(found.spread < 1e-6)


def test_the_input_is_read_at_the_same_place(tmp_path: Path) -> None:
    layer = opened(tmp_path).layers["input"]
    found = spectrum(layer, RegionOfInterest(9, 10, 21, 22))
    assert found is not None
    np.testing.assert_allclose(found.mean, layer.scene.values[:, 5, 2], rtol=1e-6)


@pytest.mark.parametrize("strip", [2**22, 100])
def test_a_region_has_mean_and_spread(strip: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectra, "_STRIP", strip)
    layer = opened(tmp_path).result
    found = spectrum(layer, RegionOfInterest(3, 40, 5, 44))
    assert found is not None
    part = layer.scene.values[:, 5:44, 3:40].astype(np.float64)
    np.testing.assert_allclose(found.mean, part.mean((1, 2)), rtol=1e-9)
    np.testing.assert_allclose(found.spread, part.std((1, 2)), rtol=1e-6)
    assert found.pixels == 37 * 39


def test_missing_pixels_do_not_count_and_bands_are_in_order(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float64).reshape(3, 2, 2)
    values[1, 0, 0] = np.nan
    values[2] = np.nan
    save_scene(make_scene(values, [700, 500, 600]), tmp_path / "a.tif")
    found = spectrum(open_scene_pair(tmp_path / "a.tif").result, RegionOfInterest(0, 2, 0, 2))
    assert found is not None
    np.testing.assert_array_equal(found.axis, [500, 600, 700])
    np.testing.assert_array_equal(found.mean, [6, np.nan, 1.5])


def test_bands_flagged_bad_have_no_value(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    save_scene(make_scene(values, [500, 600, 700], good_bands=[True, False, True]), tmp_path / "a.tif")
    found = spectrum(open_scene_pair(tmp_path / "a.tif").result, RegionOfInterest(0, 1, 0, 1))
    assert found is not None
    np.testing.assert_array_equal(found.mean, [0, np.nan, 8])
    np.testing.assert_array_equal(found.spread, [0, np.nan, 0])


def test_no_line_crosses_bands_that_are_left_out() -> None:
    axis, mean = np.array([400.0, 410, 420, 800, 810]), np.arange(5.0)
    drawn = _line(RegionSpectrum(axis, mean, np.zeros(5), 1), np.full(5, 0.5))
    np.testing.assert_array_equal(drawn["axis"], [400, 410, 420, np.nan, 800, 810])
    np.testing.assert_array_equal(drawn["mean"], [0, 1, 2, np.nan, 3, 4])
    np.testing.assert_array_equal(drawn["high"], [0.5, 1.5, 2.5, np.nan, 3.5, 4.5])
    assert {len(each) for each in drawn.values()} == {6}


def test_outside_there_is_nothing(tmp_path: Path) -> None:
    layer = opened(tmp_path).result
    assert spectrum(layer, RegionOfInterest(-5, -1, 0, 4)) is None
    assert RegionOfInterest(-5, 3, -2, 900).within(64, 48) == RegionOfInterest(0, 3, 0, 48)
    assert RegionOfInterest(64, 70, 0, 4).within(64, 48) is None


def test_what_is_no_longer_wanted_stops(tmp_path: Path) -> None:
    with pytest.raises(Superseded):
        spectrum(opened(tmp_path).result, RegionOfInterest(0, 10, 0, 10), lambda: True)
