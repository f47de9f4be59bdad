"""Common code of the formats read and written by GDAL: windows, band metadata, georeference."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.acquisition import date_attribute, utc
from finewave.control_points import RPCS, control_points, on_finer_pixels, rpcs_on_finer_pixels, scene_rpcs
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal, small_gdal_cache
from finewave.io.formats.gdal.gdal_bands import colours_of
from finewave.io.formats.gdal.gdal_masks import masks_of, warn_of_undeclared_alpha
from finewave.io.formats.gdal.gdal_numbers import scales_of, stated_of
from finewave.io.formats.gdal.gdal_windows import GdalWindows, dtype_of, windows_of
from finewave.io.formats.gdal.icc import Recolour
from finewave.io.formats.storage import Storage
from finewave.io.formats.values.decoding import Decoding, Number, choose_decoding
from finewave.io.formats.values.lazy import LazyValues, Slices
from finewave.io.network.location import leads_to_network
from finewave.io.open_options import OpenOptions
from finewave.io.precheck import check_declared
from finewave.scene import make_scene, scene_crs, scene_transform
from finewave.warnings import FinewaveWarning

Mask = Callable[[Slices], NDArray[np.bool_]]

# Values of one window while writing; several copies of it live at the same time.
_WINDOW_BYTES = 64 * 2**20


def is_georeferenced(dataset: Any) -> bool:
    """Return whether an open rasterio dataset is georeferenced."""
    return dataset.crs is not None or not dataset.transform.is_identity or bool(dataset.gcps[0])


def open_raster(
    path: Path | str,
    kind: str,
    options: OpenOptions,
    *,
    stated: tuple[Number | None, Number | None] | None = None,
    special: tuple[float, ...] = (),
    decoding: Decoding | None = None,
    bands: int | None = None,
    crs_of_points: Any = None,
    source: Path | str | None = None,
    recolour: Recolour | None = None,
    hidden: Mask | None = None,
    **metadata: Any,
) -> xr.DataArray:
    """Open a file that GDAL reads, lazily.

    Parameters
    ----------
    path : pathlib.Path or str
        The file, or the name of a remote file for messages.
    kind : str
        Name of the format, for messages.
    options : OpenOptions
        What the user stated.
    stated : (scale factor, offset), optional
        From the format's own metadata; take precedence over GDAL's.
    special : tuple of float
        Stored numbers that mark missing values, besides GDAL's nodata.
    decoding : Decoding, optional
        Overrides the decoding of file and user.
    bands : int, optional
        Use only the first bands.
    crs_of_points : optional
        CRS of control points, where GDAL does not report it.
    source : pathlib.Path or str, optional
        What GDAL opens, where that is not the file itself.
    recolour : callable, optional
        Function applied first to the bytes (bands, y, x) of all bands.
    hidden : callable, optional
        Further pixels that are missing, see `finewave.io.formats.values.lazy.LazyValues`; at full resolution only.
    **metadata
        Keywords of `finewave.scene.make_scene`; per-band values may include the alpha band.

    Returns
    -------
    xarray.DataArray
        The scene, NaN where GDAL's masks (nodata, internal or external masks, alpha) mark missing values; values are
        read on demand. An alpha band is not part of the scene.
    """
    import rasterio

    source = source or path
    far = leads_to_network(source)

    with reading(path, kind), quiet_gdal(source), rasterio.open(source, driver=driver_of(source)) as dataset:
        count, dtypes = dataset.count, set(dataset.dtypes)
        located = is_georeferenced(dataset)
        crs, transform, (gcps, gcp_crs) = dataset.crs, dataset.transform, dataset.gcps
        rpcs = dataset.rpcs
        widest = max((dtype_of(each).itemsize for each in dtypes), default=1)
        if not far:
            check_declared(Path(path), count * dataset.height * dataset.width * widest)
        if count == 0:
            raise InputError(f"{path} holds no image of its own; open one of its parts")
        masks = masks_of(dataset)
        warn_of_undeclared_alpha(dataset, path)
        facts = stated_of(dataset)
        imagery = dataset.tags(ns="IMAGERY")
        has_palette = dataset.count == 1 and dataset.colorinterp[0].name == "palette"
        colours = colours_of(dataset, known=metadata.get("wavelengths") is not None)
        if len(dtypes) > 1:
            raise InputError(f"{path} mixes value types ({', '.join(sorted(dtypes))}); one type is expected")
        if dataset.subdatasets:
            raise InputError(f"{path} holds several images; save the one you need to a file of its own")
        stored = windows_of(dataset, source)
    full_width = stored.shape[2]
    used = list(masks.kept[:bands])
    for key in _ONE_A_BAND.intersection(metadata):
        listed = metadata[key]
        metadata[key] = None if listed is None else [listed[i] for i in used]
    facts = facts.of_bands(used)
    factor, offset = stated or (None, None)
    if factor is None and offset is None:
        factor, offset = scales_of(facts.factors, facts.offsets, path)
    if facts.white_is_zero and factor is None and offset is None and (top := _black(stored.dtype, facts.bits)):
        factor, offset = -1.0 / top, 1.0
        _warn(
            f"{path}: 0 is white in it, and {top:g} black, by its tag; its numbers were turned around "
            "(give --full-scale to take them as they are stored)"
        )
    if has_palette and not facts.white_is_zero:
        _warn(
            f"{path} holds indices of a colour table (palette), which are not measurements; if it is a picture, "
            "convert it to one with red, green and blue (gdal_translate -expand rgb)"
        )
    nodata, further = missing_numbers([masks.nodata[i] for i in used], facts.missing)
    stored, mask = stored.of_bands(used), masks.reader(source)
    values = LazyValues(
        _reader(stored, recolour, source),
        stored.shape,
        (0, 1, 2),
        Decoding(stored.dtype, nodata=nodata, special=special),
        path,
        kind,
        either(mask, hidden),
    )
    if decoding is None:
        decoding = choose_decoding(
            stored.dtype,
            path=path,
            scale=options.scale,
            scale_factor=factor,
            offset=offset,
            nodata=nodata,
            special=(*special, *further),
            valid_range=one_or_each(facts.valid_ranges),
            percent=facts.percent,
            bits=facts.bits,
            sample=(lambda: _little_of(values, source)) if far else values.sample,
        )
    if options.overview is not None:
        # the scale was chosen by the full resolution, so that all overviews have the same
        stored.close()
        if mask is not None:
            mask.close()
        smaller, of_overview = _overview(path, kind, options.overview)
        stored = smaller.of_bands(used)
        mask = masks.reader(source, overview_level=options.overview)
        values = LazyValues(_reader(stored, recolour, source), stored.shape, (0, 1, 2), decoding, path, kind, mask)
        transform = of_overview if located else transform
    smaller_by = 1.0 if options.overview is None else stored.shape[2] / full_width
    if rpcs is not None:
        # they count the pixels of the full resolution
        metadata["attrs"] = {**(metadata.get("attrs") or {}), RPCS: rpcs_on_finer_pixels(rpcs.to_dict(), smaller_by)}
    if dated := date_attribute(utc(imagery.get("ACQUISITIONDATETIME"))):
        metadata["attrs"] = {**dated, **(metadata.get("attrs") or {})}
    place: dict[str, Any] = {"crs": crs, "transform": None if transform.is_identity else transform}
    if gcps:
        place = {"crs": crs or gcp_crs or crs_of_points, "control_points": on_finer_pixels(gcps, smaller_by)}
    scene = make_scene(
        values.with_decoding(decoding).as_variable(),
        encoding=decoding.encoding,
        **(place if located else {}),
        colours=None if colours is None else [colours[i] for i in used],
        **metadata,
    )

    def close() -> None:
        stored.close()
        if mask is not None:
            mask.close()

    scene.set_close(close)
    return scene


def missing_numbers(
    nodata: Sequence[float | None], further: Sequence[tuple[float, ...]]
) -> tuple[float | tuple[float | None, ...] | None, tuple[float, ...]]:
    """Return the numbers that mark missing pixels: one or one per band, and further ones for all bands.

    Parameters
    ----------
    nodata : sequence of (float or None)
        Of each band, by GDAL.
    further : sequence of tuple of float
        Of each band, by its tags, which matter where there is no other.
    """
    common = set(further[0]).intersection(*further) if further else set()
    own = [next((each for each in more if each not in common), None) for more in further]
    combined = [first if first is not None else second for first, second in zip(nodata, own, strict=True)]
    alike = len(set(map(repr, combined))) == 1  # as text: NaN differs from itself
    return combined[0] if alike else tuple(combined), tuple(sorted(common))


def one_or_each(ranges: Sequence[tuple[float, float] | None]) -> Any:
    """Return the valid range of all bands, or one per band; None if no band has one."""
    if all(each is None for each in ranges):
        return None
    return ranges[0] if len(set(ranges)) == 1 else tuple(ranges)


def _black(dtype: np.dtype[Any], bits: int | None) -> float:
    """Return the number that is black where 0 is white; 0 for types that have none."""
    return float(2 ** (bits or 8 * dtype.itemsize) - 1) if dtype.kind == "u" else 0.0


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=4)


def _reader(stored: GdalWindows, recolour: Recolour | None, source: Path | str) -> Callable[[Slices], NDArray[Any]]:
    """Return a block reader; colour conversion needs all bands, so all are read for it."""

    def read(key: Slices) -> NDArray[Any]:
        with quiet_gdal(source):
            if recolour is None:
                return stored.read(key)
            return recolour(stored.read((slice(None), *key[1:])))[key[0]]

    return read


def _little_of(values: LazyValues, source: Path | str) -> NDArray[Any]:
    """Return sample numbers of a remote file: its smallest overview, or a window in the middle."""
    import rasterio

    with quiet_gdal(source), rasterio.open(source, driver=driver_of(source)) as dataset:
        factors = dataset.overviews(1)
    if not factors:
        return values.sample_middle()
    with (
        quiet_gdal(source),
        rasterio.open(source, driver=driver_of(source), overview_level=len(factors) - 1) as smallest,
    ):
        numbers = smallest.read(list(range(1, min(smallest.count, 4) + 1)), masked=True)
        return np.asarray(numbers.compressed())


def either(first: Mask | None, second: Mask | None) -> Mask | None:
    """Return the union of two masks."""
    if first is None or second is None:
        return first or second
    return lambda key: first(key) | second(key)


_ONE_A_BAND = frozenset({"wavelengths", "fwhm", "good_bands", "band_names"})


def overview_factors(path: Path | str) -> list[int]:
    """Return the reduction factors of a GeoTIFF's overviews, for the first band; empty if there are none."""
    import rasterio

    with reading(path, "GeoTIFF"), quiet_gdal(), rasterio.open(path, driver=driver_of(path)) as dataset:
        return [int(factor) for factor in dataset.overviews(1)] if dataset.count else []


