"""NetCDF 3 and 4, through xarray."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from finewave.errors import InputError
from finewave.io.atomic import atomic_output
from finewave.io.file_errors import reading
from finewave.io.formats import arrays
from finewave.io.formats.decoding import Decoding, choose_decoding
from finewave.io.formats.hdf5_output import write_hdf5
from finewave.io.formats.lazy import LazyValues, few_blocks_at_once, in_blocks
from finewave.io.formats.stated import stated_in
from finewave.io.formats.storage import Storage, choose_storage
from finewave.io.open_options import OpenOptions, SaveOptions
from finewave.scene import (
    STRUCTURE,
    attribute_from_text,
    attribute_to_text,
    band_values,
    make_scene,
    scene_transform,
)

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


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a NetCDF file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : OpenOptions
        What the user stated.

    Returns
    -------
    xarray.DataArray
        The scene, lazy.
    """
    with reading(path, "NetCDF file"):
        dataset = xr.open_dataset(path, cache=False, decode_coords="all", decode_times=False)
    try:
        scene = scene_from_dataset(dataset, path, "NetCDF file", options)
    except BaseException:
        dataset.close()
        raise
    scene.set_close(dataset.close)
    return scene


def scene_from_dataset(dataset: xr.Dataset, path: Path, kind: str, options: OpenOptions) -> xr.DataArray:
    """Choose the image in a dataset of xarray and bring it into the form of a scene.

    Parameters
    ----------
    dataset : xarray.Dataset
        Open, scale factors decoded by xarray.
    path : pathlib.Path
        Where it comes from.
    kind : str
        Name of the format, for messages.
    options : OpenOptions
        What the user stated.

    Returns
    -------
    xarray.DataArray
        The scene, lazy.
    """
    shapes = {str(name): tuple(each.shape) for name, each in dataset.data_vars.items()}
    numeric = [str(name) for name, each in dataset.data_vars.items() if each.dtype.kind in "fiub"]
    image = dataset[arrays.choose_variable(shapes, numeric, options.variable, path)]
    names = {str(dim).lower(): dim for dim in image.dims}
    axes = _axes(image, dataset, names, options, path)
    variable = image.variable
    stored_dtype = np.dtype(variable.encoding.get("dtype", variable.dtype))
    decoding, encoding = _decoding(variable, stored_dtype, options, path, axes, kind)
    values = LazyValues(lambda key: variable[key].values, variable.shape, axes, decoding, path, kind)
    band_dim = image.dims[axes[0]] if len(axes) == 3 else None
    with reading(path, kind):
        metadata = _band_metadata(dataset, image, band_dim)
    attrs = {
        str(key): attribute_from_text(each) if isinstance(each, str) else _plain(each)
        for key, each in image.attrs.items()
        if key not in STRUCTURE
    }
    scene = make_scene(values.as_variable(), attrs=attrs, encoding=encoding, **metadata)
    return _with_places(scene, image, image.dims[axes[-2]], image.dims[axes[-1]], path, kind)


def _axes(
    image: xr.DataArray, dataset: xr.Dataset, names: dict[str, Hashable], options: OpenOptions, path: Path
) -> tuple[int, ...]:
    """Find the band, y and x axis by the names of the dims, then by the lengths of the axes."""
    position = {dim: axis for axis, dim in enumerate(image.dims)}
    y = next((position[dim] for name, dim in names.items() if name in _Y_DIMS), None)
    x = next((position[dim] for name, dim in names.items() if name in _X_DIMS), None)
    if image.ndim == 2:
        return (0, 1) if y is None or x is None else (y, x)
    band = next((position[dim] for name, dim in names.items() if name in _BAND_DIMS), None)
    if options.band_axis is not None:
        band = arrays.choose_band_axis(image.shape, (), options.band_axis, None, path)
    if band is None and y is not None and x is not None:
        band = ({0, 1, 2} - {y, x}).pop()
    if band is None:
        known = [] if options.wavelengths is None else [len(options.wavelengths)]
        known += [each.size for n, each in dataset.variables.items() if arrays.is_wavelength_name(str(n))]
        band = arrays.choose_band_axis(image.shape, known, None, None, path)
    others = [axis for axis in range(3) if axis != band]
    if y in others and x in others and y != x:
        others = [y, x]
    return (band, *others)


