"""Bands in separate files, possibly at several resolutions, on one grid; read lazily through GDAL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal
from finewave.io.formats.gdal.gdal_masks import MaskReader, Masks, masks_of
from finewave.io.formats.gdal.gdal_numbers import StatedByGdal, scales_of, stated_of
from finewave.io.formats.gdal.gdal_windows import GdalWindows, dtype_of, windows_of
from finewave.io.formats.gdal.raster import is_georeferenced, missing_numbers, one_or_each
from finewave.io.formats.values.decoding import Decoding, choose_decoding
from finewave.io.formats.values.lazy import LazyValues, Slices
from finewave.io.network.location import leads_to_network, remote_of
from finewave.io.open_options import OpenOptions
from finewave.scene import make_scene


@dataclass(frozen=True)
class BandFile:
    """Header of a file with one band."""

    path: Path | str
    height: int
    width: int
    dtype: str
    crs: Any
    transform: Any
    nodata: float | None
    located: bool
    masks: Masks
    stated: StatedByGdal

    @property
    def shown(self) -> str:
        """Name for messages."""
        return str(remote_of(self.path) or self.path)

    @property
    def name(self) -> str:
        """Name of the file alone."""
        return (remote_of(self.path) or Path(self.path)).name

    @property
    def pixel_size(self) -> float:
        """Side of a pixel in units of the map."""
        return float(abs(self.transform.determinant)) ** 0.5

    @property
    def scale(self) -> float:
        """Scale factor, 1 if not stated."""
        return 1.0 if self.stated.factors[0] is None else self.stated.factors[0]

    @property
    def offset(self) -> float:
        """Offset, 0 if not stated."""
        return self.stated.offsets[0] or 0.0

    @property
    def extent(self) -> NDArray[np.float64]:
        """Map coordinates of the upper left, upper right and lower left corner."""
        corners = ((0, 0), (self.width, 0), (0, self.height))
        return np.array([self.transform * corner for corner in corners], dtype=float)


def read_header(path: Path | str) -> BandFile:
    """Return the header of a file with one band; an `InputError` if it has several or is damaged."""
    import rasterio

    from finewave.io.formats.geotiff import check_complete

    # files in archives have the archive's checksum
    if Path(path).suffix.lower() in (".tif", ".tiff") and Path(path).is_file():
        check_complete(Path(path))
    shown = remote_of(path) or path
    with reading(str(shown), "band"), quiet_gdal(path), rasterio.open(path, driver=driver_of(path)) as dataset:
        if dataset.count != 1:
            raise InputError(f"{shown} has {dataset.count} bands; a folder of bands holds one per file")
        return BandFile(
            path,
            dataset.height,
            dataset.width,
            dataset.dtypes[0],
            dataset.crs,
            dataset.transform,
            dataset.nodata,
            is_georeferenced(dataset),
            masks_of(dataset),
            stated_of(dataset),
        )


def open_bands(
    files: Sequence[BandFile],
    path: Path | str,
    options: OpenOptions,
    *,
    scale_factor: float | tuple[float, ...] | None = None,
    offset: float | tuple[float, ...] | None = None,
    nodata: float | None = None,
    special: tuple[float, ...] = (),
    flags: tuple[BandFile, Sequence[int]] | None = None,
    clouds: tuple[BandFile, Callable[[NDArray[Any]], NDArray[np.bool_]]] | None = None,
    **metadata: Any,
) -> xr.DataArray:
    """Open bands of one area as a scene on the finest grid, or that of ``options.resolution``.

    Coarser bands are interpolated bilinearly, and a value is missing where the nearest pixel is; finer ones are
    averaged over the pixels that are not missing.

    Parameters
    ----------
    files : sequence of BandFile
        With georeference, of one CRS and extent.
    path : pathlib.Path
        Of the folder, for messages.
    options : OpenOptions
        What the user stated.
    scale_factor, offset, nodata : optional
        Used where files do not state it; see `choose_decoding`.
    special : tuple of float
        Further numbers that mark missing values; never interpolated.
    flags : (BandFile, sequence of int), optional
        A raster of bit flags, and for each band the bits that mark missing values.
    clouds : (BandFile, callable), optional
        A raster, and what tells of its numbers which pixels are missing in all bands.
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
        If the files differ in area or type, or none has the requested resolution.
    """
    first = files[0]
    for each in files:
        # as text: NaN is no number, and differs from itself
        if repr(each.nodata) != repr(first.nodata) or not _same_place(each, first):
            raise InputError(
                f"{each.shown} is at another place than {first.name} (another CRS, transform or nodata value)"
            )
        if each.dtype != first.dtype:
            raise InputError(f"{each.shown} holds {each.dtype} values, {first.name} {first.dtype}; one is expected")
    grid = _grid(files, options.resolution, path)
    nodata = first.nodata if first.nodata is not None else nodata
    if scale_factor is None and offset is None:
        scale_factor, offset = scales_of(
            [each.stated.factors[0] for each in files], [each.stated.offsets[0] for each in files], path
        )
    numbers, further = missing_numbers([nodata] * len(files), [each.stated.missing[0] for each in files])
    special = (*special, *(number for number in further if number not in special))
    bands = [_on_grid(each, grid, nodata, special) for each in files]
    masks = [_mask_reader(each, grid) for each in files]
    flagged = None if flags is None else _on_grid(flags[0], grid, None, (), nearest=True)
    cloudy = None if clouds is None else _on_grid(clouds[0], grid, None, (), nearest=True)

    def read(key: Slices) -> NDArray[Any]:
        return np.stack([of_band(i, key) for i in range(*key[0].indices(len(bands)))])

    def of_band(number: int, key: Slices) -> NDArray[Any]:
        with quiet_gdal(files[number].path):
            return bands[number].read((slice(1), *key[1:]))[0]

    def hidden(key: Slices) -> NDArray[np.bool_]:
        selected = range(*key[0].indices(len(bands)))
        rows, columns = (len(range(*each.indices(n))) for each, n in zip(key[1:], shape[1:], strict=True))
        mask = np.zeros((len(selected), rows, columns), bool)
        for out, i in zip(mask, selected, strict=True):
            if (reader := masks[i]) is not None:
                out |= reader((slice(0, 1), key[1], key[2]))[0]
        if flags is not None and flagged is not None:
            with quiet_gdal(flags[0].path):
                bits = flagged.read((slice(1), *key[1:]))[0]
            mask |= np.stack([(bits & flags[1][i]) != 0 for i in selected])
        if clouds is not None and cloudy is not None:
            with quiet_gdal(clouds[0].path):
                mask |= clouds[1](cloudy.read((slice(1), *key[1:]))[0])
        return mask

    dtype = dtype_of(first.dtype)
    shape = (len(files), grid.height, grid.width)
    undecoded = Decoding(dtype, nodata=numbers, special=special)
    mask = hidden if flags is not None or clouds is not None or any(masks) else None
    values = LazyValues(read, shape, (0, 1, 2), undecoded, path, "folder of bands", mask)
    decoding = choose_decoding(
        dtype,
        path=path,
        scale=options.scale,
        scale_factor=scale_factor,
        offset=offset,
        nodata=numbers,
        special=special,
        valid_range=one_or_each([each.stated.valid_ranges[0] for each in files]),
        percent=all(each.stated.percent for each in files),
        bits=first.stated.bits if len({each.stated.bits for each in files}) == 1 else None,
        sample=values.sample_middle if leads_to_network(first.path) else values.sample,
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
    opened = [*bands, *(each for each in (flagged, cloudy, *masks) if each is not None)]

    def close() -> None:
        for each in opened:
            each.close()

    scene.set_close(close)
    return scene


def _grid(files: Sequence[BandFile], resolution: float | None, path: Path | str) -> BandFile:
    """Return the file that defines the scene's grid."""
    if resolution is None:
        return min(files, key=lambda each: each.pixel_size)
    for each in files:
        if abs(each.pixel_size - resolution) <= 0.01 * resolution:
            return each
    known = ", ".join(f"{size:g}" for size in sorted({round(each.pixel_size, 6) for each in files}))
    raise InputError(f"no band of {path} has pixels of {resolution:g}; there are pixels of {known}")


