"""Small files with known answers: readable files that were refused, and refusals that lead on (F)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from finewave.cli import main
from finewave.errors import InputError
from finewave.io.open_save import open_scene

pytestmark = [pytest.mark.cases, pytest.mark.filterwarnings("ignore:.*without a scale")]
FOUR = [490.0, 560.0, 665.0, 842.0]


def test_variable_is_chosen_in_python(cases: Path) -> None:
    path = cases / "F1_cli_has_no_variable" / "icvl.mat"
    with pytest.raises(InputError, match=r"choose one with variable= \(--variable\): rad .*, rgb"):
        open_scene(path)
    scene = open_scene(path, variable="rad")
    assert scene.shape == (31, 12, 14)
    assert scene.wavelength.values[[0, -1]].tolist() == [400, 700]
    assert open_scene(path, variable="rgb").shape == (3, 12, 14)


def test_variable_is_chosen_on_the_command_line(cases: Path, tmp_path: Path, tiny_weights: Path) -> None:
    source, out = cases / "F1_cli_has_no_variable" / "icvl.mat", tmp_path / "a.tif"
    arguments = ["predict", str(source), "-o", str(out), "--model", str(tiny_weights)]
    result = CliRunner().invoke(main, [*arguments, "--variable", "rgb"], standalone_mode=False)
    assert result.exception is None
    assert open_scene(out).shape == (31, 24, 28)


@pytest.mark.parametrize(("name", "nm"), [("rhos", [443.0, 492.0, 560.0, 665.0]), ("gdal", None)])
def test_one_variable_a_band(cases: Path, name: str, nm: list | None) -> None:
    scene = open_scene(cases / "F2_one_variable_a_band" / f"{name}.nc")
    assert scene.shape == (4, 8, 9)
    assert ("wavelength" in scene.coords) == (nm is not None)
    assert nm is None or scene.wavelength.values.tolist() == nm
    assert scene.rio.crs.to_epsg() == 32631
    assert float(scene.x[0]) == 500005
    other = open_scene(cases / "F2_one_variable_a_band" / "rhos.nc")  # both hold the same image; GDAL's rows go up
    np.testing.assert_array_equal(scene.sortby("y").values, other.sortby("y").values)


def test_time_axis_of_one(cases: Path) -> None:
    scene = open_scene(cases / "F3_time_of_one" / "time1.nc")
    assert scene.dims == ("band", "y", "x")
    assert scene.shape == (4, 8, 9)
    assert float(scene.y[0]) == 4399995


@pytest.mark.parametrize(("name", "nm"), [("mu_latin1", FOUR), ("brackets", FOUR), ("bom", None)])
def test_envi_headers_as_programs_write_them(cases: Path, name: str, nm: list | None) -> None:
    scene = open_scene(cases / "F4_envi_header_bytes" / f"{name}.hdr", full_scale=10000)
    np.testing.assert_allclose(scene.values, (np.arange(120).reshape(4, 5, 6) * 100 + 100) / 1e4, atol=1e-6)
    assert nm is None or scene.wavelength.values.tolist() == nm


@pytest.mark.parametrize("name", ["cam.hdr", "cam.hyspex"])
def test_data_file_with_an_extension_of_its_own(cases: Path, name: str) -> None:
    scene = open_scene(cases / "F5_extensions" / name)
    assert scene.shape == (4, 5, 6)
    assert scene.wavelength.values.tolist() == FOUR


def test_single_jpeg_2000(cases: Path) -> None:
    scene = open_scene(cases / "F5_extensions" / "one.jp2")
    assert scene.shape == (3, 24, 24)
    assert scene.rio.crs.to_epsg() == 32631


def test_hdf4_is_named(cases: Path) -> None:
    with pytest.raises(InputError, match=r"it is an HDF4 file: .*h4toh5"):
        open_scene(cases / "F5_extensions" / "hdf4.hdf")


def test_bare_zarr_array(cases: Path) -> None:
    scene = open_scene(cases / "F6_zarr_layouts" / "bare.zarr", full_scale=1)
    assert scene.shape == (4, 8, 9)
    assert np.all(scene.values == 7)


def test_zarr_groups_of_eopf(cases: Path) -> None:
    scene = open_scene(cases / "F6_zarr_layouts" / "eopf.zarr")
    assert scene.shape == (4, 8, 9)
    assert scene.band_name.values.tolist() == ["B2", "B3", "B4", "B8"]
    assert scene.attrs["sensor"] == "sentinel2a"
    np.testing.assert_allclose(scene.values, 2000 * 1e-4 - 0.1, atol=1e-6)


def test_pages_of_a_tiff(cases: Path) -> None:
    assert open_scene(cases / "F7_tiff_pages" / "pages.tif").shape == (31, 5, 6)


def test_struct_of_matlab(cases: Path) -> None:
    scene = open_scene(cases / "F8_mat_struct" / "struct.mat")
    assert scene.shape == (31, 12, 14)
    assert scene.wavelength.values[[0, -1]].tolist() == [400, 700]
