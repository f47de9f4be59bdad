"""MATLAB files: SciPy and h5py as independent readers and writers."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from finewave.errors import InputError
from finewave.io.open_save import open_scene, save_scene
from finewave.warnings import FinewaveWarning
from tests.io.scene_helpers import WAVELENGTHS, full_scene, names_in

# Rows x columns x bands, as MATLAB shows it.
CUBE = np.random.default_rng(0).random((5, 6, 4))


def write_73(path: Path, **variables: np.ndarray) -> None:
    """Write as MATLAB does: its axes in reverse, the class of each variable in an attribute."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            file[name] = np.transpose(value)
            file[name].attrs["MATLAB_class"] = np.bytes_("double")


def test_scipy_finds_everything(tmp_path: Path) -> None:
    scene = full_scene()
    save_scene(scene, tmp_path / "a.mat")
    content = scipy.io.loadmat(tmp_path / "a.mat")
    np.testing.assert_array_equal(content["scene"], np.moveaxis(scene.values, 0, -1))
    assert content["wavelengths_nm"].ravel().tolist() == WAVELENGTHS
    assert content["fwhm_nm"].ravel().tolist() == [10.0, 12.5, 20.0, 90.0]
    assert content["good_bands"].ravel().tolist() == [1, 1, 0, 1]
    assert content["band_names"].item().split("\n")[2] == "red edge"
    assert "UTM zone 31N" in content["crs_wkt"].item()
    assert content["transform"].ravel().tolist() == [10, 0, 500_000, 0, -10, 4_000_000]


def test_h5py_finds_everything(tmp_path: Path) -> None:
    scene = full_scene()
    save_scene(scene, tmp_path / "a.mat", version="7.3", name="cube", dtype="int16", full_scale=1000)
    assert (tmp_path / "a.mat").read_bytes().startswith(b"MATLAB 7.3 MAT-file")
    assert (tmp_path / "a.mat").read_bytes()[124:128] == b"\x00\x02IM"
    with h5py.File(tmp_path / "a.mat") as file:
        # Bands x columns x rows, which MATLAB shows as rows x columns x bands.
        assert file["cube"].shape == (4, 5, 7)
        assert file["cube"].attrs["MATLAB_class"] == b"int16"
        assert file["cube"][1, 2, 3] == round(float(scene.values[1, 3, 2]) * 1000)
        assert "".join(chr(c) for c in file["band_names"][()].ravel()).startswith("blue\ngreen")


@pytest.mark.parametrize("version", ["5", "7.3"])
class TestFilesOfOthers:
    def write(self, path: Path, version: str, **variables: np.ndarray) -> Path:
        if version == "5":
            scipy.io.savemat(path, variables)
        else:
            write_73(path, **{name: np.atleast_2d(value) for name, value in variables.items()})
        return path

    def test_rows_columns_bands(self, tmp_path: Path, version: str) -> None:
        scene = open_scene(self.write(tmp_path / "a.mat", version, ref=CUBE, mean=CUBE.mean(axis=2)))
        np.testing.assert_array_equal(scene.values, np.moveaxis(CUBE, -1, 0))
        assert scene.dtype == np.float64

    @pytest.mark.parametrize("name", ["wavelength", "lambda", "wl_nm", "Wavelengths"])
    def test_wavelengths(self, tmp_path: Path, version: str, name: str) -> None:
        path = self.write(tmp_path / "a.mat", version, ref=CUBE, **{name: np.array([400, 500, 600, 700.0])})
        np.testing.assert_array_equal(open_scene(path).coords["wavelength"], [400, 500, 600, 700])

    def test_bands_first_when_the_wavelengths_say_so(self, tmp_path: Path, version: str) -> None:
        wavelengths = np.linspace(400, 700, 5)
        path = self.write(tmp_path / "a.mat", version, ref=CUBE, wavelength=wavelengths)
        np.testing.assert_array_equal(open_scene(path).values, CUBE)
        path = self.write(tmp_path / "b.mat", version, ref=CUBE)
        np.testing.assert_array_equal(open_scene(path, wavelengths=wavelengths).values, CUBE)
        np.testing.assert_array_equal(open_scene(path, band_axis=1).values, np.moveaxis(CUBE, 1, 0))

    def test_wavelengths_of_something_else(self, tmp_path: Path, version: str) -> None:
        path = self.write(tmp_path / "a.mat", version, ref=CUBE, wavelength=np.linspace(400, 700, 9))
        scene = open_scene(path)
        assert scene.shape == (4, 5, 6)
        assert "wavelength" not in scene.coords

    def test_several_cubes(self, tmp_path: Path, version: str) -> None:
        path = self.write(tmp_path / "a.mat", version, msi=CUBE[..., :3], ref=CUBE)
        with pytest.raises(InputError, match=r"variable= \(--variable\): msi \(5, 6, 3\), ref \(5, 6, 4\)"):
            open_scene(path)
        np.testing.assert_array_equal(open_scene(path, variable="ref").values, np.moveaxis(CUBE, -1, 0))

    def test_two_axes_are_one_band(self, tmp_path: Path, version: str) -> None:
        path = self.write(tmp_path / "a.mat", version, grey=CUBE[..., 0], ref=CUBE)
        np.testing.assert_array_equal(open_scene(path, variable="grey").values, CUBE[None, ..., 0])

    def test_no_cube(self, tmp_path: Path, version: str) -> None:
        path = self.write(tmp_path / "a.mat", version, spectrum=np.ones(7))
        with pytest.raises(InputError, match=r"no 3-D array .*spectrum \(1, 7\)"):
            open_scene(path)


def test_integers_without_a_scale(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"ref": np.full((3, 4, 2), 51, np.uint8)})
    with pytest.warns(FinewaveWarning, match="assumed that 255"):
        scene = open_scene(tmp_path / "a.mat")
    np.testing.assert_allclose(scene.values, 0.2, rtol=1e-6)


def test_a_variable_that_is_no_array_of_numbers(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"ref": CUBE, "info": {"a": 1}, "note": "text"})
    assert open_scene(tmp_path / "a.mat").shape == (4, 5, 6)
    for name in ("info", "note"):
        with pytest.raises(InputError, match=f"'{name}'.*(does not hold numbers|three axes|did you mean)"):
            open_scene(tmp_path / "a.mat", variable=name)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"version": "6"}, "unknown MATLAB version '6'"),
        ({"name": "2x"}, "'2x' cannot be the name"),
        ({"name": "fwhm_nm"}, "'fwhm_nm' cannot be the name"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        save_scene(full_scene(), tmp_path / "a.mat", **options)
    assert names_in(tmp_path) == set()