def _overview(path: Path | str, kind: str, number: int) -> tuple[GdalWindows, Any]:
    """Return the numbers of one of a file's overviews, and its transform."""
    import rasterio

    factors = overview_factors(path)
    if not 0 <= number < len(factors):
        raise InputError(f"overview={number} of {path}, which has {len(factors)} overviews; the first is 0")
    how = {"driver": driver_of(path), "overview_level": number}
    with reading(path, kind), quiet_gdal(), rasterio.open(path, **how) as dataset:
        return windows_of(dataset, path, overview=number), dataset.transform


def write_raster(
    path: Path,
    scene: xr.DataArray,
    storage: Storage,
    *,
    step: int,
    describe: Any,
    **profile: Any,
) -> None:
    """Write a scene with rasterio, window by window, so that a lazy scene never has to fit in memory.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    scene : xarray.DataArray
        Canonical dims.
    storage : Storage
        How values become stored numbers.
    step : int
        Windows are multiples of this many pixels (the tile size of the format).
    describe : callable
        Called with the open dataset to write its metadata, before the values.
    **profile
        Creation options.
    """
    import rasterio
    from rasterio.windows import Window

    bands, height, width = scene.shape
    control, rpcs = control_points(scene), scene_rpcs(scene)
    if rpcs is not None and profile.get("driver") == "GTiff":
        from rasterio.rpc import RPC

        profile["rpcs"] = RPC(**rpcs)
    if control:
        profile.update(gcps=control, crs=scene_crs(scene))
    else:
        transform = scene_transform(scene)
        profile.update(crs=scene_crs(scene), **({} if transform is None else {"transform": transform}))
    rows, columns = window_shape(scene, step)
    with quiet_gdal(), small_gdal_cache():
        dataset = rasterio.open(
            path,
            "w",
            count=bands,
            height=height,
            width=width,
            dtype=storage.dtype.name,
            nodata=storage.nodata,
            **profile,
        )
        try:
            describe(dataset)
            if storage.scaled:
                dataset.scales = (storage.scale_factor,) * bands
                dataset.offsets = (storage.offset,) * bands
            for top in range(0, height, rows):
                for left in range(0, width, columns):
                    block = scene.isel(y=slice(top, top + rows), x=slice(left, left + columns)).values
                    window = Window(left, top, block.shape[2], block.shape[1])
                    stored = storage.encode(block)
                    with _silent_stderr():
                        dataset.write(stored, window=window)
        finally:
            with _silent_stderr():
                dataset.close()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Suppress libtiff's messages to stderr about a full disk; an error is raised as well."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no stderr to keep clean
        yield
        return
    try:
        with open(os.devnull, "w") as null:  # noqa: PTH123 - the file number is what matters
            os.dup2(null.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def window_shape(scene: xr.DataArray, step: int) -> tuple[int, int]:
    """Choose the windows for writing: the scene's chunks, or as many columns as memory allows.

    Parameters
    ----------
    scene : xarray.DataArray
        Canonical dims; ``encoding["preferred_chunks"]`` may name the ``y`` and ``x`` size that is cheap to
        compute.
    step : int
        Both sizes are multiples of this.

    Returns
    -------
    tuple of int
        Rows and columns.
    """
    chunks = scene.encoding.get("preferred_chunks") or {}
    if scene.chunks is not None:
        chunks = {dim: max(sizes) for dim, sizes in zip(scene.dims, scene.chunks, strict=True)}
    rows = _round_up(int(chunks.get("y", step)), step)
    per_column = scene.sizes["band"] * rows * 8
    affordable = max(step, _WINDOW_BYTES // per_column // step * step)
    columns = _round_up(int(chunks["x"]), step) if "x" in chunks else affordable
    return rows, columns


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step
