"""GeoTIFF and cloud-optimised GeoTIFF, through GDAL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xarray as xr

from finewave.errors import InputError
from finewave.io.atomic import atomic_output
from finewave.io.file_errors import reading
from finewave.io.formats import photo
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal, small_gdal_cache
from finewave.io.formats.gdal.gdal_bands import band_metadata, default_name
from finewave.io.formats.gdal.gdal_masks import alpha_band
from finewave.io.formats.gdal.raster import is_georeferenced, open_raster, write_raster
from finewave.io.formats.gdal.tiff_pages import has_pages, open_pages
from finewave.io.formats.storage import Storage, choose_interleave, choose_storage
from finewave.io.open_options import OpenOptions, SaveOptions
from finewave.scene import STRUCTURE, attribute_from_text, attribute_to_text, band_values

_TILE = 256
_COMPRESSIONS = ("deflate", "lzw", "zstd", "lzma", "packbits", "lerc", "none")
_PREDICTING = ("deflate", "lzw", "zstd")
_UNPACKED = 2**30
"""Bytes up to which a file that is read once is not compressed."""
_COG_TILE = 512  # overviews end where the image is no larger


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a GeoTIFF, or hand a plain RGB TIFF to the photograph reader.

    Returns
    -------
    xarray.DataArray
        The scene, lazy. Wavelengths, FWHM, names and the bad-band list come from GDAL's ``IMAGERY`` domain,
        from band tags, from ENVI-like dataset tags, or from the band descriptions.
    """
    import rasterio

    with reading(path, "GeoTIFF"), quiet_gdal(), rasterio.open(path, driver=driver_of(path)) as dataset:
        driver = dataset.driver
        metadata = band_metadata(dataset, wavelengths_given=options.wavelengths is not None)
        used = metadata.pop("_used")
        photograph = options.wavelengths is None and _is_photograph(dataset, metadata)
        tags = {key: attribute_from_text(text) for key, text in dataset.tags().items()}
        located = is_georeferenced(dataset)
        several = len(dataset.subdatasets) > 1
    orientation = 1
    if driver == "GTiff":
        check_complete(path)
        orientation = 1 if located else orientation_of(path)
        if several and has_pages(path):
            return upright(open_pages(path, options), orientation)
    if photograph:
        return upright(photo.open_tiff(path, options), orientation)
    # Area is the default interpretation.
    attrs = {k: v for k, v in tags.items() if k not in used and (k, v) != ("AREA_OR_POINT", "Area")}
    return upright(open_raster(path, "GeoTIFF", options, attrs=attrs, **metadata), orientation)


def is_photograph_file(path: str, source: str, options: OpenOptions) -> bool:
    """Return whether a remote TIFF is a photograph or has many pages: both are read completely."""
    import rasterio

    with reading(path, "GeoTIFF"), quiet_gdal(source), rasterio.open(source, driver=driver_of(source)) as dataset:
        metadata = band_metadata(dataset, wavelengths_given=options.wavelengths is not None)
        photograph = options.wavelengths is None and _is_photograph(dataset, metadata)
        return photograph or len(dataset.subdatasets) > 1


def orientation_in(beginning: BinaryIO) -> int:
    """Return the orientation from the beginning of a TIFF; 1 if not stated there."""
    try:
        return orientation_of(beginning)
    except InputError:
        return 1


def orientation_of(path: Path | BinaryIO) -> int:
    """Return the TIFF tag of how the picture was held: 1 upright, up to 8; its file may be open."""
    import tifffile

    with reading(str(path), "TIFF"), tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags.get(274)  # type: ignore[union-attr]  # the first page is never a frame
        return int(tag.value) if tag is not None and tag.value in range(1, 9) else 1


def upright(scene: xr.DataArray, orientation: int) -> xr.DataArray:
    """Rotate and mirror a scene without georeference by the tag Orientation of TIFF and EXIF.

    Parameters
    ----------
    scene : xarray.DataArray
        Dims ``(band, y, x)``; read into memory, if there is anything to turn.
    orientation : int
        1 (upright) to 8, as TIFF 6.0 numbers them.

    Returns
    -------
    xarray.DataArray
    """
    if orientation == 1:
        return scene
    turned = xr.DataArray(photo.turned(scene.values, orientation), dims=("band", "y", "x"), name=scene.name)
    turned = turned.assign_coords({name: each for name, each in scene.coords.items() if each.dims == ("band",)})
    turned.attrs, turned.encoding = dict(scene.attrs), dict(scene.encoding)
    turned.set_close(getattr(scene, "_close", None))
    return turned


