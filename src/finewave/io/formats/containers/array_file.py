"""From the bare arrays of an HDF5 or MATLAB file to a scene."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.acquisition import date_attribute, stated_date
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.containers import arrays
from finewave.io.formats.values.band_lists import (
    Listed,
    describe_bands,
    is_about_bands,
    lengths_of_wavelength_lists,
    listed_in,
    unit_of,
)
from finewave.io.formats.values.decoding import Decoding, choose_decoding
from finewave.io.formats.values.lazy import LazyValues
from finewave.io.formats.values.stated import stated_in, warn_of_numbers_beside
from finewave.io.open_options import OpenOptions
from finewave.scene import attribute_from_text, make_scene

_LONGEST_TEXT = 2**16
_MOST_LISTED = 2**20


def holds_texts(dtype: np.dtype[Any], kinds: str = "SUO") -> bool:
    """Return whether an array's values are texts that may be names: of a fixed length, they have few bytes each."""
    return dtype.kind in kinds and dtype.itemsize <= _LONGEST_TEXT


@dataclass(frozen=True)
class StoredArray:
    """One array of a file, with its axes in the order shown by the file's usual software.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : numpy.dtype or None
        Numeric type; None for anything else (texts, cells, structs).
    read : callable
        Takes one slice an axis and returns that block.
    attrs : mapping
        Its attributes (``units``, ``scale_factor``, ``_FillValue``, ...).
    is_text : bool
        It holds texts.
    refusal : str
        Why it is not read; empty if it is.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    read: Callable[[tuple[slice, ...]], NDArray[Any]]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    is_text: bool = False
    refusal: str = ""

    def values(self) -> NDArray[Any]:
        """Read it completely."""
        return np.asarray(self.read(tuple(slice(0, length) for length in self.shape)))


def _without_ones(stored: StoredArray) -> tuple[StoredArray, tuple[int, ...]]:
    """Return an array of more than three axes without those of one, as of a batch or a time, and the axes it keeps."""
    ones = [axis for axis, length in enumerate(stored.shape) if length == 1][: max(0, len(stored.shape) - 3)]
    kept = tuple(axis for axis in range(len(stored.shape)) if axis not in ones)
    if not ones:
        return stored, kept

    def read(key: tuple[slice, ...]) -> NDArray[Any]:
        whole = [slice(0, 1)] * len(stored.shape)
        for axis, each in zip(kept, key, strict=True):
            whole[axis] = each
        return np.squeeze(stored.read(tuple(whole)), tuple(ones))

    return replace(stored, shape=tuple(stored.shape[axis] for axis in kept), read=read), kept


def open_image(
    stored: Mapping[str, StoredArray],
    path: Path | str,
    kind: str,
    options: OpenOptions,
    *,
    default_band_axis: int | None,
    texts: Mapping[str, str] | None = None,
    file_attrs: Mapping[str, Any] | None = None,
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
        Options given by the user.
    default_band_axis : int or None
        The format's custom.
    texts : mapping of str to str, optional
        The texts among `OUR_NAMES`, for files that our MATLAB writer may have written.
    file_attrs : mapping, optional
        Attributes of the file and of the groups that hold the image.

    Returns
    -------
    xarray.DataArray
        The scene, lazy.

    Raises
    ------
    InputError
        No array, or more than one, can be the image.
    """
    reduced = {name: _without_ones(each) for name, each in stored.items()}
    stored = {name: each for name, (each, _) in reduced.items()}
    shapes = {name: each.shape for name, each in stored.items()}
    numeric = [name for name, each in stored.items() if each.dtype is not None]
    embedded = stored.get("scene")
    if options.variable is None and embedded is not None and embedded.dtype is None:
        raise InputError(f"variable 'scene' of {path} does not hold numbers; choose another one with variable=")
    name = arrays.choose_variable(shapes, numeric, options.variable, path)
    image = stored[name]
    if image.dtype is None:
        raise InputError(f"variable {name!r} of {path} does not hold numbers")
    if image.refusal:
        raise InputError(f"cannot read {name} of {path}: {image.refusal}")
    beside = {n: stored[n] for n in numeric if n != name}
    with reading(path, kind):
        metadata: dict[str, Any] = {}
        lists = _lists(stored, name, file_attrs or {})
        storage = dict(image.attrs)
        if texts is not None:
            metadata.update(_our_metadata(beside, texts))
            storage.update({n: float(beside[n].values().item()) for n in _STORAGE_NAMES if _is_number(beside, n)})
    known = [] if options.wavelengths is None else [len(options.wavelengths)]
    known += lengths_of_wavelength_lists(lists)
    axes: tuple[int, ...] = (0, 1)
    if len(image.shape) == 3:
        of_all = reduced[name][1]
        stated_axis = of_all.index(options.band_axis) if options.band_axis in of_all else options.band_axis
        band = arrays.choose_band_axis(image.shape, known, stated_axis, default_band_axis, path)
        axes = (band, *(axis for axis in range(3) if axis != band))
    floats = image.dtype.kind == "f"
    stated = stated_in(storage, floats=floats)
    stated = stated.otherwise(stated_in(_around(name, file_attrs or {}), of_whole_file=True, floats=floats))
    stated = stated.check(image.shape[axes[0]] if len(axes) == 3 else 1, path)
    if options.scale is None and stated.scale_factor is None and stated.offset is None:
        warn_of_numbers_beside({n: each.shape for n, each in beside.items()}, image.shape[axes[0]], path)
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
        percent=stated.percent,
        sample=values.sample,
    )
    bands = values.shape[0]
    with reading(path, kind):
        band_facts = describe_bands(lists, bands, path, wavelengths_given=options.wavelengths is not None)
    own = dict(metadata.pop("attrs", {}))
    own |= date_attribute(
        own.get("datetime"), stated_date(own), stated_date(image.attrs), stated_date(file_attrs or {})
    )
    fitting = {k: v for k, v in metadata.items() if k not in _ONE_A_BAND or len(v) == bands}
    return make_scene(
        values.with_decoding(decoding).as_variable(), attrs=own, encoding=decoding.encoding, **band_facts | fitting
    )