def _same_place(one: BandFile, other: BandFile) -> bool:
    """Whether two bands show the same ground; pixels of two sizes may be aligned by their centres, as Landsat's are."""
    sizes = one.pixel_size, other.pixel_size
    alike = abs(sizes[0] - sizes[1]) <= 0.01 * min(sizes)
    margin = 0.01 * min(sizes) if alike else 0.51 * max(sizes)
    return one.crs == other.crs and np.allclose(one.extent, other.extent, rtol=0, atol=margin)


def _fits(file: BandFile, grid: BandFile) -> bool:
    return (file.height, file.width) == (grid.height, grid.width)


class _WarpedMask:
    """The pixels hidden by a file's mask on another grid, by nearest pixel."""

    def __init__(self, file: BandFile, grid: BandFile) -> None:
        of_mask = _virtual(file, "<SimpleSource>{source}<SourceBand>mask,1</SourceBand></SimpleSource>", "Byte")
        self._path, self._mask = file.path, _warped(of_mask, "uint8", grid)

    def __call__(self, key: Slices) -> NDArray[np.bool_]:
        """Return which pixels of a block are missing."""
        with quiet_gdal(self._path):
            return self._mask.read(key) == 0

    def close(self) -> None:
        """Close the file."""
        self._mask.close()


def _mask_reader(file: BandFile, grid: BandFile) -> MaskReader | _WarpedMask | None:
    """Return a reader of the pixels hidden by a file's mask."""
    reader = file.masks.reader(file.path)
    return reader if reader is None or _fits(file, grid) else _WarpedMask(file, grid)


