"""Windows of stored numbers, read by GDAL from a file that stays open between reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xarray.backends import CachingFileManager
from xarray.backends.locks import SerializableLock

from finewave.io.formats.values.lazy import Slices

_LOCK = SerializableLock()
"""GDAL's datasets are used by one thread at a time."""


@dataclass(frozen=True, eq=False)
class GdalWindows:
    """The numbers (bands, y, x) of a raster file.

    Parameters
    ----------
    source : pathlib.Path or str
        What GDAL opens: a path, or the text of a virtual file.
    driver : str
        Of GDAL, which alone opens it.
    shape : (int, int, int)
        Bands, rows and columns.
    dtype : numpy.dtype
        Of the numbers.
    bands : tuple of int
        Which bands of the file, from 1.
    overview : int, optional
        Number of the overview that is read, from 0.
    warped : mapping, optional
        Keywords of ``rasterio.vrt.WarpedVRT``, for the numbers on another grid.
    """

    source: Path | str
    driver: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    bands: tuple[int, ...]
    overview: int | None = None
    warped: Mapping[str, Any] | None = None

    def of_bands(self, used: Sequence[int]) -> GdalWindows:
        """Return some of the bands, counted from 0, in this order."""
        return replace(self, shape=(len(used), *self.shape[1:]), bands=tuple(self.bands[i] for i in used))

    @cached_property
    def _file(self) -> CachingFileManager[Any]:
        import rasterio

        how: dict[str, Any] = {"driver": self.driver, "sharing": False}
        if self.overview is not None:
            how["overview_level"] = self.overview
        return CachingFileManager(rasterio.open, str(self.source), lock=_LOCK, mode="r", kwargs=how)

    def read(self, key: Slices) -> NDArray[Any]:
        """Return a block; steps along each axis are positive."""
        bands, rows, columns = (range(*each.indices(n)) for each, n in zip(key, self.shape, strict=True))
        if not (bands and rows and columns):
            return np.zeros((len(bands), len(rows), len(columns)), self.dtype)
        indexes = [self.bands[i] for i in bands]
        window = ((rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1))
        with _LOCK:
            dataset = self._file.acquire(needs_lock=False)
            if self.warped is None:
                block = dataset.read(indexes, window=window)
            else:
                from rasterio.vrt import WarpedVRT

                with WarpedVRT(dataset, **self.warped) as warped:
                    block = warped.read(indexes, window=window)
        return np.asarray(block[:, :: rows.step, :: columns.step])

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def windows_of(dataset: Any, source: Path | str, *, overview: int | None = None) -> GdalWindows:
    """Return the numbers of an open rasterio dataset, or of one that was opened with this overview."""
    shape, dtype = (dataset.count, *dataset.shape), dtype_of(dataset.dtypes[0])
    return GdalWindows(source, dataset.driver, shape, dtype, tuple(dataset.indexes), overview)


def dtype_of(named: str) -> np.dtype[Any]:
    """Return the type of numbers that rasterio names and reads; NumPy has no complex integers."""
    return np.dtype("complex64" if named == "complex_int16" else named)
