"""Convert xarray datasets, one per group of a file, to a scene."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.acquisition import date_attribute, stated_date, utc
from finewave.control_points import sampled_points, with_control_points
from finewave.errors import InputError
from finewave.grid_mapping import with_crs
from finewave.io.file_errors import reading
from finewave.io.formats.containers import arrays, geozarr
from finewave.io.formats.containers.dataset_image import DatasetImage, Groups, choose_image
from finewave.io.formats.values.band_lists import (
    Listed,
    describe_bands,
    is_about_bands,
    lengths_of_wavelength_lists,
    listed_in,
    unit_of,
)
from finewave.io.formats.values.decoding import Decoding, Number, choose_decoding
from finewave.io.formats.values.lazy import LazyValues
from finewave.io.formats.values.stated import stated_in, warn_of_numbers_beside
from finewave.io.open_options import OpenOptions
from finewave.pixel_positions import is_even
from finewave.scene import (
    STRUCTURE,
    attribute_from_text,
    make_scene,
    scene_crs,
    scene_transform,
    with_followed_place,
    with_georeference,
)
from finewave.warnings import FinewaveWarning

_BAND_DIMS = frozenset(
    ["band", "bands", "wavelength", "wavelengths", "wl", "wvl", "lambda", "spectral", "channel", "channels"]
)
_Y_DIMS = frozenset(
    [
        "y",
        "lat",
        "latitude",
        "row",
        "rows",
        "line",
        "lines",
        "northing",
        "northings",
        "downtrack",
        "along_track",
    ]
)
_X_DIMS = frozenset(
    [
        "x",
        "lon",
        "longitude",
        "col",
        "cols",
        "column",
        "columns",
        "sample",
        "samples",
        "easting",
        "eastings",
        "crosstrack",
        "across_track",
    ]
)
_CF_WAVELENGTHS = ("radiation_wavelength", "sensor_band_central_radiation_wavelength")


def open_groups(open_them: Callable[[], Groups], path: Path | str, kind: str, options: OpenOptions) -> xr.DataArray:
    """Open the groups of a file, take the image out of them, and close them when the scene is closed.

    Parameters
    ----------
    open_them : callable
        Returns the datasets by their paths.
    """
    with reading(path, kind):
        groups = open_them()

    def close() -> None:
        for each in groups.values():
            each.close()

    try:
        scene = scene_from_groups(groups, path, kind, options)
    except BaseException:
        close()
        raise
    scene.set_close(close)
    return scene


def scene_from_groups(groups: Groups, path: Path | str, kind: str, options: OpenOptions) -> xr.DataArray:
    """Choose the image in the groups of a file and convert it to a scene.

    Parameters
    ----------
    groups : mapping of str to xarray.Dataset
        Open, by their paths, scale factors decoded by xarray.
    """
    image = choose_image(groups, path, options)
    with reading(path, kind):
        lists = _lists(groups, image)
    axes = _axes(image, [each for each, _ in lists], options, path)
    around = {**groups.get("/", xr.Dataset()).attrs, **groups[image.group].attrs}
    decoding, encoding = _decoding(image, around, options, path, axes, kind)
    values = LazyValues(image.read, image.shape, axes, decoding, path, kind)
    metadata: dict[str, Any] = {}
    if len(axes) == 3:
        band_dim = image.dims[axes[0]]
        nearest = [each for each, dim in sorted(lists, key=lambda pair: pair[1] not in (None, band_dim))]
        overridden = options.wavelengths is not None
        metadata = describe_bands(nearest, values.shape[0], path, wavelengths_given=overridden)
    attrs = {
        str(key): attribute_from_text(each) if isinstance(each, str) else _plain(each)
        for key, each in image.attrs.items()
        if key not in STRUCTURE and not geozarr.is_of_place(key)
    }
    if options.scale is None and stated_in({**image.attrs, **image.encoding}).scale_factor is None:
        beside = {str(n): each.shape for n, each in groups[image.group].variables.items() if each.dtype.kind in "iuf"}
        warn_of_numbers_beside(beside, image.shape[axes[0]] if len(axes) == 3 else 1, path)
    if "datetime" not in attrs:
        attrs |= date_attribute(stated_date(attrs), _date(groups, image))
    scene = make_scene(values.as_variable(), attrs=attrs, encoding=encoding, **metadata)
    scene = _with_places(scene, groups, image, axes, path, kind)
    if "spatial_ref" not in scene.coords:
        with reading(path, kind):
            stated = {**groups[image.group].attrs, **image.attrs}
            crs, transform = geozarr.place_in(stated, (scene.sizes["y"], scene.sizes["x"]), path)
        if transform is not None and "x" not in scene.coords:
            scene = with_georeference(scene, crs, transform)
        elif crs is not None and "x" in scene.coords:
            scene = with_georeference(scene, crs, scene_transform(scene))
    if "x" not in scene.coords and "spatial_ref" not in scene.coords:
        points = _swath_points(groups, (image.dims[axes[-2]], image.dims[axes[-1]]), path, kind)
        scene = scene if points is None else with_control_points(scene, points, "EPSG:4326")
    return with_followed_place(scene)


def _date(groups: Groups, image: DatasetImage) -> str | None:
    """Return when the image was taken: a time axis or coordinate of one, or global attributes."""
    for name, each in groups[image.group].variables.items():
        units = str(each.attrs.get("units", ""))
        is_time = str(name).lower() == "time" or each.attrs.get("standard_name") == "time"
        if is_time and each.size == 1 and " since " in units:
            try:
                decoded = xr.decode_cf(xr.Dataset({"time": ((), each.values.reshape(()), dict(each.attrs))}))
                found = utc(np.datetime_as_string(decoded["time"].values.astype("datetime64[ms]")))
            except (TypeError, ValueError, OverflowError, ImportError):
                continue
            if found is not None:
                return found
    return stated_date({**groups.get("/", xr.Dataset()).attrs, **groups[image.group].attrs})


def _swath_points(groups: Groups, dims: tuple[Hashable, Hashable], path: Path | str, kind: str) -> Any:
    """Return control points of a swath with the longitude and latitude of every pixel; None without them."""
    coordinates: dict[str, xr.Variable] = {}
    for dataset in groups.values():
        for name, each in dataset.variables.items():
            word = str(name).lower()
            for key, names in (("x", ("lon", "longitude")), ("y", ("lat", "latitude"))):
                if key not in coordinates and word in names and set(each.dims) == set(dims) and each.ndim == 2:
                    coordinates[key] = each
    if len(coordinates) < 2:
        return None
    with reading(path, kind):
        points = sampled_points(coordinates["x"].transpose(*dims).values, coordinates["y"].transpose(*dims).values)
    return points if len(points) >= 4 else None


def _lists(groups: Groups, image: DatasetImage) -> list[tuple[Listed, Hashable | None]]:
    """Return the file's lists about bands, with the axis of each list; the nearest first."""
    lists: list[tuple[Listed, Hashable | None]] = [(each, None) for each in image.lists]
    lists += [(each, None) for each in listed_in(image.attrs)]
    long_name = image.attrs.get("long_name")
    if isinstance(long_name, (list, tuple, np.ndarray)):  # where rioxarray keeps the names of bands
        lists.append((Listed("band_names", list(long_name)), None))
    order = sorted(groups, key=lambda group: not image.group.startswith(group))
    for group in [image.group, *(each for each in order if each != image.group)]:
        for name, each in groups[group].variables.items():
            cf = str(each.attrs.get("standard_name", "")).lower() in _CF_WAVELENGTHS
            if each.ndim == 1 and each.size and (cf or is_about_bands(str(name)) or each.dims[0] == name):
                word = "radiation_wavelength" if cf else str(name)
                on_axis = each.dims[0] == name and each.dims[0] in image.dims and not is_about_bands(word)
                # the axis's coordinate may be wavelengths or names, whatever its name
                word = "bands" if on_axis and str(name).lower() not in _Y_DIMS | _X_DIMS else word
                if is_about_bands(word):
                    lists.append((Listed(word, each.values, unit_of(each.attrs)), each.dims[0]))
        lists += [(each, None) for each in listed_in(groups[group].attrs)]
    return lists


