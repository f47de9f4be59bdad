"""Windows of a file are those that rasterio reads."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT

from finewave.io.formats.gdal.gdal_access import quiet_gdal
from finewave.io.formats.gdal.gdal_windows import GdalWindows, windows_of

PLACE = {"crs": "EPSG:32631", "transform": Affine(10, 0, 5e5, 0, -10, 4e6)}


def stored(path: Path) -> np.ndarray:
    values = np.random.default_rng(1).integers(0, 9999, (4, 300, 280)).astype(np.uint16)
    with rasterio.open(path, "w", "GTiff", 280, 300, 4, dtype="uint16", tiled=True, **PLACE) as dataset:
        dataset.write(values)
        dataset.build_overviews([2], Resampling.nearest)
    return values


def test_parts_of_some_bands(tmp_path: Path) -> None:
    values = stored(tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as dataset:
        windows = windows_of(dataset, tmp_path / "a.tif").of_bands([3, 0, 1])
    assert (windows.shape, windows.dtype) == ((3, 300, 280), np.uint16)
    rng = np.random.default_rng(2)
    keys = []
    for _ in range(40):
        cuts = [np.sort(rng.integers(0, n + 1, 2)) for n in windows.shape]
        keys.append(tuple(slice(low, high, rng.integers(1, 4)) for low, high in cuts))
    again = pickle.loads(pickle.dumps(windows))
    with ThreadPoolExecutor(4) as pool:
        for key, one, other in zip(keys, pool.map(windows.read, keys), pool.map(again.read, keys), strict=True):
            np.testing.assert_array_equal(one, values[[3, 0, 1]][key])
            np.testing.assert_array_equal(other, one)
    windows.close()
    np.testing.assert_array_equal(windows.read((slice(1), slice(None), slice(None)))[0], values[3])  # opened again
    windows.close()


def test_overviews_and_other_grids(tmp_path: Path) -> None:
    stored(tmp_path / "a.tif")
    whole = (slice(None),) * 3
    with rasterio.open(tmp_path / "a.tif", overview_level=0) as smaller:
        windows = windows_of(smaller, tmp_path / "a.tif", overview=0)
        np.testing.assert_array_equal(windows.read(whole), smaller.read())
    grid = {"crs": "EPSG:32631", "transform": Affine(4, 0, 5e5 + 7, 0, -4, 4e6 - 9), "height": 50, "width": 60}
    grid["resampling"] = Resampling.bilinear
    warped = GdalWindows(tmp_path / "a.tif", "GTiff", (1, 50, 60), np.dtype("uint16"), (2,), warped=grid)
    with rasterio.open(tmp_path / "a.tif") as dataset, WarpedVRT(dataset, **grid) as expected, quiet_gdal():
        np.testing.assert_array_equal(warped.read(whole)[0], expected.read(2))
        part = warped.read((slice(None), slice(10, 30, 2), slice(5, 9)))
        np.testing.assert_array_equal(part[0], expected.read(2)[10:30:2, 5:9])
