"""Small files with known answers: scale and offset (B) and missing pixels (C)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finewave.io.open_save import open_scene
from finewave.warnings import FinewaveWarning

pytestmark = [pytest.mark.cases, pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")]


def corner(path: Path, **options: object) -> list[float]:
    return np.round(open_scene(path, **options).values[:, 0, 0].astype(float), 6).tolist()


def test_reflectance_gains_of_an_envi_header(cases: Path) -> None:
    assert corner(cases / "B2_envi_reflectance_gains" / "gains.hdr") == [0.01, 0.31, 0.61, 1.92]


def test_envi_header_in_capitals(cases: Path) -> None:
    scene = open_scene(cases / "B3_envi_capital_keys" / "caps.hdr")
    np.testing.assert_allclose(scene.values[:, 0, 0], [0.02, 0.62, 1.22, 1.82], atol=1e-6)
    assert scene.good_band.values.tolist() == [True, True, True, False]
    assert scene.band_name.values.tolist() == ["blue", "green", "red", "nir"]


def test_alpha_does_not_turn_the_scale(cases: Path) -> None:
    with pytest.warns(FinewaveWarning, match=r"band 5 holds nothing but 0 and 65535 and was taken as a mask"):
        scene = open_scene(cases / "B4_alpha_turns_scale" / "five_bands.tif")
    assert scene.shape == (4, 5, 6)
    np.testing.assert_allclose(scene.values[:, 1, 1], [0.08, 0.38, 0.68, 0.98], atol=1e-6)
    assert np.isnan(scene.values[:, 0]).all()


def test_cloud_does_not_turn_the_scale(cases: Path) -> None:
    clear, cloudy = (open_scene(cases / "B5_cloud_turns_scale" / f"{name}.tif") for name in ("clear", "cloudy"))
    np.testing.assert_allclose(clear.values[:, 1, 1], [0.08, 0.38, 0.68, 0.98], atol=1e-6)
    np.testing.assert_allclose(cloudy.values[:, 1, 1], clear.values[:, 1, 1], atol=1e-9)


def test_scale_of_the_user_keeps_the_offset(cases: Path) -> None:
    assert corner(cases / "B7_full_scale_drops_offset" / "offset.tif", full_scale=10000) == [-0.09, 0.21, 0.51, 0.81]


@pytest.mark.parametrize(("name", "top"), [("eleven_bits", 1972 / 2047), ("one_bit", 1.0)])
def test_bits_in_use(cases: Path, name: str, top: float) -> None:
    with pytest.warns(FinewaveWarning, match=r"of the (11|1) bits that it uses \(state another: full_scale="):
        scene = open_scene(cases / "B8_bits_per_sample" / f"{name}.tif")
    assert float(scene.max()) == pytest.approx(top, abs=1e-6)


@pytest.mark.parametrize(
    "file", ["C1_nodata_rounded/e38_six_digits.tif", "C1_nodata_rounded/double_min.tif", "C2_internal_mask/masked.tif"]
)
def test_missing_rows(cases: Path, file: str) -> None:
    scene = open_scene(cases / file)
    assert np.isnan(scene.values[:, :8]).all()
    assert np.isfinite(scene.values[:, 8:]).all()
    assert scene.values[:, 8:].min() >= 0


def test_alpha_of_an_orthophoto(cases: Path) -> None:
    scene = open_scene(cases / "C3_alpha_of_orthophoto" / "rgba.tif")
    assert scene.shape == (3, 48, 48)
    assert np.isnan(scene.values[:, :8]).all()
    assert np.isfinite(scene.values[:, 8:]).all()


def test_ignored_number_of_neon(cases: Path) -> None:
    values = open_scene(cases / "C4_neon_h5" / "ABCD.h5").values
    assert np.isnan(values).sum() == 960
    assert np.nanmin(values) > 0.015
    assert np.nanmax(values) < 0.5
