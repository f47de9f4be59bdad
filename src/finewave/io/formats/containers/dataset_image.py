"""Which array of a file that xarray opens is the image: one variable, or one variable a band."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.formats.containers import arrays
from finewave.io.formats.values.band_lists import Listed, attribute
from finewave.io.formats.values.stated import stated_in, states_numbers
from finewave.io.open_options import OpenOptions
from finewave.warnings import FinewaveWarning

Groups = Mapping[str, xr.Dataset]
"""The datasets of a file by the paths of their groups, ``"/"`` first."""

_STORAGE = ("scale_factor", "add_offset", "_FillValue", "missing_value", "dtype", "grid_mapping")
_NUMBERED = re.compile(r"(.*?)(\d+[a-z]?)", re.IGNORECASE)
_COLOURS = ("coastal", "aerosol", "violet", "blue", "green", "yellow", "red", "rededge", "nir", "swir", "mir")


@dataclass(frozen=True)
class DatasetImage:
    """The image of a file.

    Parameters
    ----------
    name, group : str
        Attributes of the variable, or of the first one, and of its group.
    dims, shape, dtype : tuple, tuple, numpy.dtype
        As it is read.
    read : callable
        Takes one slice an axis.
    attrs, encoding : mapping
        Attributes of the variable, or those common to several.
    lists : list of Listed
        Lists about bands in the variables' attributes.
    """

    name: str
    group: str
    dims: tuple[Hashable, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[tuple[slice, ...]], NDArray[Any]]
    attrs: Mapping[Any, Any]
    encoding: Mapping[Any, Any]
    lists: list[Listed] = field(default_factory=list)


def variables_of(groups: Groups) -> dict[str, tuple[str, xr.DataArray]]:
    """Return group and variable by the variable's path, without a slash in front."""
    return {
        f"{group}/{name}".lstrip("/"): (group, dataset[name])
        for group, dataset in groups.items()
        for name in dataset.data_vars
    }


def choose_image(groups: Groups, path: Path | str, options: OpenOptions) -> DatasetImage:
    """Choose the image.

    Parameters
    ----------
    groups : mapping of str to xarray.Dataset
        Of the file.
    path : pathlib.Path
        For messages.
    options : OpenOptions
        ``variable`` may be the name of an array, or the common prefix of one-band arrays.

    Returns
    -------
    DatasetImage
        A 3-D array; axes of one, such as a single time, are left out of arrays with more. Otherwise arrays of one band
        each.

    Raises
    ------
    InputError
        Nothing or more than one thing can be the image.
    """
    variables = variables_of(groups)
    numeric = [name for name, (_, each) in variables.items() if each.dtype.kind in "fiub"]
    as_stored = shapes = {name: _without_ones(each) for name, (_, each) in variables.items()}
    if any(_is_moment(variables[name][1]) for name in numeric) and not any(
        len(shapes[name]) == 3 and not _is_moment(variables[name][1]) for name in numeric
    ):
        # a time of one, of arrays that are one band each; a single one is an image of one band, as it is
        shapes = shapes | {name: shapes[name][1:] for name in numeric if _is_moment(variables[name][1])}
    series = _series({name: variables[name] for name in numeric if len(shapes[name]) == 2})
    requested = None if options.variable is None else options.variable.strip("/").rstrip("*")
    if requested is not None and requested not in variables and requested.rstrip("_") in series:
        return _stacked(series[requested.rstrip("_")], variables)
    if requested is None and not any(len(shapes[name]) == 3 for name in numeric) and series:
        if len(series) > 1:
            listed = ", ".join(f"{stem} ({len(names)} bands)" for stem, names in series.items())
            raise InputError(
                f"{path} holds several images of one array per band; choose one with variable= (--variable): {listed}"
            )
        return _stacked(next(iter(series.values())), variables)
    coloured = [name for name in numeric if len(shapes[name]) == 2 and _is_a_colour(name)]
    if requested is None and len(coloured) > 1 and not any(len(shapes[name]) == 3 for name in numeric):
        warnings.warn(
            f"{path}: took the arrays {', '.join(coloured)} as bands; choose others with variable=",
            FinewaveWarning,
            stacklevel=4,
        )
        return _stacked(coloured, variables)
    if requested is None and not any(len(shapes[name]) == 3 for name in numeric):
        shapes = as_stored
    selected = arrays.choose_variable(shapes, numeric, options.variable, path)
    group, array = variables[selected]
    if len(shapes[selected]) < array.ndim:
        array = _squeezed(array)
    variable = array.variable
    return DatasetImage(
        selected,
        group,
        array.dims,
        array.shape,
        array.dtype,
        lambda key: variable[key].values,
        array.attrs,
        array.encoding,
    )


