"""Small files with known answers: wavelengths, widths and flags (D)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finewave.io.open_save import open_scene
from finewave.warnings import FinewaveWarning

pytestmark = pytest.mark.cases
FOUR = [490.0, 560.0, 665.0, 842.0]


@pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")
def test_range_in_a_name_is_its_middle(cases: Path) -> None:
    scene = open_scene(cases / "A6_wavelength_range_in_name" / "desc.tif")
    assert scene.wavelength.values.tolist() == [480.0, 545.0, 660.0, 832.5]


@pytest.mark.parametrize("extension", ["h5", "nc"])
def test_width_without_a_unit_is_in_that_of_the_wavelengths(cases: Path, extension: str) -> None:
    scene = open_scene(cases / "D1_fwhm_times_1000" / f"a.{extension}")
    assert scene.fwhm.values.tolist() == [8.0] * 31
    assert scene.wavelength.values[[0, -1]].tolist() == [400.0, 700.0]


def test_width_of_neon(cases: Path) -> None:
    assert open_scene(cases / "C4_neon_h5" / "ABCD.h5").fwhm.values.tolist() == [5.0] * 10


def test_group_of_sensor_band_parameters(cases: Path) -> None:
    scene = open_scene(cases / "D2_emit_groups" / "EMIT_L2A_RFL.nc")
    assert scene.shape == (20, 16, 18)
    np.testing.assert_allclose(scene.wavelength.values[[0, -1]], [381, 2493])
    assert scene.fwhm.values.tolist() == [8.5] * 20
    assert np.flatnonzero(~scene.good_band.values).tolist() == [9, 10]
    assert np.isnan(scene.values).sum() == 20


def test_image_in_a_group(cases: Path) -> None:
    scene = open_scene(cases / "D2_emit_groups" / "groups_only.nc")
    assert scene.shape == (5, 8, 9)
    np.testing.assert_allclose(scene.wavelength.values, [400, 475, 550, 625, 700])


@pytest.mark.parametrize("name", ["nanometers", "nanometer", "micrometers", "cf_name"])
def test_unit_of_a_band_coordinate(cases: Path, name: str) -> None:
    assert open_scene(cases / "D3_band_coordinate_units" / f"{name}.nc").wavelength.values.tolist() == FOUR


def test_names_as_band_coordinate(cases: Path) -> None:
    scene = open_scene(cases / "D3_band_coordinate_units" / "names_lost.nc")
    assert scene.band_name.values.tolist() == ["B02", "B03", "B04", "B08"]


@pytest.mark.parametrize("name", ["attr.h5", "bands.mat"])
def test_wavelengths_by_attribute_or_a_list_called_bands(cases: Path, name: str) -> None:
    scene = open_scene(cases / "D4_h5_attribute_wavelengths" / name)
    assert scene.shape == (31, 12, 14)
    assert scene.wavelength.values.tolist() == np.arange(400.0, 701, 10).tolist()


@pytest.mark.filterwarnings("ignore:.*without a scale")
@pytest.mark.parametrize(("name", "said"), [("count", "has 3 wavelengths for 4 bands"), ("zero", "holds 0, which")])
def test_wavelengths_that_cannot_be_used_are_named(cases: Path, name: str, said: str) -> None:
    with pytest.warns(FinewaveWarning, match=f"its list wavelength {said}.*--wavelengths"):
        scene = open_scene(cases / "D5_dropped_without_a_word" / f"{name}.hdr")
    assert "wavelength" not in scene.coords
