"""From the bare arrays of an HDF5 or MATLAB file to a scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats import arrays
from finewave.io.formats.decoding import Decoding, choose_decoding
from finewave.io.formats.lazy import LazyValues
from finewave.io.formats.stated import stated_in
from finewave.io.open_options import OpenOptions
from finewave.scene import attribute_from_text, make_scene


@dataclass(frozen=True)
class StoredArray:
    """One array of a file, its axes in the order in which the file's users see them.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : numpy.dtype or None
        Type of its numbers; None for anything else (texts, cells, structs).
    read : callable
        Takes one slice an axis and returns that block.
    attrs : mapping
        Attributes that stand beside it (``units``, ``scale_factor``, ``_FillValue``, ...).
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    read: Callable[[tuple[slice, ...]], NDArray[Any]]
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def values(self) -> NDArray[Any]:
        """Read it whole."""
        return np.asarray(self.read(tuple(slice(0, length) for length in self.shape)))


def open_image(
    stored: Mapping[str, StoredArray],
    path: Path,
    kind: str,
    options: OpenOptions,
    *,
    default_band_axis: int | None,
    texts: Mapping[str, str] | None = None,
) -> xr.DataArray:
    """Choose the image among the arrays of a file and open it as a scene.

    Parameters
    ----------
    stored : mapping of str to StoredArray
        All arrays of the file.
    path : pathlib.Path
        The file.
    kind : str
        Name of the format, for messages.
    options : OpenOptions
        What the user stated.
    default_band_axis : int or None
        The format's custom.
    texts : mapping of str to str, optional
        The texts among `OUR_NAMES`, for files that our MATLAB writer may have written.

    Returns
    -------
    xarray.DataArray
        The scene, lazy.

    Raises
    ------
    InputError
        No array, or more than one, can be the image.
    """
    shapes = {name: each.shape for name, each in stored.items()}
    numeric = [name for name, each in stored.items() if each.dtype is not None]
    name = arrays.choose_variable(shapes, numeric, options.variable, path)
    image = stored[name]
    if image.dtype is None:
        raise InputError(f"variable {name!r} of {path} does not hold numbers")
    beside = {n: stored[n] for n in numeric if n != name}
    with reading(path, kind):
        metadata = _spectral_metadata(beside)
        storage = dict(image.attrs)
        if texts is not None:
            metadata.update(_our_metadata(beside, texts))
            storage.update({n: float(beside[n].values().item()) for n in _STORAGE_NAMES if _is_number(beside, n)})
    known = [len(each) for each in (options.wavelengths, metadata.get("wavelengths")) if each is not None]
    axes: tuple[int, ...] = (0, 1)
    if len(image.shape) == 3:
        band = arrays.choose_band_axis(image.shape, known, options.band_axis, default_band_axis, path)
        axes = (band, *(axis for axis in range(3) if axis != band))
    stated = stated_in(storage)
    values = LazyValues(image.read, image.shape, axes, Decoding(image.dtype, special=stated.missing), path, kind)
    decoding = choose_decoding(
        image.dtype,
        path=path,
        scale=options.scale,
        scale_factor=stated.scale_factor,
        offset=stated.offset,
        nodata=stated.missing[0] if stated.missing else None,
        special=stated.missing[1:],
        valid_range=stated.valid_range,
        sample=values.sample,
    )
    bands = values.shape[0]
    fitting = {k: v for k, v in metadata.items() if k not in _ONE_A_BAND or len(v) == bands}
    return make_scene(values.with_decoding(decoding).as_variable(), encoding=decoding.encoding, **fitting)


#: Names under which the MATLAB writer keeps texts beside the image.
TEXT_NAMES = frozenset({"crs_wkt", "band_names", "attributes"})
_STORAGE_NAMES = ("scale_factor", "add_offset", "nodata")
_ONE_A_BAND = frozenset({"wavelengths", "fwhm", "good_bands", "band_names"})


def _spectral_metadata(beside: Mapping[str, StoredArray]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for name, each in beside.items():
        for key, fits in (("wavelengths", arrays.is_wavelength_name), ("fwhm", arrays.is_width_name)):
            is_list = each.shape and np.prod(each.shape) == max(each.shape)
            if key in metadata or not is_list or not fits(name):
                continue
            unit = each.attrs.get("units", each.attrs.get("unit"))
            converted = arrays.in_nanometres(name, each.values(), unit if isinstance(unit, str) else None)
            if converted is not None:
                metadata[key] = converted
    return metadata


def _our_metadata(beside: Mapping[str, StoredArray], texts: Mapping[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if "crs_wkt" in texts:
        metadata["crs"] = texts["crs_wkt"]
    if "transform" in beside and np.prod(beside["transform"].shape) == 6:
        metadata["transform"] = beside["transform"].values().ravel().tolist()
    if "band_names" in texts:
        metadata["band_names"] = texts["band_names"].split("\n")
    if "good_bands" in beside:
        metadata["good_bands"] = beside["good_bands"].values().ravel() != 0
    attrs = attribute_from_text(texts.get("attributes", ""))
    if isinstance(attrs, dict):
        metadata["attrs"] = attrs
    return metadata


def _is_number(beside: Mapping[str, StoredArray], name: str) -> bool:
    return name in beside and np.prod(beside[name].shape) == 1