def _is_photograph(dataset: Any, metadata: dict[str, Any]) -> bool:
    """Return whether it has three bytes per pixel (or four with alpha) and no sign of remote sensing."""
    return (
        set(dataset.dtypes) == {"uint8"}
        and (dataset.count == 3 or (dataset.count == 4 and alpha_band(dataset) == 3))
        and _may_be_red_green_blue(dataset.descriptions[:3])
        and not is_georeferenced(dataset)
        and metadata.get("wavelengths") is None
        and dataset.nodata is None
        and set(dataset.scales) == {1.0}
        and set(dataset.offsets) == {0.0}
    )


def _may_be_red_green_blue(names: Sequence[str | None]) -> bool:
    """Whether the names of bands, if they are colours at all, have a photograph's order."""
    initials = [name.strip().lower()[:1] for name in names if name]
    return initials == ["r", "g", "b"] or not initials or not set(initials) <= set("rgbn")


def check_complete(path: Path) -> None:
    """Raise an error for a truncated TIFF, whose index points beyond its end.

    Parameters
    ----------
    path : pathlib.Path
        A TIFF.

    Raises
    ------
    InputError
        The file is shorter than it should be.
    """
    with reading(path, "TIFF"):
        size, needed = path.stat().st_size, _indexed_size(path)
    if needed > size:
        raise InputError(
            f"cannot read {path}: the file is truncated ({size} bytes, its index speaks of {needed}); copy it again"
        )


def _indexed_size(path: Path) -> int:
    """Return the minimum size of a TIFF for the blocks in its index."""
    import logging

    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # suppress its remarks on odd tags
    with tifffile.TiffFile(path) as tiff:
        first = tiff.pages[0]
        return int(np.add(first.dataoffsets, first.databytecounts).max(initial=0))


def save_file(scene: xr.DataArray, path: Path, options: SaveOptions) -> None:
    """Write a tiled, compressed GeoTIFF, or with ``cog=True`` a cloud-optimised one.

    Parameters
    ----------
    options : SaveOptions
        ``format_options``: ``cog`` (bool, default False), ``compress`` (default ``"deflate"``; ``"none"``, or another
        of those that lose nothing), ``interleave``, see `finewave.io.formats.storage.choose_interleave`.

    Raises
    ------
    InputError
        The compression is unknown, or one of photographs, which changes values or holds bytes alone.
    """
    extra = dict(options.format_options or {})
    cog, compress = bool(extra.pop("cog", False)), str(extra.pop("compress", "deflate") or "none").lower()
    if compress not in _COMPRESSIONS:
        raise InputError(f"compress={compress!r} is unknown or loses values; accepted are {', '.join(_COMPRESSIONS)}")
    interleave = choose_interleave(options, scene.sizes["band"])
    storage = choose_storage(scene, options)
    if storage.dtype.kind == "f" and storage.nodata is None:
        storage.nodata = float("nan")
    predictor = {"predictor": 3 if storage.dtype.kind == "f" else 2}
    with atomic_output(path) as temporary:
        plain = temporary.with_name(f"plain-{temporary.name}") if cog else temporary
        packing = _packing_for_once(scene, storage) if cog else {"compress": compress}
        write_raster(
            plain,
            scene,
            storage,
            step=_TILE,
            describe=partial(_describe, scene=scene),
            driver="GTiff",
            tiled=True,
            blockxsize=_TILE,
            blockysize=_TILE,
            # without compression the COG driver of GDAL keeps the order of what it copies
            interleave="band" if cog and compress != "none" else interleave,
            BIGTIFF="IF_SAFER",
            NUM_THREADS="ALL_CPUS",
            **packing,
            **(predictor if str(packing.get("compress")).lower() in _PREDICTING else {}),
        )
        _check_written(plain)
        if cog:
            _make_cloud_optimised(plain, temporary, compress, interleave)
            _check_written(temporary)
    storage.warn(path)