def _decoding(
    variable: xr.Variable,
    stored_dtype: np.dtype[Any],
    options: OpenOptions,
    path: Path,
    axes: tuple[int, ...],
    kind: str,
) -> tuple[Decoding, dict[str, Any]]:
    """Return what is left to do after xarray has applied the scale and fill value that it knows, and the encoding."""
    names = ("scale_factor", "add_offset", "_FillValue", "missing_value")
    applied = {key: variable.encoding[key] for key in names if key in variable.encoding}
    factor = float(np.ravel(applied.get("scale_factor", 1.0))[0])
    offset = float(np.ravel(applied.get("add_offset", 0.0))[0])
    stated = stated_in({**variable.attrs, **applied})
    fills = (NETCDF_FILL,) if stored_dtype.kind == "f" else ()
    undecoded = Decoding(variable.dtype, nodata=np.nan)  # xarray has made it of what is missing
    decoding = choose_decoding(
        stored_dtype,
        path=path,
        scale=options.scale,
        scale_factor=stated.scale_factor,
        offset=stated.offset,
        nodata=stated.missing[0] if stated.missing else None,
        special=(*stated.missing[1:], *fills),
        valid_range=stated.valid_range,
        sample=LazyValues(lambda key: variable[key].values, variable.shape, axes, undecoded, path, kind).sample,
    )
    if factor == 0 or not np.isfinite([factor, offset]).all():
        raise InputError(f"{path} states a scale factor of {factor:g} and an offset of {offset:g}: no values remain")

    def after(number: float) -> float:
        return number * factor + offset

    ends = None
    if decoding.valid_range is not None:
        low, high = sorted(after(each) for each in decoding.valid_range)
        margin = abs(factor) / 2 if stored_dtype.kind in "iu" else 0.0
        ends = (low - margin, high + margin)
    wanted, added = float(np.ravel(decoding.scale_factor)[0]), float(np.ravel(decoding.offset)[0])
    rest = Decoding(
        stored_dtype,
        1.0 if wanted == factor else wanted / factor,
        0.0 if (wanted, added) == (factor, offset) else added - offset * wanted / factor,
        special=tuple(after(each) for each in (*stated.missing, *fills)),
        valid_range=ends,
    )
    return rest, decoding.encoding


NETCDF_FILL = 9.969209968386869e36
"""What NetCDF 4 fills floats with that were never written."""


