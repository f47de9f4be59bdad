"""MATLAB files: version 5 through SciPy, version 7.3 (which is HDF5) through h5py."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from finewave.control_points import as_matrix, control_points
from finewave.errors import InputError
from finewave.io.atomic import atomic_output
from finewave.io.file_errors import reading
from finewave.io.formats.containers.array_file import TEXT_NAMES, StoredArray, open_image
from finewave.io.formats.containers.hdf5_output import write_hdf5
from finewave.io.formats.hdf5 import datasets, plain_attribute
from finewave.io.formats.numpy_arrays import stored_array
from finewave.io.formats.storage import Storage, choose_storage
from finewave.io.isolated.client import list_mat5, load_mat5
from finewave.io.open_options import OpenOptions, SaveOptions
from finewave.scene import band_values, json_attributes, scene_crs, scene_transform

# A MATLAB 5 file cannot hold a variable of 2 GiB or more.
_LARGEST_VERSION_5 = 2**31 - 2**20
_DTYPES = {"double": "f8", "single": "f4", "logical": "u1"} | {
    f"{sign}int{bits}": f"{sign or 'i'}{bits // 8}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
# MATLAB counts the third axis as the page: images are rows x columns x bands.
_BAND_AXIS = 2


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a MATLAB file; version 7.3 lazily, older ones completely.

    Returns
    -------
    xarray.DataArray
        The scene; the array is rows x columns x bands unless the wavelengths or ``band_axis`` say otherwise.
    """
    import h5py

    if h5py.is_hdf5(path):
        return _open_version_73(path, options)
    return _open_version_5(path, options)


def _open_version_5(path: Path, options: OpenOptions) -> xr.DataArray:
    # scipy's reader is native code that damaged files can crash: it runs in a separate process
    @functools.cache
    def load(name: str) -> dict[str, NDArray[Any]]:
        return load_mat5(path, name)

    with reading(path, "MATLAB file"):
        listed = list_mat5(path)
        _refuse_objects(listed, path)
        stored = {
            name: StoredArray(
                shape,
                np.dtype(_DTYPES[kind]) if kind in _DTYPES else None,
                lambda key, name=name: load(name)[name][key],  # type: ignore[misc]  # mypy cannot infer the default
            )
            for name, shape, kind in listed
            if kind != "struct"
        }
        for name, _, kind in listed:
            if kind == "struct":
                stored |= {field: stored_array(each) for field, each in load(name).items()}
        texts = {
            name: "".join(str(each) for each in load(name)[name].ravel())
            for name, _, kind in listed
            if kind == "char" and name in TEXT_NAMES
        }
    # The format does not support reading a part of an array.
    scene = open_image(stored, path, "MATLAB file", options, default_band_axis=_BAND_AXIS, texts=texts)
    return scene.load()


def _refuse_objects(listed: list[Any], path: Path) -> None:
    """Raise an error for objects of MATLAB's classes, such as ``hypercube``, which only MATLAB can read."""
    objects = [name or "an object" for name, _, kind in listed if kind in ("opaque", "object", "function")]
    if objects and len(objects) == len(listed):
        raise InputError(
            f"{path} holds objects of MATLAB ({', '.join(objects)}), which MATLAB alone can read; save plain arrays: "
            "cube = h.DataCube; wavelength = h.Wavelength; save('plain.mat', 'cube', 'wavelength')"
        )


def _open_version_73(path: Path, options: OpenOptions) -> xr.DataArray:
    import h5py

    with reading(path, "MATLAB 7.3 file"):
        file = h5py.File(path)
    try:
        with reading(path, "MATLAB 7.3 file"):
            # "#refs#" is where MATLAB keeps the contents of cells.
            arrays = {name: each for name, each in datasets(file).items() if not name.startswith("#")}
            stored = {name: _stored(each) for name, each in arrays.items()}
            texts = {
                name: "".join(chr(each) for each in np.ravel(arrays[name][()]))
                for name in TEXT_NAMES & arrays.keys()
                if stored[name].dtype is None
            }
        scene = open_image(stored, path, "MATLAB 7.3 file", options, default_band_axis=_BAND_AXIS, texts=texts)
    except BaseException:
        file.close()
        raise
    scene.set_close(file.close)
    return scene


def _stored(dataset: Any) -> StoredArray:
    """Present an HDF5 array as MATLAB does: its axes in reverse."""
    kind = plain_attribute(dataset.attrs.get("MATLAB_class", ""))
    is_number = dataset.dtype.kind in "fiu" and (not kind or kind in _DTYPES)
    return StoredArray(
        shape=tuple(dataset.shape[::-1]),
        dtype=dataset.dtype if is_number else None,
        read=lambda key: np.transpose(dataset[key[::-1]]),
    )


