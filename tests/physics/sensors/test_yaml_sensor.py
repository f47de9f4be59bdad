"""Sensors of your own from a YAML file, bands behind a colon, MTFs of satellites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finewave.errors import InputError
from finewave.physics.sensors import get_sensor, split_bands

MODELLED = """
name: My_Camera
source: data sheet
mtf: 0.3
gsd_m: 5
bands:
  green: {centre_nm: 560, width_nm: 40}
  red: {centre_nm: 665, width_nm: 30, mtf: 0.2, gsd_m: 10}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sentinel2a:B2,B3", ("sentinel2a", "B2,B3")),
        ("sentinel2a", ("sentinel2a", None)),
        ("C:\\cameras\\mine.yaml", ("C:\\cameras\\mine.yaml", None)),
        ("C:/cameras/mine.yaml", ("C:/cameras/mine.yaml", None)),
        ("C:\\cameras\\mine.yaml:red,nir", ("C:\\cameras\\mine.yaml", "red,nir")),
    ],
)
def test_the_colon_of_a_drive_is_not_that_of_bands(query: str, expected: tuple[str, str | None]) -> None:
    assert split_bands(query) == expected


def test_bands_by_centre_and_width(tmp_path: Path) -> None:
    sensor = get_sensor(write(tmp_path, MODELLED))
    assert (sensor.name, sensor.bands, sensor.source) == ("my-camera", ("green", "red"), "data sheet")
    np.testing.assert_allclose(sensor.centres, [560, 665], atol=0.01)
    upper = sensor.wavelengths[sensor.curves[1] >= 0.5]
    assert upper[-1] - upper[0] == 30
    assert sensor.mtf == (0.3, 0.2)
    assert sensor.ground_sampling_distances == (5, 10)
    assert sensor.nyquist_mtf == pytest.approx(np.sqrt(0.06))
    assert sensor.response(np.arange(400, 801, 10)).shape == (2, 41)


def test_measured_curves_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "curves.csv").write_text("wavelength_nm,a,b\n500,1,0\n600,1,1\n700,0,1\n")
    sensor = get_sensor(str(write(tmp_path, "response: curves.csv\nbands:\n  b: {mtf: 0.25}\n")))
    assert (sensor.name, sensor.bands, sensor.mtf) == ("mine", ("a", "b"), (None, 0.25))
    assert sensor.nyquist_mtf == 0.25
    np.testing.assert_array_equal(sensor.curves, [[1, 1, 0], [0, 1, 1]])


def test_bands_as_a_list(tmp_path: Path) -> None:
    sensor = get_sensor(write(tmp_path, "bands:\n- {name: x, centre_nm: 500, width_nm: 20}\n"))
    assert sensor.bands == ("x",)
    assert sensor.mtf is sensor.nyquist_mtf is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "not a mapping"),
        ("bands: {a: {centre_nm: 500, width_nm: 20}}\nmft: 0.3", "did you mean 'mtf'"),
        ("bands: {a: {center_nm: 500, width_nm: 20}}", "did you mean 'centre_nm'"),
        ("bands: {a: {centre_nm: 500}}", "band 'a': width_nm is missing"),
        ("bands: {a: {centre_nm: 500, width_nm: -20}}", "width_nm of band a is -20.*positive"),
        ("bands: {a: {centre_nm: 0.5, width_nm: 0.02}}", "micrometres"),
        ("bands: {a: {centre_nm: 500, width_nm: 20, mtf: 1.5}}", "mtf 1.5; an MTF at Nyquist lies between 0 and 1"),
        ("bands: {a: {centre_nm: 500, width_nm: 20, gsd_m: 5}, b: {centre_nm: 600, width_nm: 20}}", "lacks b"),
        ("name: x", "neither bands with centre_nm and width_nm nor response"),
        ("bands: 3", "bands is not of the form"),
        ("response: curves.csv", "curves.csv"),
        ("{", "cannot be read"),
    ],
)
def test_what_is_no_sensor_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_sensor(write(tmp_path, text))


def test_bands_behind_a_colon(tmp_path: Path) -> None:
    assert get_sensor("sentinel2a:B02,B03,B04,B08").bands == ("B2", "B3", "B4", "B8")
    assert get_sensor("Sentinel-2A: b8a").bands == ("B8A",)
    assert get_sensor(f"{write(tmp_path, MODELLED)}:red").mtf == (0.2,)
    with pytest.raises(InputError, match="unknown band of sensor sentinel2a"):
        get_sensor("sentinel2a:B22")
    with pytest.raises(InputError, match="no band of 'sentinel2a' selected"):
        get_sensor("sentinel2a:")
    with pytest.raises(InputError, match="unknown sensor"):
        get_sensor("sentinel7:B2")


@pytest.mark.parametrize(
    ("name", "band", "mtf"),
    [
        ("sentinel2a", "B4", 0.24),
        ("sentinel2a", "B10", None),
        ("ikonos", "red", 0.29),
        ("quickbird", "nir", 0.22),
        ("worldview2", "nir2", 0.27),
        ("worldview3", "blue", 0.355),
        ("worldview3", "swir1", None),
    ],
)
def test_mtf_of_satellites(name: str, band: str, mtf: float | None) -> None:
    sensor = get_sensor(name, bands=band)
    assert sensor.mtf == (mtf,)
    assert "MTF" in sensor.source


@pytest.mark.parametrize("name", ["sentinel2b", "landsat8", "landsat9"])
def test_no_mtf_is_made_up(name: str) -> None:
    assert get_sensor(name).mtf is get_sensor(name).nyquist_mtf is None