def _on_grid(
    file: BandFile, grid: BandFile, nodata: float | None, special: tuple[float, ...], *, nearest: bool = False
) -> GdalWindows:
    """Return the numbers of a band (1, y, x) on the grid."""
    import rasterio
    from rasterio.enums import Resampling

    with reading(file.shown, "band"), quiet_gdal(file.path):
        if _fits(file, grid):
            with rasterio.open(file.path, driver=driver_of(file.path)) as dataset:
                return windows_of(dataset, file.path)
        how = Resampling.average if file.pixel_size < grid.pixel_size else Resampling.bilinear
        source = str(file.path) if not special or nodata is None else _without(file, special, nodata)
        return _warped(source, file.dtype, grid, Resampling.nearest if nearest else how, nodata)


def _warped(source: str, dtype: str, grid: BandFile, how: Any = None, nodata: float | None = None) -> GdalWindows:
    """Return the numbers of a file, or of a virtual file, on the grid; by nearest neighbour by default."""
    from rasterio.enums import Resampling

    warped = {
        "crs": grid.crs,
        "transform": grid.transform,
        "height": grid.height,
        "width": grid.width,
        "resampling": how or Resampling.nearest,
        "src_nodata": nodata,
        "nodata": nodata,
    }
    driver = "VRT" if source.startswith("<VRTDataset") else driver_of(source)
    return GdalWindows(source, driver, (1, grid.height, grid.width), np.dtype(dtype), (1,), warped=warped)


def _without(file: BandFile, special: tuple[float, ...], nodata: float) -> str:
    """Return a virtual file in which the special numbers are nodata, so that they are not interpolated."""
    dtype = np.dtype(file.dtype)
    if dtype.kind not in "iu":
        return str(file.path)
    limits = np.iinfo(dtype)
    steps = {float(limits.min): float(limits.min), float(limits.max): float(limits.max)}
    for number in special:
        for beside in (number - 1, number + 1):
            if limits.min <= beside <= limits.max:
                steps.setdefault(beside, beside)
    steps |= dict.fromkeys(special, float(nodata))
    table = ",".join(f"{key:.0f}:{steps[key]:.0f}" for key in sorted(steps))
    names = {"u1": "Byte", "i2": "Int16", "u2": "UInt16", "i4": "Int32", "u4": "UInt32"}
    band = f"<ComplexSource>{{source}}<SourceBand>1</SourceBand><LUT>{table}</LUT></ComplexSource>"
    return _virtual(file, f"<NoDataValue>{nodata:.0f}</NoDataValue>{band}", names[dtype.str[1:]])


def _virtual(file: BandFile, band: str, dtype: str) -> str:
    """Return a GDAL virtual file with one band at the position of a file."""
    from xml.sax.saxutils import escape

    from rasterio.crs import CRS

    place = ", ".join(repr(float(each)) for each in file.transform.to_gdal())
    path = str(file.path) if leads_to_network(file.path) else str(Path(file.path).absolute())
    source = f'<SourceFilename relativeToVRT="0">{escape(path)}</SourceFilename>'
    return (
        f'<VRTDataset rasterXSize="{file.width}" rasterYSize="{file.height}">'
        f"<SRS>{escape(CRS.from_user_input(file.crs).to_wkt())}</SRS><GeoTransform>{place}</GeoTransform>"
        f'<VRTRasterBand dataType="{dtype}" band="1">{band.format(source=source)}</VRTRasterBand></VRTDataset>'
    )