def save_file(scene: xr.DataArray, path: Path, options: SaveOptions) -> None:
    """Write a MATLAB file: the image as rows x columns x bands, and its metadata as further variables.

    Parameters
    ----------
    options : SaveOptions
        ``format_options``: ``version`` (``"5"`` or ``"7.3"``; by default 5 unless the image is too large for
        it) and ``name`` of the image's variable (``"scene"``).
    """
    extra = options.format_options or {}
    storage = choose_storage(scene, options)
    size = int(np.prod(scene.shape)) * storage.dtype.itemsize
    version = str(extra.get("version", "5" if size <= _LARGEST_VERSION_5 else "7.3"))
    if version not in ("5", "7.3"):
        raise InputError(f"unknown MATLAB version {version!r}; choose '5' or '7.3'")
    if version == "5" and size > _LARGEST_VERSION_5:
        raise InputError(f"the scene takes {size / 1e9:.1f} GB, MATLAB 5 files hold 2 GB; choose version='7.3'")
    name = str(extra.get("name", "scene"))
    beside = _variables(scene, storage)
    if not (name.isidentifier() and name.isascii()) or name in beside or name.startswith("_"):
        raise InputError(f"{name!r} cannot be the name of the image's variable; choose another with name=")
    with atomic_output(path, needed_bytes=size) as temporary:
        image = np.moveaxis(storage.encode(scene.values), 0, -1)
        if version == "5":
            import scipy.io

            scipy.io.savemat(temporary, {name: image, **beside})
        else:
            write_hdf5(temporary, size, lambda target: _build_version_73(target, {name: image, **beside}))
            _mark_version_73(temporary)
    storage.warn(path)


def _variables(scene: xr.DataArray, storage: Storage) -> dict[str, Any]:
    variables: dict[str, Any] = {}
    for coordinate, name in (("wavelength", "wavelengths_nm"), ("fwhm", "fwhm_nm")):
        values = band_values(scene, coordinate)
        if values is not None:
            variables[name] = np.asarray(values, np.float64)[None]
    good, names = band_values(scene, "good_band"), band_values(scene, "band_name")
    if good is not None:
        variables["good_bands"] = np.asarray(good, np.uint8)[None]
    if names is not None:
        variables["band_names"] = "\n".join(str(each) for each in names)
    crs, transform = scene_crs(scene), scene_transform(scene)
    if crs is not None:
        variables["crs_wkt"] = crs.to_wkt()
    points = control_points(scene)
    if points:
        variables["control_points"] = as_matrix(points)
    elif transform is not None:
        variables["transform"] = np.asarray(transform[:6], np.float64)[None]
    if storage.scaled:
        variables["scale_factor"] = np.asarray([[storage.scale_factor]])
        variables["add_offset"] = np.asarray([[storage.offset]])
    if storage.nodata is not None:
        variables["nodata"] = np.asarray([[float(storage.nodata)]])
    attrs = json_attributes(scene.attrs)
    if attrs:
        variables["attributes"] = json.dumps(attrs)
    return variables


def _build_version_73(target: Any, variables: dict[str, Any]) -> None:
    import h5py

    with h5py.File(target, "w", userblock_size=512) as file:
        for name, value in variables.items():
            text = isinstance(value, str)
            array = np.asarray([[ord(each) for each in value]], np.uint16) if text else np.asarray(value)
            options = {"compression": "gzip", "compression_opts": 4, "chunks": True} if array.ndim == 3 else {}
            dataset = file.create_dataset(name, data=np.transpose(array), **options)
            dataset.attrs["MATLAB_class"] = np.bytes_("char" if text else _class_of(array.dtype))
            if text:
                dataset.attrs["MATLAB_int_decode"] = np.int32(2)


def _mark_version_73(path: Path) -> None:
    """Write the 128 bytes of text, version and byte order by which MATLAB recognises its HDF5 files."""
    heading = b"MATLAB 7.3 MAT-file, Platform: any, Created by: finewave HDF5 schema 1.00 ."
    with path.open("r+b") as file:
        file.write(heading.ljust(116) + b"\0" * 8 + b"\x00\x02IM")


def _class_of(dtype: np.dtype[Any]) -> str:
    return {"float64": "double", "float32": "single"}.get(dtype.name, dtype.name)
