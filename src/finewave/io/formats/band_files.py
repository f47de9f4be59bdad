"""Bands in files of their own, perhaps at several resolutions, on one grid; read through GDAL when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.decoding import Decoding, choose_decoding
from finewave.io.formats.lazy import LazyValues, Slices
from finewave.io.formats.raster import is_georeferenced, quiet_gdal
from finewave.io.open_options import OpenOptions
from finewave.scene import make_scene


@dataclass(frozen=True)
class BandFile:
    """What the header of a file with one band says."""

    path: Path
    height: int
    width: int
    dtype: str
    crs: Any
    transform: Any
    nodata: float | None
    scale: float
    offset: float
    located: bool

    @property
    def pixel_size(self) -> float:
        """Side of a pixel in units of the map."""
        return float(abs(self.transform.determinant)) ** 0.5

    @property
    def extent(self) -> NDArray[np.float64]:
        """Map coordinates of the upper left, upper right and lower left corner."""
        corners = ((0, 0), (self.width, 0), (0, self.height))
        return np.array([self.transform * corner for corner in corners], dtype=float)


def read_header(path: Path) -> BandFile:
    """Return what a file with one band says of itself; an `InputError` if it has several or is damaged."""
    import rasterio

    from finewave.io.formats.geotiff import check_complete

    if path.suffix.lower() in (".tif", ".tiff"):
        check_complete(path)
    with reading(path, "band"), quiet_gdal(), rasterio.open(path) as dataset:
        if dataset.count != 1:
            raise InputError(f"{path} has {dataset.count} bands; a folder of bands holds one per file")
        return BandFile(
            path,
            dataset.height,
            dataset.width,
            dataset.dtypes[0],
            dataset.crs,
            dataset.transform,
            dataset.nodata,
            dataset.scales[0],
            dataset.offsets[0],
            is_georeferenced(dataset),
        )


def open_bands(
    files: Sequence[BandFile],
    path: Path,
    options: OpenOptions,
    *,
    scale_factor: float | tuple[float, ...] | None = None,
    offset: float | tuple[float, ...] | None = None,
    nodata: float | None = None,
    **metadata: Any,
) -> xr.DataArray:
    """Open bands of one place as a scene on the grid of the finest, or of ``options.resolution``.

    Coarser bands are interpolated bilinearly, finer ones averaged; a value is missing where a pixel it is made of is.

    Parameters
    ----------
    files : sequence of BandFile
        With georeference, of one CRS and extent.
    path : pathlib.Path
        Of the folder, for messages.
    options : OpenOptions
        What the user stated.
    scale_factor, offset, nodata : optional
        Where files do not say it themselves; see `choose_decoding`.
    **metadata
        Keywords of `finewave.scene.make_scene`.

    Returns
    -------
    xarray.DataArray
        The scene, lazy; its coordinate ``native_resolution`` along ``band`` has the side of a pixel in the file, in
        units of the map.

    Raises
    ------
    InputError
        If the files differ in place or type, or none has the resolution asked for.
    """
    first = files[0]
    for each in files:
        where = each.crs == first.crs and np.allclose(each.extent, first.extent, rtol=0, atol=0.01 * first.pixel_size)
        if not where or each.nodata != first.nodata:
            raise InputError(
                f"{each.path} lies elsewhere than {first.path.name} (another CRS, transform or nodata value)"
            )
        if each.dtype != first.dtype:
            raise InputError(f"{each.path} holds {each.dtype} values, {first.path.name} {first.dtype}; one is expected")
    grid = _grid(files, options.resolution, path)
    nodata = first.nodata if first.nodata is not None else nodata
    if scale_factor is None and any(each.scale != 1 or each.offset != 0 for each in files):
        scale_factor, offset = tuple(each.scale for each in files), tuple(each.offset for each in files)
    bands = [_on_grid(each, grid, nodata) for each in files]

    def read(key: Slices) -> NDArray[Any]:
        return np.stack([bands[i][0, key[1], key[2]].values for i in range(*key[0].indices(len(bands)))])

    dtype = np.dtype(first.dtype)
    shape = (len(files), grid.height, grid.width)
    values = LazyValues(read, shape, (0, 1, 2), Decoding(dtype, nodata=nodata), path, "folder of bands")
    decoding = choose_decoding(
        dtype,
        path=path,
        scale=options.scale,
        scale_factor=scale_factor,
        offset=offset,
        nodata=nodata,
        sample=values.sample,
    )
    scene = make_scene(
        values.with_decoding(decoding).as_variable(),
        crs=grid.crs,
        transform=grid.transform,
        encoding=decoding.encoding,
        **metadata,
    )
    encoding = dict(scene.encoding)
    scene = scene.assign_coords(native_resolution=("band", [each.pixel_size for each in files]))
    scene.encoding = encoding
    return scene


def _grid(files: Sequence[BandFile], resolution: float | None, path: Path) -> BandFile:
    """Return the file whose pixels are those of the scene."""
    if resolution is None:
        return min(files, key=lambda each: each.pixel_size)
    for each in files:
        if abs(each.pixel_size - resolution) <= 0.01 * resolution:
            return each
    known = ", ".join(f"{size:g}" for size in sorted({round(each.pixel_size, 6) for each in files}))
    raise InputError(f"no band of {path} has pixels of {resolution:g}; there are pixels of {known}")


def _on_grid(file: BandFile, grid: BandFile, nodata: float | None) -> xr.Variable:
    """Return a band (1, y, x) on the grid, lazily."""
    import rasterio
    import rioxarray
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    with reading(file.path, "band"), quiet_gdal():
        if (file.height, file.width) == (grid.height, grid.width):
            return _raster(rioxarray.open_rasterio(file.path, cache=False, masked=False))
        finer = file.pixel_size < grid.pixel_size
        with (
            rasterio.open(file.path) as dataset,
            WarpedVRT(
                dataset,
                crs=grid.crs,
                transform=grid.transform,
                height=grid.height,
                width=grid.width,
                resampling=Resampling.average if finer else Resampling.bilinear,
                src_nodata=nodata,
                nodata=nodata,
            ) as warped,
        ):
            return _raster(rioxarray.open_rasterio(warped, cache=False, masked=False))


def _raster(opened: Any) -> xr.Variable:
    return opened.variable
