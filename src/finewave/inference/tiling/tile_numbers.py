"""Stored numbers of the tiles of an unfinished output: in Zarr if that will be the output, else in a file per tile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.inference.tiling.tiles import Tiling, Window, enlarged
from finewave.io.formats.values.decoding import Decoding
from finewave.io.formats.values.lazy import LazyValues, Slices

if TYPE_CHECKING:
    import xarray as xr

    from finewave.io.formats.storage import Storage

ZARR = ".zarr"


def write_numbers(store: Path, number: int, window: Window, stored: NDArray[Any]) -> None:
    """Write a tile (bands, y, x), which lies in a window of the output."""
    if store.suffix == ZARR:
        _array(store, "r+")[:, *window] = stored
        return
    path = _file(store, number)
    temporary = path.with_suffix(f".{id(stored)}")
    stored = np.ascontiguousarray(stored)
    try:
        with temporary.open("wb") as file:
            header = np.lib.format.header_data_from_array_1_0(stored)
            np.lib.format.write_array_header_1_0(file, header)
            file.write(stored.data)  # numpy.save does not say why a write failed
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # it takes space where there is little
        raise


def read_numbers(store: Path, number: int, window: Window) -> NDArray[Any]:
    """Return a tile that was written; damaged ones fail with various errors."""
    if store.suffix == ZARR:
        return np.asarray(_array(store, "r")[:, *window])
    return np.asarray(np.load(_file(store, number), allow_pickle=False))


def values_of(store: Path, tiling: Tiling, scale: int, bands: int, storage: Storage) -> tuple[xr.Variable, Decoding]:
    """Return the values of a folder of tiles, read where they are needed, and how they are decoded.

    Parameters
    ----------
    store : pathlib.Path
        All tiles are in it.
    tiling : Tiling
    scale : int
        Output pixels for each pixel of the tiling.
    bands : int
        Of the output.
    storage : Storage
        How the values became numbers.
    """

    def read(key: Slices) -> NDArray[Any]:
        rows, columns = (range(*each.indices(n)) for each, n in zip(key[1:], shape[1:], strict=True))
        block = np.empty((len(range(*key[0].indices(bands))), len(rows), len(columns)), storage.dtype)
        for row in _touched(rows, side):
            for column in _touched(columns, side):
                number = row * tiling.grid[1] + column
                (y, x) = enlarged(tiling[number].core, scale)
                tile = np.load(_file(store, number), mmap_mode="r", allow_pickle=False)
                (to_rows, from_rows), (to_columns, from_columns) = _shared(rows, y), _shared(columns, x)
                block[:, to_rows, to_columns] = tile[key[0], from_rows, from_columns]
        return block

    shape, side = (bands, tiling.height * scale, tiling.width * scale), tiling.side * scale
    decoding = Decoding(storage.dtype, storage.scale_factor, storage.offset, storage.nodata)
    return LazyValues(read, shape, (0, 1, 2), decoding, store, "unfinished output").as_variable(), decoding


def _touched(positions: range, side: int) -> range:
    """Return which rows or columns of tiles a selection of pixels lies in; its step is positive."""
    return range(positions[0] // side, positions[-1] // side + 1) if positions else range(0)


def _shared(positions: range, part: slice) -> tuple[slice, slice]:
    """Return which of the selected pixels lie in a part of the image, and where in it."""
    first = max(0, -((positions.start - part.start) // positions.step))
    last = min(len(positions), -((positions.start - part.stop) // positions.step))
    start = positions.start + first * positions.step - part.start
    return slice(first, last), slice(start, start + (last - first) * positions.step, positions.step)


def _file(store: Path, number: int) -> Path:
    return store / f"{number}.npy"


def _array(store: Path, mode: Any) -> Any:
    import zarr

    return zarr.open_array(store, path="scene", mode=mode)
