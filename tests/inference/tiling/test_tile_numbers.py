"""Tiles in files of their own, read as one image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from finewave.inference.tiling.tile_numbers import read_numbers, values_of, write_numbers
from finewave.inference.tiling.tiles import Tiling, enlarged
from finewave.io.formats.storage import Storage


@pytest.mark.parametrize(("height", "width", "tile", "scale"), [(13, 17, 5, 1), (6, 20, 8, 3), (1, 9, 4, 2)])
def test_any_part(height: int, width: int, tile: int, scale: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(height)
    image = rng.integers(-50, 50, (3, height * scale, width * scale)).astype(np.int16)
    image[:, 0, 0] = -99
    tiling = Tiling(height, width, tile, 2)
    for number, each in enumerate(tiling):
        window = enlarged(each.core, scale)
        write_numbers(tmp_path, number, window, image[:, *window])
        np.testing.assert_array_equal(read_numbers(tmp_path, number, window), image[:, *window])
    values, decoding = values_of(tmp_path, tiling, scale, 3, Storage(np.dtype(np.int16), 0.5, 1.0, -99))
    expected = np.where(image == -99, np.nan, image * 0.5 + 1).astype(np.float32)
    assert decoding.encoding == {"dtype": "int16", "scale_factor": 0.5, "add_offset": 1.0, "_FillValue": -99}
    for _ in range(60):
        (y0, y1), (x0, x1) = (np.sort(rng.integers(0, n + 1, 2)) for n in expected.shape[1:])
        key = rng.integers(0, 3), slice(y0, y1, rng.integers(1, 8)), slice(x0, x1, rng.integers(1, 8))
        np.testing.assert_array_equal(values[key].values, expected[key])
    np.testing.assert_array_equal(xr.DataArray(values)[::-1, ::-2].values, expected[::-1, ::-2])