def _axes(image: DatasetImage, lists: list[Listed], options: OpenOptions, path: Path | str) -> tuple[int, ...]:
    """Find the band, y and x axis by the names of the dims, then by the lengths of the axes."""
    names = {str(dim).lower(): dim for dim in image.dims}
    position = {dim: axis for axis, dim in enumerate(image.dims)}
    y = next((position[dim] for name, dim in names.items() if name in _Y_DIMS), None)
    x = next((position[dim] for name, dim in names.items() if name in _X_DIMS), None)
    if len(image.dims) == 2:
        return (0, 1) if y is None or x is None else (y, x)
    band = next((position[dim] for name, dim in names.items() if name in _BAND_DIMS), None)
    if options.band_axis is not None:
        band = arrays.choose_band_axis(image.shape, (), options.band_axis, None, path)
    if band is None and y is not None and x is not None:
        band = ({0, 1, 2} - {y, x}).pop()
    if band is None:
        known = [] if options.wavelengths is None else [len(options.wavelengths)]
        known += lengths_of_wavelength_lists(lists)
        band = arrays.choose_band_axis(image.shape, known, None, None, path)
    others = [axis for axis in range(3) if axis != band]
    if y in others and x in others and y != x:
        others = [y, x]
    return (band, *others)


def _decoding(
    image: DatasetImage,
    around: Mapping[Hashable, Any],
    options: OpenOptions,
    path: Path | str,
    axes: tuple[int, ...],
    kind: str,
) -> tuple[Decoding, dict[str, Any]]:
    """Return the decoding that remains after xarray's scale and fill value, and the encoding.

    ``around`` are the attributes of the file and the image's group.
    """
    stored_dtype = np.dtype(image.encoding.get("dtype", image.dtype))
    names = ("scale_factor", "add_offset", "_FillValue", "missing_value")
    applied = {key: image.encoding[key] for key in names if key in image.encoding}
    factor = float(np.ravel(applied.get("scale_factor", 1.0))[0])
    offset = float(np.ravel(applied.get("add_offset", 0.0))[0])
    floats = stored_dtype.kind == "f"
    stated = stated_in({**image.attrs, **applied}, floats=floats)
    stated = stated.otherwise(stated_in(around, of_whole_file=True, floats=floats))
    stated = stated.check(image.shape[axes[0]] if len(axes) == 3 else 1, path)
    has_default = not floats and not stated.missing and kind == "NetCDF file"
    by_default = _DEFAULT_FILLS.get(stored_dtype.str[1:], ()) if has_default else ()
    undecoded = Decoding(image.dtype, nodata=np.nan)  # xarray decodes missing values to NaN
    decoding = choose_decoding(
        stored_dtype,
        path=path,
        scale=options.scale,
        scale_factor=stated.scale_factor,
        offset=stated.offset,
        nodata=stated.missing[0] if stated.missing else None,
        special=(*stated.missing[1:], *by_default),
        valid_range=stated.valid_range,
        percent=stated.percent,
        sample=LazyValues(image.read, image.shape, axes, undecoded, path, kind).sample,
    )
    if factor == 0 or not np.isfinite([factor, offset]).all():
        raise InputError(f"{path} states a scale factor of {factor:g} and an offset of {offset:g}: no values remain")

    def after(number: float) -> float:
        return number * factor + offset

    ends = None
    if stated.valid_range is not None:
        low, high = sorted(after(each) for each in stated.valid_range)
        margin = abs(factor) / 2 if stored_dtype.kind in "iu" else 0.0
        ends = (low - margin, high + margin)
    file_factor, added = np.asarray(decoding.scale_factor), np.asarray(decoding.offset)
    represented = {n: n * file_factor + added for n in by_default}
    white = {n for n, value in represented.items() if np.all((value >= 0) & (value < 1 + np.abs(file_factor)))}
    missing = (*stated.missing, *(n for n in decoding.special if n not in white))
    same = bool(np.all(file_factor == factor) and np.all(added == offset))
    rest = Decoding(
        stored_dtype,
        1.0 if np.all(file_factor == factor) else _number(file_factor / factor),
        0.0 if same else _number(added - offset * file_factor / factor),
        special=tuple(after(each) for each in missing if not np.isnan(each)),
        valid_range=ends,
    )
    return rest, decoding.encoding


