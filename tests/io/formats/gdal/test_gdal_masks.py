"""Masks of rasters as GDAL knows them: inside the file, beside it, a band's own, alpha wherever it stands."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from finewave.io.formats.gdal.gdal_masks import masks_of
from finewave.io.open_save import open_scene
from finewave.warnings import FinewaveWarning

VALUES = np.random.default_rng(0).integers(1, 200, (4, 40, 30)).astype(np.uint8)
HIDDEN = np.random.default_rng(1).random((40, 30)) < 0.3


def write(path: Path, values: np.ndarray, mask: np.ndarray | None = None, inside: bool = True, **more: Any) -> Path:
    place = {"crs": "EPSG:32631", "transform": from_origin(5e5, 4e6, 10, 10), "photometric": "minisblack"} | more
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside),
        rasterio.open(path, "w", "GTiff", 30, 40, len(values), dtype=values.dtype.name, **place) as file,
    ):
        file.write(values)
        if mask is not None:
            file.write_mask(mask)
    return path


@pytest.mark.parametrize("inside", [True, False])
def test_mask_of_the_file_in_any_window(tmp_path: Path, inside: bool) -> None:
    scene = open_scene(write(tmp_path / "a.tif", VALUES, ~HIDDEN, inside), full_scale=1)
    np.testing.assert_array_equal(np.isnan(scene.values), np.broadcast_to(HIDDEN, VALUES.shape))
    np.testing.assert_array_equal(np.isnan(scene[2, 5:17:3, ::-2].values), HIDDEN[5:17:3, ::-2])
    np.testing.assert_array_equal(scene.values[:, ~HIDDEN], VALUES[:, ~HIDDEN])


def test_mask_beside_nodata(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[1, 3] = 0
    scene = open_scene(write(tmp_path / "a.tif", values, ~HIDDEN, nodata=0), full_scale=1)
    np.testing.assert_array_equal(np.isnan(scene.values), (values == 0) | HIDDEN)


@pytest.mark.parametrize("at", [1, 3])
def test_declared_alpha_wherever_it_stands(tmp_path: Path, at: int, recwarn: pytest.WarningsRecorder) -> None:
    values = VALUES.copy()
    values[at] = np.where(HIDDEN, 0, 90)  # half-transparent pixels have a value
    write(tmp_path / "a.tif", values)
    bands = "".join(
        f"<VRTRasterBand dataType='Byte' band='{i}'><ColorInterp>{'Alpha' if i == at + 1 else 'Gray'}</ColorInterp>"
        "<SimpleSource><SourceFilename relativeToVRT='1'>a.tif</SourceFilename>"
        f"<SourceBand>{i}</SourceBand></SimpleSource></VRTRasterBand>"
        for i in range(1, 5)
    )
    (tmp_path / "b.vrt").write_text(f"<VRTDataset rasterXSize='30' rasterYSize='40'>{bands}</VRTDataset>")
    scene = open_scene(tmp_path / "b.vrt", full_scale=1)
    assert scene.shape == (3, 40, 30)
    np.testing.assert_array_equal(np.isnan(scene.values), np.broadcast_to(HIDDEN, (3, 40, 30)))
    kept = np.delete(values, at, 0)
    np.testing.assert_array_equal(scene.values[:, ~HIDDEN], kept[:, ~HIDDEN])
    np.testing.assert_array_equal(scene[1:, 7:20, 4:9].values, scene.values[1:, 7:20, 4:9])
    assert not [each for each in recwarn if each.category is FinewaveWarning]


@pytest.mark.parametrize("last", [np.where(HIDDEN, 0, 255), np.where(HIDDEN, 0, 254), np.full((40, 30), 255)])
def test_only_a_band_of_two_numbers_can_be_undeclared_alpha(tmp_path: Path, last: np.ndarray) -> None:
    values = np.concatenate([VALUES, last[None].astype(np.uint8)])
    is_alpha = last.max() == 255
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scene = open_scene(write(tmp_path / "a.tif", values), full_scale=1)
    assert scene.sizes["band"] == (4 if is_alpha else 5)
    assert any("was taken as a mask (alpha)" in str(each.message) for each in caught) == is_alpha


def test_a_named_band_is_no_alpha(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.concatenate([VALUES, np.full((1, 40, 30), 255, np.uint8)]))
    with rasterio.open(path, "r+") as file:
        file.set_band_description(5, "saturated everywhere")
    assert open_scene(path, full_scale=1).sizes["band"] == 5


def test_masks_of_single_bands_and_overviews(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", VALUES, ~HIDDEN)
    mask = "<MaskBand><VRTRasterBand dataType='Byte'><SimpleSource><SourceFilename relativeToVRT='1'>a.tif"
    mask += "</SourceFilename><SourceBand>mask,1</SourceBand></SimpleSource></VRTRasterBand></MaskBand>"
    bands = "".join(
        f"<VRTRasterBand dataType='Byte' band='{i}'>{mask if i == 2 else ''}<SimpleSource>"
        f"<SourceFilename relativeToVRT='1'>a.tif</SourceFilename><SourceBand>{i}</SourceBand></SimpleSource>"
        "</VRTRasterBand>"
        for i in (1, 2)
    )
    (tmp_path / "b.vrt").write_text(f"<VRTDataset rasterXSize='30' rasterYSize='40'>{bands}</VRTDataset>")
    scene = open_scene(tmp_path / "b.vrt", full_scale=1)
    np.testing.assert_array_equal(np.isnan(scene.values[1]), HIDDEN)
    assert np.isfinite(scene.values[0]).all()
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.build_overviews([2])
    smaller = open_scene(tmp_path / "a.tif", full_scale=1, overview=0)
    assert smaller.shape == (4, 20, 15)
    assert 0.1 < np.isnan(smaller.values).mean() < 0.9


def test_readers_of_masks_travel_to_other_processes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", VALUES, ~HIDDEN)
    with rasterio.open(path) as dataset:
        reader = masks_of(dataset).reader(path)
    assert reader is not None
    key = (slice(0, 1), slice(2, 9), slice(0, 30))
    again = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(again(key)[0], HIDDEN[2:9])
    np.testing.assert_array_equal(reader(key)[0], HIDDEN[2:9])