def _packing_for_once(scene: xr.DataArray, storage: Storage) -> dict[str, Any]:
    """Return the compression of a file that is read once: none, or a fast one where it would fill a disk.

    Without, making a cloud-optimised file of 28 MB takes 0.62 s of processor time in place of 1.14.
    """
    large = scene.size * storage.dtype.itemsize > _UNPACKED
    return {"compress": "deflate", "zlevel": 1} if large else {}


def _check_written(path: Path) -> None:
    """Check the written TIFF by its index, as GDAL does not report every disk error."""
    try:
        complete = _indexed_size(path) <= path.stat().st_size
    except Exception:  # the index itself may be missing, which tifffile reports by various errors
        complete = False
    if not complete:
        raise OSError("the values could not be written completely; is the disk full?")


def _make_cloud_optimised(plain: Path, target: Path, compress: str, interleave: str) -> None:
    """Turn a file into a cloud-optimised one.

    GDAL's COG driver takes the overviews of the first. Left to make them itself it would read each from the one
    before, in which blocks hold all bands: for each band again, all of them. Before GDAL 3.11 it interleaves by pixel
    alone; a TIFF that is copied with its overviews has the same order, index, overviews, values, without its remarks on
    it at the beginning.
    """
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.env import GDALVersion
    from rasterio.shutil import copy

    options = {"COMPRESS": compress.upper(), "PREDICTOR": "YES", "BLOCKSIZE": _COG_TILE, "BIGTIFF": "IF_SAFER"}
    with quiet_gdal(), small_gdal_cache(), rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
        with rasterio.open(plain, "r+") as dataset:
            levels = [2**n for n in range(1, 32) if max(dataset.shape) * 2 // 2**n > _COG_TILE]
            if levels:
                dataset.build_overviews(levels, Resampling.cubic)
        if interleave == "pixel" or GDALVersion.runtime().at_least("3.11"):
            options |= {} if interleave == "pixel" else {"INTERLEAVE": "BAND"}
            copy(plain, target, driver="COG", NUM_THREADS="ALL_CPUS", **options)
        else:
            predictor = {"PREDICTOR": _predictor(plain)} if compress.lower() in _PREDICTING else {}
            tiles = {"TILED": "YES", "BLOCKXSIZE": _COG_TILE, "BLOCKYSIZE": _COG_TILE, "INTERLEAVE": "BAND"}
            more = {
                "COPY_SRC_OVERVIEWS": "YES",
                "COMPRESS": compress.upper(),
                "BIGTIFF": "IF_SAFER",
                **tiles,
                **predictor,
            }
            copy(plain, target, driver="GTiff", NUM_THREADS="ALL_CPUS", **more)
    plain.unlink()


def _predictor(path: Path) -> int:
    """Return the predictor of TIFF for the numbers of a file."""
    import rasterio

    with rasterio.open(path, driver="GTiff") as dataset:
        return 3 if dataset.dtypes[0].startswith("float") else 2


def _describe(dataset: Any, scene: xr.DataArray) -> None:
    wavelengths, widths = band_values(scene, "wavelength"), band_values(scene, "fwhm")
    names, good = band_values(scene, "band_name"), band_values(scene, "good_band")
    for position, index in enumerate(dataset.indexes):
        tags: dict[str, str] = {}
        imagery: dict[str, str] = {}
        if wavelengths is not None:
            nm = float(wavelengths[position])
            tags.update(wavelength=repr(nm), wavelength_units="nm")
            imagery["CENTRAL_WAVELENGTH_UM"] = repr(round(nm / 1000, 9))
            dataset.set_band_description(index, default_name(nm))
        if widths is not None:
            tags["fwhm"] = repr(float(widths[position]))
            imagery["FWHM_UM"] = repr(round(float(widths[position]) / 1000, 9))
        if good is not None:
            tags["bbl"] = "1" if good[position] else "0"
        if names is not None:
            dataset.set_band_description(index, str(names[position]))
        if tags:
            dataset.update_tags(index, **tags)
        if imagery:
            dataset.update_tags(index, ns="IMAGERY", **imagery)
    texts = {key: attribute_to_text(value) for key, value in scene.attrs.items() if key not in STRUCTURE}
    dataset.update_tags(**{key: text for key, text in texts.items() if text is not None})
