"""HDF5 files: any array of numbers in them, read through h5py; written as NetCDF 4, which is HDF5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from finewave.io.file_errors import reading
from finewave.io.file_signatures import signature_of
from finewave.io.formats import gdal_raster, netcdf
from finewave.io.formats.containers.array_file import StoredArray, holds_texts, open_image
from finewave.io.open_options import OpenOptions, SaveOptions


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open an HDF5 file, as NetCDF when it is one."""
    import h5py

    if signature_of(path) == ("an HDF4 file", None) and gdal_raster.is_readable(path):
        return gdal_raster.open_file(path, options)
    with reading(path, "HDF5 file"):
        file = h5py.File(path)
        is_netcdf = "_NCProperties" in file.attrs
    if is_netcdf and options.band_axis is None:
        file.close()
        return netcdf.open_file(path, options)
    try:
        with reading(path, "HDF5 file"):
            stored = {name: stored_array(each) for name, each in datasets(file).items()}
            attrs = group_attributes(file)
        scene = open_image(stored, path, "HDF5 file", options, default_band_axis=None, file_attrs=attrs)
    except BaseException:
        file.close()
        raise
    scene.set_close(file.close)
    return scene


def datasets(file: Any) -> dict[str, Any]:
    """List the arrays of an HDF5 file, those in its groups too.

    Parameters
    ----------
    file : h5py.File
        Open for reading.

    Returns
    -------
    dict
        Datasets by their path; scalars and empty ones are left out.
    """
    import h5py

    result: dict[str, Any] = {}

    def visit(name: str, each: Any) -> None:
        if isinstance(each, h5py.Dataset) and each.shape:
            result[name] = each

    file.visititems(visit)
    return result


def group_attributes(file: Any) -> dict[str, Any]:
    """Return the attributes of a file and its groups, those of a group under its path."""
    import h5py

    attributes = {key: plain_attribute(value) for key, value in file.attrs.items()}

    def visit(name: str, each: Any) -> None:
        if isinstance(each, h5py.Group):
            attributes.update({f"{name}/{key}": plain_attribute(value) for key, value in each.attrs.items()})

    file.visititems(visit)
    return attributes


def stored_array(dataset: Any) -> StoredArray:
    """Present a dataset of h5py."""
    return StoredArray(
        shape=tuple(dataset.shape),
        # flags of bands may be true and false; of pixels they are no image
        dtype=dataset.dtype if dataset.dtype.kind in ("fiub" if dataset.ndim < 3 else "fiu") else None,
        read=lambda key: dataset[key],
        attrs=_fill_value(dataset) | {key: plain_attribute(value) for key, value in dataset.attrs.items()},
        is_text=holds_texts(dataset.dtype, "SO"),
    )


def _fill_value(dataset: Any) -> dict[str, Any]:
    """Return the fill value set by the file's creator, if any; HDF5's default is 0."""
    import h5py

    if dataset.dtype.kind not in "fiu":
        return {}
    user_defined = dataset.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
    return {"_FillValue": dataset.fillvalue.item()} if user_defined and dataset.fillvalue != 0 else {}


def plain_attribute(value: Any) -> Any:
    """Unpack an HDF5 attribute: arrays of one element, bytes, NumPy numbers."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value.item() if isinstance(value, np.generic) else value


def save_file(scene: xr.DataArray, path: Path, options: SaveOptions) -> None:
    """Write an HDF5 file in the layout of NetCDF 4, which h5py and every HDF5 tool read."""
    netcdf.save_file(scene, path, options)
