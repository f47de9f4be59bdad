"""Small products with known answers, each laid out as users have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finewave.errors import InputError
from finewave.io.open_save import open_scene

pytestmark = [pytest.mark.cases, pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")]


def test_landsat_level_2_folder(cases: Path) -> None:
    scene = open_scene(cases / "A3_landsat_product_folder")
    assert scene.band_name.values.tolist() == ["B1", "B2", "B3", "B4", "B5", "B6", "B7"]
    numbers = 7273 + 1000 * np.arange(1, 8)
    np.testing.assert_allclose(scene.values[:, 5, 5], numbers * 2.75e-5 - 0.2, atol=1e-7)
    assert scene.attrs["sensor"] == "landsat9"


def test_landsat_level_1_folder(cases: Path) -> None:
    scene = open_scene(cases / "A4_landsat_l1_folder")
    assert scene.band_name.values.tolist() == [f"B{i}" for i in range(1, 10)]
    assert scene.attrs["sensor"] == "landsat8"
    assert float(scene.wavelength[3]) == 654.5


def test_sentinel_2c_and_saturated_pixels(cases: Path) -> None:
    scene = open_scene(next((cases / "A7_s2c_and_saturated").glob("*.SAFE")))
    assert scene.attrs["sensor"] == "sentinel2c"
    assert float(scene.wavelength[0]) == 489.0
    assert np.isnan(scene.values[:, -1, -1]).all()
    assert np.nanmax(scene.values) == pytest.approx(0.081, abs=1e-6)


def test_two_tiles_are_refused(cases: Path) -> None:
    with pytest.raises(InputError, match="holds 2 tiles"):
        open_scene(cases / "A8_safe_two_tiles" / "two.SAFE")


def test_inner_folder_of_sentinel_2(cases: Path) -> None:
    folder = cases / "B1_s2_img_data_folder" / "p.SAFE"
    scene = open_scene(next(folder.glob("GRANULE/*/IMG_DATA/R10m")))
    np.testing.assert_allclose(scene.values[:, 40, 40], [0.051, 0.061, 0.071, 0.081], atol=1e-6)
    assert np.isnan(scene.values[:, 0]).all()
    whole = open_scene(folder)
    np.testing.assert_array_equal(whole.sel(band=[1, 2, 3, 5]).values, scene.values)