def _band_metadata(dataset: xr.Dataset, image: xr.DataArray, band_dim: Hashable | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if band_dim is None:
        return metadata
    candidates = {
        str(name): each for name, each in dataset.variables.items() if each.dims == (band_dim,) and name != image.name
    }
    for name, each in candidates.items():
        unit = each.attrs.get("units")
        for key, fits in (("wavelengths", arrays.is_wavelength_name), ("fwhm", arrays.is_width_name)):
            if each.dtype.kind in "fiu" and key not in metadata and fits(name):
                converted = arrays.in_nanometres(name, each.values, unit if isinstance(unit, str) else None)
                metadata.update({} if converted is None else {key: converted})
        if name.lower() == "good_band" and each.dtype.kind in "biu":
            metadata["good_bands"] = each.values.astype(bool)
        if name.lower() in ("band_name", "band_names") and each.dtype.kind not in "fiub":
            metadata["band_names"] = each.values
    # A band coordinate that counts in a unit of length is a wavelength too.
    own = candidates.get(str(band_dim))
    if "wavelengths" not in metadata and own is not None and own.attrs.get("units") in ("nm", "um", "µm"):
        converted = arrays.in_nanometres("", own.values, own.attrs["units"])
        metadata.update({} if converted is None else {"wavelengths": converted})
    return metadata


def _with_places(
    scene: xr.DataArray, image: xr.DataArray, y_dim: Hashable, x_dim: Hashable, path: Path, kind: str
) -> xr.DataArray:
    """Bring over the coordinates of the pixels and the CRS."""
    encoding = dict(scene.encoding)
    mapping = image.encoding.get("grid_mapping", image.attrs.get("grid_mapping", "spatial_ref"))
    with reading(path, kind):
        degrees = False
        for dim, name in ((y_dim, "y"), (x_dim, "x")):
            if dim in image.coords and image.coords[dim].dtype.kind in "fiu":
                units = str(image.coords[dim].attrs.get("units", ""))
                degrees = units.startswith("degree")
                scene = scene.assign_coords({name: (name, image.coords[dim].values, {"units": units} if units else {})})
        if mapping in image.coords and not image.coords[mapping].dims:
            # The values of a grid mapping mean nothing, its attributes are the CRS.
            scene = scene.assign_coords(spatial_ref=((), 0, image.coords[mapping].attrs))
            encoding["grid_mapping"] = "spatial_ref"
        elif degrees:
            import rioxarray  # noqa: F401 - registers the .rio accessor

            # Degrees without a CRS are those of WGS 84 by the CF conventions' custom, as GDAL reads them.
            scene = scene.rio.write_crs("EPSG:4326")
            encoding["grid_mapping"] = "spatial_ref"
    scene.encoding = encoding
    return scene


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


def dataset_from_scene(scene: xr.DataArray, storage: Storage) -> tuple[xr.Dataset, dict[str, Any]]:
    """Turn a scene into a dataset with CF attributes, its numbers as they will be stored.

    Parameters
    ----------
    scene : xarray.DataArray
        Canonical dims.
    storage : Storage
        How values become stored numbers; of a scene of dask arrays, block by block when it is written.

    Returns
    -------
    xarray.Dataset
        One variable ``scene``, with the coordinates of the scene and its grid mapping.
    dict
        Encoding of that variable.
    """
    attrs: dict[str, Any] = {}
    for key, value in scene.attrs.items():
        text = attribute_to_text(value)
        if key not in STRUCTURE and text is not None:
            plain = isinstance(value, (int, float)) and not isinstance(value, bool)
            attrs[str(key)] = value if plain else text
    if storage.scaled:
        attrs.update(scale_factor=storage.scale_factor, add_offset=storage.offset)
    if storage.nodata is not None:
        attrs["_FillValue"] = storage.dtype.type(storage.nodata)
    elif storage.dtype.kind == "f":
        attrs["_FillValue"] = storage.dtype.type(np.nan)
    known = {"band", "x", "y", "wavelength", "fwhm", "good_band", "band_name"}
    coords = {name: (each.dims, each.values, each.attrs) for name, each in scene.coords.items() if name in known}
    for name in ("wavelength", "fwhm"):
        if band_values(scene, name) is not None:
            coords[name] = ("band", np.asarray(band_values(scene, name), np.float64), {"units": "nm"})
    if scene.chunks is None:
        numbers = storage.encode(scene.values)
    else:
        numbers = scene.data.map_blocks(storage.encode, dtype=storage.dtype, meta=np.empty((0, 0, 0), storage.dtype))
    written = xr.DataArray(numbers, coords, scene.dims, "scene", attrs)
    mapping = scene.encoding.get("grid_mapping", "spatial_ref")
    encoding: dict[str, Any] = {} if "_FillValue" in attrs else {"_FillValue": None}
    if mapping in scene.coords:
        import rioxarray  # noqa: F401 - registers the .rio accessor

        written = written.assign_coords(spatial_ref=((), 0, scene.coords[mapping].attrs))
        transform = scene_transform(scene)
        if transform is not None:
            written = written.rio.write_transform(transform)
        if written.rio.crs is not None:
            written = written.rio.write_coordinate_system()
        encoding["grid_mapping"] = "spatial_ref"
    written.encoding = {}
    # A grid mapping is named in the attributes of the variable by the CF conventions.
    written.attrs.pop("grid_mapping", None)
    return written.to_dataset(), encoding


def save_file(scene: xr.DataArray, path: Path, options: SaveOptions) -> None:
    """Write a compressed NetCDF 4 file by the CF conventions; a scene in a file or of dask arrays block by block.

    Parameters
    ----------
    scene : xarray.DataArray
        Canonical dims.
    path : pathlib.Path
        The file.
    options : SaveOptions
        What the user stated.
    """
    storage = choose_storage(scene, options)
    scene = in_blocks(scene)
    with atomic_output(path) as temporary, few_blocks_at_once():
        dataset, encoding = dataset_from_scene(scene, storage)
        dataset.attrs["Conventions"] = "CF-1.8"
        shape = dataset["scene"].shape
        encoding.update(zlib=True, complevel=4, shuffle=True, chunksizes=(1, min(shape[1], 512), min(shape[2], 512)))
        write_hdf5(
            temporary,
            dataset.nbytes,
            lambda target: dataset.to_netcdf(target, engine="h5netcdf", encoding={"scene": encoding}),
            in_memory=scene.chunks is None,
        )
    storage.warn(path)
