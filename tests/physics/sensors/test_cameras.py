"""Cameras and observers against colour-science's own tables and integrals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import colour
import numpy as np
import pytest

from finewave import get_sensor

# colour tells whenever it brings spectra to one grid.
pytestmark = pytest.mark.filterwarnings("ignore::colour.utilities.ColourRuntimeWarning")

CAVE = np.arange(400.0, 701.0, 10.0)


def reflectance(seed: int) -> colour.SpectralDistribution:
    """Smooth curve in [0, 1] from 360 to 780 nm at 1 nm."""
    wavelengths = np.arange(360, 781)
    generator = np.random.default_rng(seed)
    waves = [a * np.sin(wavelengths / p + b) for a, b, p in generator.uniform([0, 0, 20], [1, 6, 90], (4, 3))]
    values = 0.5 + 0.12 * np.sum(waves, axis=0)
    return colour.SpectralDistribution(values, wavelengths)


@pytest.mark.parametrize(
    ("name", "bands", "table"),
    [
        ("nikon-d5100", "RGB", colour.MSDS_CAMERA_SENSITIVITIES["Nikon 5100 (NPL)"]),
        ("sigma-sd-merrill", "RGB", colour.MSDS_CAMERA_SENSITIVITIES["Sigma SDMerill (NPL)"]),
        ("cie1931", "XYZ", colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]),
    ],
)
def test_curves_are_those_of_colour_science_to_the_last_digit(name: str, bands: str, table: Any) -> None:
    sensor = get_sensor(name)
    assert "".join(sensor.bands) == bands
    np.testing.assert_array_equal(sensor.wavelengths, table.wavelengths)
    np.testing.assert_array_equal(sensor.curves, table.values.T)


def test_srgb_is_made_of_colour_sciences_tables() -> None:
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
    daylight = colour.SDS_ILLUMINANTS["D65"]
    light = np.interp(observer.wavelengths, daylight.wavelengths, daylight.values)
    curves = colour.RGB_COLOURSPACES["sRGB"].matrix_XYZ_to_RGB @ (observer.values.T * light)
    np.testing.assert_allclose(get_sensor("srgb").curves, curves, rtol=1e-12, atol=1e-12)


def test_the_response_is_normalized() -> None:
    table = colour.MSDS_CAMERA_SENSITIVITIES["Nikon 5100 (NPL)"]
    response = get_sensor("nikon-d5100").response(np.asarray(table.wavelengths))
    np.testing.assert_allclose(response, (table.values / table.values.sum(axis=0)).T, atol=1e-15)


def test_nikon_on_the_bands_of_cave() -> None:
    response = get_sensor("Nikon_D5100").response(CAVE)
    assert response.shape == (3, 31)
    np.testing.assert_allclose(response.sum(axis=1), 1.0, rtol=1e-14)
    assert [CAVE[row.argmax()] for row in response] == [600, 530, 460]
    assert response.min() >= 0


@pytest.mark.parametrize("seed", range(5))
def test_srgb_is_colours_own_integral(seed: int) -> None:
    spectrum = reflectance(seed)
    xyz = colour.sd_to_XYZ(
        spectrum,
        colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"],
        colour.SDS_ILLUMINANTS["D65"],
        method="Integration",
    )
    theirs = colour.RGB_COLOURSPACES["sRGB"].matrix_XYZ_to_RGB @ (xyz / 100)
    ours = get_sensor("srgb").response(np.asarray(spectrum.wavelengths)) @ spectrum.values
    # The standard's matrix has four digits, so that its white is off by 2e-4.
    np.testing.assert_allclose(ours, theirs, atol=5e-4)


@pytest.mark.parametrize("wavelengths", [CAVE, np.arange(360.0, 831.0), np.arange(395.0, 760.0, 7.0)])
def test_white_is_one_in_srgb(wavelengths: np.ndarray) -> None:
    response = get_sensor("srgb").response(wavelengths)
    np.testing.assert_allclose(response @ np.ones(wavelengths.size), [1.0, 1.0, 1.0], rtol=1e-13)
    assert response.min() < 0, "saturated greens lie outside of sRGB"


@pytest.mark.parametrize("seed", range(3))
def test_srgb_from_the_bands_of_cave(seed: int) -> None:
    spectrum = reflectance(seed)
    full = get_sensor("srgb").response(np.asarray(spectrum.wavelengths)) @ spectrum.values
    coarse = get_sensor("srgb").response(CAVE) @ np.interp(CAVE, spectrum.wavelengths, spectrum.values)
    # What is lost: the ends beyond 400 and 700 nm, and curvature within 10 nm.
    np.testing.assert_allclose(coarse, full, atol=5e-3)


@pytest.mark.parametrize("seed", range(3))
def test_cie1931_is_colours_own_integral(seed: int) -> None:
    spectrum = reflectance(seed)
    xyz = colour.sd_to_XYZ(spectrum, method="Integration", illuminant=colour.SDS_ILLUMINANTS["E"])
    white = colour.sd_to_XYZ(
        colour.SpectralDistribution(np.ones(421), np.arange(360, 781)),
        method="Integration",
        illuminant=colour.SDS_ILLUMINANTS["E"],
    )
    ours = get_sensor("cie1931").response(np.asarray(spectrum.wavelengths)) @ spectrum.values
    np.testing.assert_allclose(ours, xyz / white, atol=1e-4)


def test_sensors_need_neither_colour_science_nor_pytorch() -> None:
    code = (
        "import sys; sys.modules['colour'] = None; import finewave; from finewave.physics.sensors import list_sensors; "
        "[finewave.get_sensor(name) for name in list_sensors()]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


def test_the_nikon_d700_of_fusion_experiments() -> None:
    """Whole numbers whose quotients by their sums are the response of MulSR's public code, rows of sum 1."""
    sensor = get_sensor("Nikon D700")
    assert (sensor.name, sensor.bands, sensor.curves.sum(axis=1).tolist()) == (
        "nikon-d700",
        ("R", "G", "B"),
        [255, 203, 251],
    )
    response = sensor.response(np.arange(400.0, 701.0, 10.0))
    np.testing.assert_allclose(response, sensor.curves / sensor.curves.sum(axis=1, keepdims=True), rtol=0, atol=1e-12)
    printed = [[0.0078, 0.0078, 0.0667], [0.0049, 0.0788, 0.0099], [0.0279, 0, 0.0040]]  # at 400, 560 and 700 nm
    np.testing.assert_allclose(response[:, [0, 16, 30]], printed, rtol=0, atol=5e-5)
    assert "Dong et al." in sensor.source


@pytest.mark.data
def test_the_nikon_d700_equals_the_file_in_circulation(real_images: Path) -> None:
    table = np.loadtxt(real_images / "srf" / "nikon_d700_cave31.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(get_sensor("nikon-d700").response(table[:, 0]), table[:, 1:].T, rtol=0, atol=1e-10)
