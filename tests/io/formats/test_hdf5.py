"""HDF5 as other programs write it with h5py."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from finewave.errors import InputError
from finewave.io.open_save import open_scene, save_scene
from finewave.warnings import FinewaveWarning
from tests.io.scene_helpers import full_scene

VALUES = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4)


def test_h5py_finds_what_we_write(tmp_path: Path) -> None:
    scene = full_scene()
    save_scene(scene, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["scene"][()], scene.values)
        np.testing.assert_array_equal(file["wavelength"][()], scene.coords["wavelength"])
        assert "crs_wkt" in file["spatial_ref"].attrs


@pytest.mark.parametrize(
    ("name", "units", "numbers"),
    [
        ("wavelengths", None, [500.0, 750.0]),
        ("wavelengths", "um", [0.5, 0.75]),
        ("wavelengths", None, [0.5, 0.75]),
        ("wavelengths_nm", None, [500, 750]),
        ("Center_Wavelengths", b"nanometers", [500, 750]),
        ("lambda", None, [500, 750]),
        ("meta/spectral/Wavelength", None, [[500, 750]]),
    ],
)
def test_wavelengths(tmp_path: Path, name: str, units: object, numbers: list) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = VALUES
        file[name] = np.array(numbers)
        file["fwhm_nm"] = [10.0, 20.0]
        if units:
            file[name].attrs["units"] = units
    scene = open_scene(tmp_path / "a.h5")
    np.testing.assert_array_equal(scene.coords["wavelength"], [500, 750])
    np.testing.assert_array_equal(scene.coords["fwhm"], [10, 20])


@pytest.mark.parametrize(
    ("shape", "known", "expected_axis"),
    [
        ((4, 6, 5), None, 0),  # the shortest
        ((6, 6, 31), None, 2),  # the one that differs from two equal ones
        ((31, 6, 6), None, 0),
        ((6, 31, 6), None, 1),
        ((5, 7, 6), 6, 2),  # as long as the wavelengths
        ((7, 6, 6), 6, 1),
        ((4, 4, 4), None, 0),
    ],
)
def test_band_axis(tmp_path: Path, shape: tuple, known: int | None, expected_axis: int) -> None:
    values = np.random.default_rng(0).random(shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = values
        if known:
            file["wavelength"] = np.linspace(400, 700, known)
    scene = open_scene(tmp_path / "a.h5")
    np.testing.assert_array_equal(scene.values, np.moveaxis(values, expected_axis, 0))
    for axis in (0, 1, -1):
        np.testing.assert_array_equal(
            open_scene(tmp_path / "a.h5", band_axis=axis).values, np.moveaxis(values, axis, 0)
        )
    given = np.linspace(400, 700, shape[-1])
    if shape.count(shape[-1]) == 1:
        scene = open_scene(tmp_path / "a.h5", wavelengths=given)
        np.testing.assert_array_equal(scene.values, np.moveaxis(values, 2, 0))
    with pytest.raises(InputError, match=r"band_axis=3 .* three axes"):
        open_scene(tmp_path / "a.h5", band_axis=3)


def test_several_cubes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["HDFEOS/vnir/cube"] = VALUES
        file["HDFEOS/swir/cube"] = VALUES * 2
        file["text"] = "a note"
    with pytest.raises(InputError, match=r"variable= \(--variable\): HDFEOS/swir/cube \(2, 3, 4\), HDFEOS/vnir/cube"):
        open_scene(tmp_path / "a.h5")
    scene = open_scene(tmp_path / "a.h5", variable="/HDFEOS/swir/cube")
    np.testing.assert_array_equal(scene.values, VALUES * 2)


def test_scale_and_fill_attributes(tmp_path: Path) -> None:
    numbers = np.full((2, 3, 4), 500, np.uint16)
    numbers[0, 0, 0] = 9
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = numbers
        file["cube"].attrs.update(scale_factor=np.float32(0.25), add_offset=[1.0], _FillValue=np.uint16(9))
    scene = open_scene(tmp_path / "a.h5")
    assert np.isnan(scene.values[0, 0, 0])
    np.testing.assert_array_equal(scene.values[1], 126)


def test_integers_without_a_scale(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = np.full((2, 3, 4), 51, np.uint8)
    with pytest.warns(FinewaveWarning, match="assumed that 255"):
        scene = open_scene(tmp_path / "a.h5")
    np.testing.assert_allclose(scene.values, 0.2, rtol=1e-6)


def test_nothing_to_open(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["spectrum"] = np.ones(7)
        file["text"] = ["a", "b"]
    with pytest.raises(InputError, match=r"no 3-D array of numbers .*spectrum \(7,\)"):
        open_scene(tmp_path / "a.h5")
    with pytest.raises(InputError, match=r"'spectrum' .* has shape \(7,\); a scene needs three axes"):
        open_scene(tmp_path / "a.h5", variable="spectrum")


def test_closing_releases_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = VALUES
    scene = open_scene(tmp_path / "a.h5")
    scene.close()
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        assert "cube" in file