_MOMENTS = ("time", "t", "date", "valid_time")


def _is_moment(array: xr.DataArray) -> bool:
    """Whether an array has a time of one before its rows and columns."""
    return array.ndim == 3 and array.shape[0] == 1 and str(array.dims[0]).lower() in _MOMENTS


def _ones(array: xr.DataArray) -> list[Hashable]:
    """Axes of one that an array has beyond three, the first ones first: time, level."""
    return [dim for dim in array.dims if array.sizes[dim] == 1][: max(0, array.ndim - 3)]


def _squeezed(array: xr.DataArray) -> xr.DataArray:
    """Return an array without the axes of one that are no rows, columns or bands."""
    ones = [array.dims[0]] if _is_moment(array) else _ones(array)
    return array.isel(dict.fromkeys(ones, 0), drop=True)


def _without_ones(array: xr.DataArray) -> tuple[int, ...]:
    ones = _ones(array)
    return tuple(size for dim, size in zip(array.dims, array.shape, strict=True) if dim not in ones)


def _series(flat: Mapping[str, tuple[str, xr.DataArray]]) -> dict[str, list[str]]:
    """Group one-band arrays whose names differ only in a number: ``rhos_443``, ``rhos_492``; ``b02``, ``b8a``."""
    series: dict[str, list[str]] = {}
    for name, (group, array) in flat.items():
        matched = _NUMBERED.fullmatch(name.rsplit("/", 1)[-1])
        if matched is not None:
            stem = f"{group}/{matched[1].rstrip('_')}".lstrip("/")
            first = flat[series[stem][0]][1] if stem in series else array
            if (array.dims, array.shape, array.dtype) == (first.dims, first.shape, first.dtype):
                series.setdefault(stem, []).append(name)
    return {stem: names for stem, names in series.items() if len(names) > 1}


def _is_a_colour(name: str) -> bool:
    return re.sub(r"[^a-z]", "", name.rsplit("/", 1)[-1].lower()) in _COLOURS


def _stacked(names: list[str], variables: Mapping[str, tuple[str, xr.DataArray]]) -> DatasetImage:
    arrays_ = [_squeezed(variables[name][1]) for name in names]
    first = arrays_[0]
    encodings = [{key: each.encoding[key] for key in _STORAGE if key in each.encoding} for each in arrays_]
    same = all(repr(each) == repr(encodings[0]) for each in encodings)
    common: dict[str, Any] = {}
    for key, value in first.attrs.items():
        values = [each.attrs.get(key) for each in arrays_]
        if all(repr(each) == repr(value) for each in values):
            common[key] = value
        elif states_numbers({key: value}) and all(each is not None and np.size(each) == 1 for each in values):
            common[key] = values  # one scale per band, or the fill values of all
    percent = [stated_in(each.attrs).percent for each in arrays_]
    if any(percent) and not all(percent):
        units = dict.fromkeys(str(attribute(each.attrs, "units", "unit")) for each in arrays_)
        warnings.warn(
            f"the arrays {', '.join(names[:4])}{', ...' if len(names) > 4 else ''} are in different units "
            f"({', '.join(units)}), and not reflectance in the same; they are taken as they are; "
            "give --variable to take one",
            FinewaveWarning,
            stacklevel=5,
        )

    def read(key: tuple[slice, ...]) -> NDArray[Any]:
        return np.stack([each.variable[key[1:]].values for each in arrays_[key[0]]])

    return DatasetImage(
        names[0],
        variables[names[0]][0],
        ("band", *first.dims),
        (len(names), *first.shape),
        first.dtype,
        read,
        common,
        encodings[0] if same else {key: encodings[0][key] for key in ("grid_mapping",) if key in encodings[0]},
        list(_lists_of(names, arrays_)),
    )


def _lists_of(names: list[str], bands: list[xr.DataArray]) -> Iterator[Listed]:
    """Wavelengths by attribute, or by names that end in nanometres; names."""
    for keys in (
        ("wavelength", "center_wavelength", "central_wavelength", "radiation_wavelength"),
        ("fwhm", "bandwidth"),
    ):
        values = [attribute(each.attrs, *keys) for each in bands]
        if None not in values:
            yield Listed(keys[0], np.ravel(np.asarray(values)), _unit(bands[0]))
    plain = [name.rsplit("/", 1)[-1] for name in names]
    numbers = [re.search(r"_(\d{3,4})$", name) for name in plain]
    if all(numbers) and all(300 <= int(each[1]) <= 2600 for each in numbers if each):
        yield Listed("wavelength", [int(each[1]) for each in numbers if each], "nm")
    yield Listed("band_names", plain)


def _unit(band: xr.DataArray) -> str | None:
    return attribute(band.attrs, "wavelength_units", "wavelength_unit")
