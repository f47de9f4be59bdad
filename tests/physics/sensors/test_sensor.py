"""Sensors: bands, coverage, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from finewave import FinewaveWarning, InputError, get_sensor
from finewave.physics.sensors import Sensor, list_sensors

CAVE = np.arange(400.0, 701.0, 10.0)


def boxes(*edges: tuple[float, float]) -> Sensor:
    wavelengths = np.arange(300.0, 1001.0)
    curves = np.stack([((wavelengths >= low) & (wavelengths <= high)).astype(float) for low, high in edges])
    return Sensor("boxes", tuple(f"b{i}" for i in range(len(edges))), wavelengths, curves)


def test_selection_by_name_and_index() -> None:
    sensor = get_sensor("sentinel2")
    assert sensor.select(["B4", "b3", "B2"]).bands == ("B4", "B3", "B2")
    assert sensor.select([0, -1]).bands == ("B1", "B12")
    assert sensor.select("B8a").ground_sampling_distances == (20.0,)
    chosen = sensor.response(CAVE, bands=["B4", "B2"])
    np.testing.assert_array_equal(chosen, sensor.response(CAVE, bands=["B2", "B4"])[::-1])
    np.testing.assert_array_equal(chosen, get_sensor("sentinel2", bands=[3, 1]).response(CAVE))


@pytest.mark.parametrize(
    ("bands", "message"),
    [("B8B", "'B8B'.*did you mean 'B8"), (13, "no band 13.*0 to 12"), (-14, "no band -14"), ([], "no band")],
)
def test_bands_that_do_not_exist(bands: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_sensor("sentinel2", bands=bands)  # type: ignore[arg-type]


def test_bands_outside_the_scene_are_refused_with_those_that_fit() -> None:
    with pytest.raises(InputError, match=r"400-700 nm.*sentinel2a.*B8A \(85\d-87\d nm, 0% covered\)") as refused:
        get_sensor("sentinel2").response(CAVE)
    assert str(refused.value).endswith("choose bands that fit: sentinel2a:B1,B2,B3,B4,B5")
    with pytest.warns(FinewaveWarning, match="56% of band B5") as told:
        assert get_sensor("sentinel2").response(CAVE, bands=["B1", "B2", "B3", "B4", "B5"]).shape == (5, 31)
    assert told[0].filename == __file__, "the warning points at the caller"


def test_a_refusal_of_an_imaging_spectrometer_does_not_list_all_its_bands() -> None:
    with pytest.raises(InputError, match=r"223 bands that fit: enmap:1,\.\.\.,223") as caught:
        get_sensor("enmap").response(np.linspace(420, 2440, 300))
    assert len(str(caught.value)) < 300
    with pytest.raises(InputError, match="others; choose among") as caught:
        get_sensor("enmap").response(np.linspace(420, 900, 100))
    assert len(str(caught.value)) < 1000


def test_a_sensor_elsewhere_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"'nikon-d5100' \(380-780 nm\) does not overlap.*900-1000 nm"):
        get_sensor("nikon-d5100").response(np.arange(900.0, 1001.0, 10.0))


def test_no_band_fits() -> None:
    with pytest.raises(InputError, match="no band of it fits"):
        boxes((680, 800), (690, 900)).response(CAVE)


def test_half_of_a_band_must_be_covered() -> None:
    # The last band of CAVE reaches to 705 nm: 59.5 of 101 nm here, then 40.5.
    with pytest.warns(FinewaveWarning, match="only 59% of band b0"):
        half = boxes((645.5, 746.5)).response(CAVE)
    np.testing.assert_allclose(half.sum(), 1.0)
    with pytest.raises(InputError, match="40% covered"):
        boxes((664.5, 765.5)).response(CAVE)
    with pytest.warns(FinewaveWarning, match="40%"):
        boxes((664.5, 765.5)).response(CAVE, min_coverage=0.3)


def test_a_band_in_a_hole_is_refused() -> None:
    scene = np.concatenate([np.arange(900.0, 1351.0, 10.0), np.arange(1450.0, 1801.0, 10.0)])
    with pytest.raises(InputError, match="B10"):
        get_sensor("sentinel2").response(scene, bands=["B9", "B10", "B11"])
    np.testing.assert_allclose(get_sensor("sentinel2").response(scene, bands=["B9", "B11"]).sum(axis=1), 1)


def test_covered_bands_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        get_sensor("nikon-d5100").response(CAVE)
        get_sensor("srgb").response(CAVE)


@pytest.mark.parametrize(
    ("wavelengths", "message"),
    [
        ([500.0], "at least two"),
        ([[400.0, 500.0]], "at least two"),
        ([400.0, np.nan], "finite"),
        ([-400.0, 500.0], "positive"),
        ([0.4, 0.5, 0.6], "micrometres"),
        ([400.0, 500.0, 500.0], "500 nm is given more than once"),
    ],
)
def test_wavelengths_that_cannot_be_used(wavelengths: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_sensor("sentinel2").response(wavelengths)


@pytest.mark.parametrize(
    ("wavelengths", "curves", "message"),
    [
        ([400.0, 500.0], [[1.0, 1.0, 1.0]], r"\(1, 3\)"),
        ([500.0, 400.0], [[1.0, 1.0]], "increasing"),
        ([400.0, 500.0], [[1.0, np.inf]], "NaN or infinite"),
        ([400.0, 500.0], [[0.0, 0.0]], "area under its response is 0"),
    ],
)
def test_curves_that_make_no_sensor(wavelengths: list[float], curves: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sensor("test", ("a",), np.array(wavelengths), np.array(curves))


@pytest.mark.parametrize("name", ["Sentinel-2A", "SENTINEL2A", "sentinel_2a", "sentinel2"])
def test_spelling_of_names(name: str) -> None:
    assert get_sensor(name).name == "sentinel2a"


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(InputError, match="'worldview-33'; did you mean 'worldview3'"):
        get_sensor("worldview-33")


def test_every_listed_sensor_exists_and_has_a_source() -> None:
    names = list_sensors()
    assert {"nikon-d5100", "srgb", "cie1931", "sentinel2", "landsat8", "worldview3", "ikonos"} <= set(names)
    for name in names:
        sensor = get_sensor(name)
        assert sensor.source, name
        assert sensor.description, name
        wide = np.arange(360.0, 2500.0, 5.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FinewaveWarning)
            np.testing.assert_allclose(sensor.response(wide).sum(axis=1), 1.0, rtol=1e-12)


def test_a_sensor_is_passed_through() -> None:
    sensor = boxes((400, 500), (500, 600))
    assert get_sensor(sensor) is sensor
    assert get_sensor(sensor, bands="b1").bands == ("b1",)


def test_representation_names_bands_and_range() -> None:
    assert repr(boxes((400, 500))) == "Sensor('boxes', bands b0, 300-1000 nm)"