#: Names of texts that the MATLAB writer stores beside the image.
TEXT_NAMES = frozenset({"crs_wkt", "band_names", "attributes"})
_STORAGE_NAMES = ("scale_factor", "add_offset", "nodata")
_ONE_A_BAND = frozenset({"wavelengths", "fwhm", "good_bands", "band_names"})


def _lists(stored: Mapping[str, StoredArray], image: str, file_attrs: Mapping[str, Any]) -> list[Listed]:
    """Return lists in attributes of the image, arrays beside it and attributes of the file, in this order."""
    lists = listed_in(stored[image].attrs, f"{image}/")
    nearest = sorted((name for name in stored if name != image), key=lambda name: -_in_common(name, image))
    for name in nearest:
        each = stored[name]
        is_list = bool(each.shape) and math.prod(each.shape) == max(each.shape) <= _MOST_LISTED
        if is_list and is_about_bands(name) and (each.dtype is not None or each.is_text):
            lists.append(Listed(name, each.values(), unit_of(each.attrs)))
    return lists + listed_in(file_attrs)


def _around(image: str, file_attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of the file and of the groups that an array is in, by their own names; the nearest win."""
    inside = [key for key in file_attrs if image.startswith(key[: key.rfind("/") + 1])]
    return {key.rpartition("/")[2]: file_attrs[key] for key in sorted(inside, key=lambda key: key.count("/"))}


def _in_common(name: str, other: str) -> int:
    """How many leading groups two paths share."""
    pairs = zip(name.split("/")[:-1], other.split("/")[:-1], strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(name.count("/"), other.count("/")))


def _our_metadata(beside: Mapping[str, StoredArray], texts: Mapping[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if "crs_wkt" in texts:
        metadata["crs"] = texts["crs_wkt"]
    if "transform" in beside and np.prod(beside["transform"].shape) == 6:
        metadata["transform"] = beside["transform"].values().ravel().tolist()
    if "control_points" in beside and beside["control_points"].shape[-1] == 5:
        metadata["control_points"] = beside["control_points"].values()
    if "band_names" in texts:
        metadata["band_names"] = texts["band_names"].split("\n")
    attrs = attribute_from_text(texts.get("attributes", ""))
    if isinstance(attrs, dict):
        metadata["attrs"] = attrs
    return metadata


def _is_number(beside: Mapping[str, StoredArray], name: str) -> bool:
    return name in beside and np.prod(beside[name].shape) == 1
