"""Images on a map by a geometric lookup table: for each pixel of the map, which pixel of the swath is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from finewave.errors import InputError
from finewave.io.precheck import check_declared
from finewave.scene import make_scene


class _Gathered(BackendArray):
    """Values of a scene in the geometry of the sensor, gathered window by window; NaN where no pixel is.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims ``(band, y, x)``, lazy.
    rows, columns : numpy.ndarray
        On the map: which pixel of the scene, from 0; -1 for none.
    """

    def __init__(self, scene: xr.DataArray, rows: NDArray[Any], columns: NDArray[Any]) -> None:
        self._values, self._rows, self._columns = scene.variable, rows, columns
        self.shape = (scene.sizes["band"], *rows.shape)
        self.dtype = scene.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._block)

    def _block(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        band, y, x = (slice(k, k + 1) if isinstance(k, (int, np.integer)) else k for k in key)
        rows, columns = self._rows[y, x], self._columns[y, x]
        there = rows >= 0
        block = np.full((len(range(*band.indices(self.shape[0]))), *rows.shape), np.nan, self.dtype)
        if there.any():
            top, left = rows[there].min(), columns[there].min()
            window = (slice(top, rows[there].max() + 1), slice(left, columns[there].max() + 1))
            part = np.asarray(self._values[(band, *window)].values)
            block[:, there] = part[:, rows[there] - top, columns[there] - left]
        return block[tuple(0 if isinstance(k, (int, np.integer)) else slice(None) for k in key)]


def orthorectified(
    scene: xr.DataArray, columns: NDArray[Any], rows: NDArray[Any], crs: Any, geotransform: Any, path: Path
) -> xr.DataArray:
    """Return a scene on the map of a lookup table, lazily; each pixel is one of the sensor, none is interpolated.

    Parameters
    ----------
    scene : xarray.DataArray
        In the geometry of the sensor.
    columns, rows : numpy.ndarray
        Shape of the map; counted from 1, 0 where there is none, negative where one has been repeated.
    crs, geotransform : object, six numbers
        Of the map; the transform in GDAL's order.
    path : pathlib.Path
        For messages.

    Raises
    ------
    InputError
        The table leads out of the image, or its place cannot be used.
    """
    across, along = (np.abs(np.asarray(each, np.int64)) - 1 for each in (columns, rows))
    if across.ndim != 2 or across.shape != along.shape:
        raise InputError(f"the lookup table of {path} is not whole: its parts differ in shape")
    none = (across < 0) | (along < 0)
    across[none] = along[none] = -1
    if across.max(initial=-1) >= scene.sizes["x"] or along.max(initial=-1) >= scene.sizes["y"]:
        raise InputError(f"the lookup table of {path} leads out of its image; download the file again")
    check_declared(path, scene.sizes["band"] * across.size)
    numbers = np.ravel(np.asarray(geotransform, np.float64))
    if numbers.size != 6 or not np.all(np.isfinite(numbers)):
        raise InputError(f"{path} does not say where its map lies (geotransform)")
    lazy = indexing.LazilyIndexedArray(_Gathered(scene, along, across))
    made = make_scene(
        xr.Variable(("band", "y", "x"), lazy),
        crs=crs,
        transform=Affine.from_gdal(*numbers),
        attrs=scene.attrs,
        encoding={key: value for key, value in scene.encoding.items() if key in ("dtype", "_FillValue")},
    )
    encoding = dict(made.encoding)
    made = made.assign_coords({name: each.variable for name, each in scene.coords.items() if each.dims == ("band",)})
    made.encoding = encoding
    made.set_close(getattr(scene, "_close", None))
    return made
