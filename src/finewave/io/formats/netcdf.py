"""NetCDF 3 and 4, through xarray."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from finewave.acquisition import utc
from finewave.grid_mapping import with_attributes, with_transform
from finewave.io.atomic import atomic_output
from finewave.io.formats.containers.dataset_image import Groups
from finewave.io.formats.containers.datasets import open_groups
from finewave.io.formats.containers.hdf5_output import write_hdf5
from finewave.io.formats.storage import Storage, choose_interleave, choose_storage
from finewave.io.formats.values.lazy import few_blocks_at_once, in_blocks
from finewave.io.formats.values.stated import numbers_of
from finewave.io.open_options import OpenOptions, SaveOptions
from finewave.scene import STRUCTURE, attribute_to_text, band_values, scene_crs, scene_transform

if TYPE_CHECKING:
    from rasterio.crs import CRS

_CHUNK_BYTES = 2**22


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a NetCDF file, with its groups."""
    return open_groups(lambda: groups_of(path), path, "NetCDF file", options)


def groups_of(path: Path) -> Groups:
    """Open all groups of a NetCDF file with xarray."""
    import h5py

    keywords: dict[str, Any] = {"cache": False, "decode_coords": "all", "decode_times": False}
    if not h5py.is_hdf5(path):  # NetCDF 3 has no groups
        return {"/": xr.open_dataset(path, **keywords)}
    with warnings.catch_warnings():
        # of one in another group, which is found later
        warnings.filterwarnings("ignore", message="Variable.*referenced in grid_mapping")
        # names of axes without one, of plain HDF5
        return _with_numbers(
            lambda **more: xr.open_groups(path, engine="h5netcdf", phony_dims="access", **keywords, **more)
        )


def _with_numbers(open_them: Callable[..., Groups]) -> Groups:
    """Open groups whose scale factors and the like may be texts, with which xarray decodes nothing."""
    groups = open_them()
    names = ("scale_factor", "add_offset", "_FillValue", "missing_value")
    if not any(
        isinstance(each.encoding.get(name), str)
        for dataset in groups.values()
        for each in dataset.variables.values()
        for name in names
    ):
        return groups
    decoded = {}
    for group, dataset in open_them(mask_and_scale=False).items():
        for each in dataset.variables.values():
            texts = {name: numbers_of(each.attrs[name]) for name in names if isinstance(each.attrs.get(name), str)}
            each.attrs.update({name: numbers[0] for name, numbers in texts.items() if len(numbers) == 1})
        decoded[group] = xr.decode_cf(dataset, decode_times=False)
    return decoded


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
        written = with_attributes(written, scene.coords[mapping].attrs)
        transform = scene_transform(scene)
        if transform is not None:
            written = with_transform(written, transform)
        crs = scene_crs(written)
        if crs is not None:
            for axis, attributes in _axes(crs).items():
                if axis in written.coords:
                    written.coords[axis].attrs.update(attributes)
        encoding["grid_mapping"] = "spatial_ref"
    written.encoding = {}
    # A grid mapping is named in the attributes of the variable by the CF conventions.
    written.attrs.pop("grid_mapping", None)
    return written.to_dataset(), encoding


def _axes(crs: CRS) -> dict[str, dict[str, str]]:
    """Return the attributes of the coordinates ``x`` and ``y`` by CF."""
    axes = {"x": {"axis": "X"}, "y": {"axis": "Y"}}
    if crs.is_projected:
        metres = float(crs.linear_units_factor[-1])
        for axis, attributes in axes.items():
            attributes["long_name"] = f"{axis} coordinate of projection"
            attributes["standard_name"] = f"projection_{axis}_coordinate"
            attributes["units"] = "metre" if metres == 1 else f"{metres} metre"
    elif crs.is_geographic:
        for axis, name, direction in (("x", "longitude", "east"), ("y", "latitude", "north")):
            axes[axis] |= {"long_name": name, "standard_name": name, "units": f"degrees_{direction}"}
    return axes


def side_of_chunk(depth: int, dtype: np.dtype[Any]) -> int:
    """Return the side in pixels of a chunk: 512, and fewer if that would be more than 4 MiB for its bands."""
    side = math.isqrt(_CHUNK_BYTES // (depth * dtype.itemsize))
    return max(16, min(512, side - side % 16))


def global_attributes(scene: xr.DataArray) -> dict[str, str]:
    """Return the attributes of a file with a scene: conventions, and by ACDD-1.3 when the scene was taken."""
    date = utc(scene.attrs.get("datetime"))
    return {"Conventions": "CF-1.8", **({} if date is None else {"time_coverage_start": date})}


def save_file(scene: xr.DataArray, path: Path, options: SaveOptions) -> None:
    """Write a compressed NetCDF 4 file by the CF conventions; a scene in a file or of dask arrays block by block."""
    storage = choose_storage(scene, options)
    scene = in_blocks(scene)
    with atomic_output(path) as temporary, few_blocks_at_once():
        dataset, encoding = dataset_from_scene(scene, storage)
        dataset.attrs |= global_attributes(scene)
        shape = dataset["scene"].shape
        depth = 1 if choose_interleave(options, shape[0]) == "band" else shape[0]
        side = side_of_chunk(depth, storage.dtype)
        encoding.update(zlib=True, complevel=4, shuffle=True, chunksizes=(depth, *(min(n, side) for n in shape[1:])))
        write_hdf5(
            temporary,
            dataset.nbytes,
            lambda target: dataset.to_netcdf(target, engine="h5netcdf", encoding={"scene": encoding}),
            in_memory=scene.chunks is None,
        )
    storage.warn(path)