def _number(array: NDArray[Any]) -> Number:
    """Return a number, or one per band."""
    return tuple(array.tolist()) if array.ndim else float(array)


_DEFAULT_FILLS = {"i2": (-32767.0,), "i4": (-2147483647.0,), "u2": (65535.0,), "u4": (4294967295.0,)}
"""What NetCDF writes into values that are never set, unless another fill value is stated; that of floats is too large
to be a value, and that of bytes is one of theirs."""


def _with_places(
    scene: xr.DataArray, groups: Groups, image: DatasetImage, axes: tuple[int, ...], path: Path | str, kind: str
) -> xr.DataArray:
    """Copy the pixel coordinates and the CRS; unevenly spaced coordinates do not define a grid."""
    encoding = dict(scene.encoding)
    mapping = image.encoding.get("grid_mapping", image.attrs.get("grid_mapping", "spatial_ref"))
    degrees = False
    with reading(path, kind):
        coordinates = {
            name: each
            for axis, name in ((axes[-2], "y"), (axes[-1], "x"))
            if (each := _variable(groups, image.group, image.dims[axis])) is not None and each.dtype.kind in "fiu"
        }
        numbers = {name: each.values for name, each in coordinates.items()}
        uneven = [name for name, each in numbers.items() if not is_even(each)]
        for name, each in coordinates.items():
            units = str(each.attrs.get("units", ""))
            degrees = units.startswith("degree")
            if not uneven:
                scene = scene.assign_coords({name: (name, numbers[name], {"units": units} if units else {})})
        reference = _variable(groups, image.group, str(mapping).split(":")[0])
        reference = _grid_mapping(groups, image.group) if reference is None else reference
        if reference is not None and not reference.dims:
            # A grid mapping has no meaningful values; its attributes are the CRS.
            attributes = {key: value for key, value in reference.attrs.items() if key != "GeoTransform" or not uneven}
            scene = scene.assign_coords(spatial_ref=((), 0, attributes))
            encoding["grid_mapping"] = "spatial_ref"
        elif degrees:
            # Degrees without a CRS are those of WGS 84 by the CF conventions' custom, as GDAL reads them.
            scene = with_crs(scene, "EPSG:4326")
            encoding["grid_mapping"] = "spatial_ref"
    if not uneven:
        scene = _in_units_of_the_map(scene, path)
    if uneven:
        warnings.warn(
            f"{path}: the pixels are not evenly spaced along {' and '.join(uneven)}, so that the scene has no place on "
            "the ground; bring it to an even grid first to keep it",
            FinewaveWarning,
            stacklevel=4,
        )
    scene.encoding = encoding
    return scene


