"""Zarr, checked against xarray and zarr-python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
import zarr

from finewave.errors import InputError
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import make_scene
from tests.io.scene_helpers import WAVELENGTHS, full_scene, names_in


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_xarray_and_rioxarray_find_everything(tmp_path: Path, zarr_format: int) -> None:
    scene = full_scene()
    save_scene(scene, tmp_path / "a.zarr", zarr_format=zarr_format)
    assert zarr.open_group(tmp_path / "a.zarr", mode="r").metadata.zarr_format == zarr_format
    with xr.open_dataset(tmp_path / "a.zarr", engine="zarr", chunks=None, decode_coords="all") as dataset:
        np.testing.assert_array_equal(dataset["scene"].values, scene.values)
        np.testing.assert_array_equal(dataset["wavelength"], WAVELENGTHS)
        assert dataset["scene"].rio.crs.to_epsg() == 32631
        assert dataset["scene"].rio.transform().f == 4_000_000


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("consolidated", [True, False])
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_stores_of_others(
    tmp_path: Path, zarr_format: int, consolidated: bool, recwarn: pytest.WarningsRecorder
) -> None:
    values = np.linspace(0, 1, 24).reshape(3, 4, 2)
    dataset = xr.Dataset({"r": (("y", "x", "wavelength"), values)}, {"wavelength": [0.5, 0.75]})
    dataset.to_zarr(tmp_path / "a.zarr", zarr_format=zarr_format, consolidated=consolidated)
    recwarn.clear()
    scene = open_scene(tmp_path / "a.zarr")
    np.testing.assert_array_equal(scene.values, np.moveaxis(values, -1, 0))
    np.testing.assert_array_equal(scene.coords["wavelength"], [500, 750])
    assert list(recwarn) == []


def test_folder_known_by_its_content(tmp_path: Path) -> None:
    save_scene(full_scene(), tmp_path / "a.zarr")
    (tmp_path / "a.zarr").rename(tmp_path / "store")
    np.testing.assert_array_equal(open_scene(tmp_path / "store").values, full_scene().values)


def test_folder_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "precious.txt").write_text("x")
    with pytest.raises(InputError, match=r"cannot read .*a\.zarr as Zarr store"):
        open_scene(tmp_path / "a.zarr")
    with pytest.raises(InputError, match="it exists and is not a Zarr store"):
        save_scene(full_scene(), tmp_path / "a.zarr")
    assert names_in(tmp_path / "a.zarr") == {"precious.txt"}


def test_file_under_the_name_of_a_store(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").write_text("x")
    with pytest.raises(InputError, match="a Zarr store is a folder; this is a file"):
        open_scene(tmp_path / "a.zarr")


def test_unknown_version(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown Zarr format 4; choose 2 or 3"):
        save_scene(full_scene(), tmp_path / "a.zarr", zarr_format=4)


def test_old_store_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_scene(np.full((1, 3, 3), 0.5, np.float32))
    save_scene(old, tmp_path / "a.zarr")
    rename = Path.rename

    def fail_for_the_new_one(self: Path, target: Path) -> Path:
        if self.name == "a.zarr" and self.parent != tmp_path:
            raise OSError(5, "input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
    with pytest.raises(InputError, match="input/output error"):
        save_scene(full_scene(), tmp_path / "a.zarr")
    assert names_in(tmp_path) == {"a.zarr"}
    np.testing.assert_array_equal(open_scene(tmp_path / "a.zarr").values, old.values)
