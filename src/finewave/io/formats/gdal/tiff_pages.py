"""A TIFF of many pages, each one band: the form in which microscopes and cameras save spectral images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.gdal.gdal_access import quiet_gdal
from finewave.io.formats.gdal.gdal_numbers import StatedByGdal, stated_of
from finewave.io.formats.gdal.raster import is_georeferenced
from finewave.io.formats.values.band_lists import Listed, describe_bands
from finewave.io.formats.values.decoding import Decoding, choose_decoding
from finewave.io.formats.values.lazy import LazyValues, Slices
from finewave.io.open_options import OpenOptions
from finewave.scene import make_scene
from finewave.wavelengths import wavelength_in_text

_PAGE_NAME = 285


def has_pages(path: Path) -> bool:
    """Return whether a TIFF has several full-size pages, not counting overviews and masks."""
    import tifffile

    with reading(path, "TIFF"), tifffile.TiffFile(path) as tiff:
        return len(tiff.pages) > 1 and sum(not _whole(page).is_reduced for page in tiff.pages) > 1


def _whole(page: Any) -> Any:
    return page.aspage()


def open_pages(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open the pages of a TIFF as bands.

    Parameters
    ----------
    path : pathlib.Path
        The file; its pages have one sample per pixel and one size.
    options : OpenOptions
        What the user stated.

    Returns
    -------
    xarray.DataArray
        The scene, lazy page by page; a wavelength in the name of every page is read. Place, scale and nodata are those
        of the first page.

    Raises
    ------
    InputError
        The pages differ, or hold several samples per pixel.
    """
    import tifffile

    with reading(path, "TIFF"):
        tiff = tifffile.TiffFile(path)
    try:
        with reading(path, "TIFF"):
            pages = [page for page in map(_whole, tiff.pages) if not page.is_reduced]
            first = pages[0]
            names = [_name(page) for page in pages]
        unlike = [page for page in pages if (page.shape, page.dtype) != (first.shape, first.dtype)]
        if unlike or len(first.shape) != 2 or first.dtype is None:
            raise InputError(
                f"{path} holds {len(pages)} pages that are not the bands of one image (of {first.shape} and "
                f"{(unlike or pages)[-1].shape}); save the one you need to a file of its own"
            )

        def read(key: Slices) -> NDArray[Any]:
            return np.stack([page.asarray()[key[1:]] for page in pages[key[0]]])

        shape = (len(pages), *first.shape)
        facts, nodata, place = _of_first_page(path)
        if facts.white_is_zero:
            raise InputError(f"in {path} 0 is white; turn its numbers around, so that 0 is black")
        undecoded = Decoding(first.dtype, nodata=nodata, special=facts.missing[0])
        values = LazyValues(read, shape, (0, 1, 2), undecoded, path, "TIFF")
        decoding = choose_decoding(
            first.dtype,
            path=path,
            scale=options.scale,
            scale_factor=facts.factors[0],
            offset=facts.offsets[0],
            nodata=nodata,
            special=facts.missing[0],
            valid_range=facts.valid_ranges[0],
            percent=facts.percent,
            bits=facts.bits,
            sample=values.sample,
        )
        lists = [] if None in names else [Listed("band_names", names)]
        if any(wavelength_in_text(name) is None for name in names):
            lists = lists if len(set(names)) == len(names) else []
        metadata = describe_bands(lists, len(pages), path, wavelengths_given=options.wavelengths is not None)
    except BaseException:
        tiff.close()
        raise
    scene = make_scene(values.with_decoding(decoding).as_variable(), encoding=decoding.encoding, **place, **metadata)
    scene.set_close(tiff.close)
    return scene


def _of_first_page(path: Path) -> tuple[StatedByGdal, float | None, dict[str, Any]]:
    """Return what GDAL knows of the first page, and so of all: numbers, nodata and the place on the ground."""
    import rasterio

    with reading(path, "TIFF"), quiet_gdal(), rasterio.open(path, driver="GTiff") as dataset:
        located = is_georeferenced(dataset)
        transform = None if dataset.transform.is_identity else dataset.transform
        return stated_of(dataset), dataset.nodata, {"crs": dataset.crs, "transform": transform} if located else {}


def _name(page: Any) -> str | None:
    tag = page.tags.get(_PAGE_NAME)
    text = str(tag.value) if tag is not None else str(page.description or "")
    return text if 0 < len(text) <= 60 and "\n" not in text and not text.startswith("{") else None