_METRES = {"km": 1e3, "kilometer": 1e3, "kilometers": 1e3, "kilometre": 1e3, "kilometres": 1e3}
_RADIANS = ("rad", "radian", "radians")


def _in_units_of_the_map(scene: xr.DataArray, path: Path | str) -> xr.DataArray:
    """Return a scene whose x and y are in the unit of its CRS: metres, of kilometres or the angles of a satellite."""
    units = {str(scene.coords[name].attrs.get("units", "")).lower() for name in ("x", "y") if name in scene.coords}
    unit = units.pop() if len(units) == 1 else ""
    if unit not in _METRES and unit not in _RADIANS:
        return scene
    attributes = scene.coords["spatial_ref"].attrs if "spatial_ref" in scene.coords else {}
    with reading(path, "CRS"):
        crs = scene_crs(scene)
    factor = _METRES.get(unit)
    if factor is not None and crs is not None and crs.is_projected and crs.linear_units_factor[1] == factor:
        return scene
    if unit in _RADIANS:
        height = attributes.get("perspective_point_height")
        factor = None if height is None else float(np.ravel(height)[0])
    if factor is None or crs is None or not crs.is_projected or crs.linear_units_factor[1] != 1:
        warnings.warn(
            f"{path}: its x and y are in {unit}, which does not fit its CRS; the scene has no place on the "
            "ground; state the unit that belongs to the CRS",
            FinewaveWarning,
            stacklevel=5,
        )
        return scene.drop_vars(["x", "y"])
    encoding = dict(scene.encoding)
    scene = scene.assign_coords({name: (name, scene[name].values * factor, {"units": "m"}) for name in ("x", "y")})
    scene.coords["spatial_ref"].attrs.pop("GeoTransform", None)  # in the other unit
    scene.encoding = encoding
    return scene


def _variable(groups: Groups, group: str, name: Hashable) -> xr.Variable | None:
    """Find a variable in a group or those around it."""
    while True:
        if group in groups and name in groups[group].variables:
            return groups[group].variables[name]
        if group in ("/", ""):
            return None
        group = group.rpartition("/")[0] or "/"


def _grid_mapping(groups: Groups, group: str) -> xr.Variable | None:
    """Find the one variable around a group that describes a CRS; xarray forgets the name of one in another group."""
    while True:
        mappings = [
            each
            for each in groups[group].variables.values()
            if not each.dims and {"grid_mapping_name", "crs_wkt", "spatial_ref"}.intersection(each.attrs)
        ]
        if mappings or group in ("/", ""):
            return mappings[0] if len(mappings) == 1 else None
        group = group.rpartition("/")[0] or "/"


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value
