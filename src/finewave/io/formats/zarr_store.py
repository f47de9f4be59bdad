"""Zarr stores, versions 2 and 3, through xarray."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from finewave.errors import InputError
from finewave.io.atomic import atomic_output
from finewave.io.file_errors import reading
from finewave.io.formats.chunks.chunk_layout import too_large_chunks
from finewave.io.formats.chunks.whole_blosc import check_lengths
from finewave.io.formats.containers import geozarr
from finewave.io.formats.containers.array_file import StoredArray, holds_texts, open_image
from finewave.io.formats.containers.dataset_image import Groups
from finewave.io.formats.containers.datasets import open_groups
from finewave.io.formats.containers.eopf_layout import write_eopf
from finewave.io.formats.netcdf import dataset_from_scene, global_attributes
from finewave.io.formats.storage import Storage, choose_interleave, choose_storage
from finewave.io.formats.values.lazy import few_blocks_at_once, in_blocks
from finewave.io.open_options import OpenOptions, SaveOptions

_CHUNK = 512
_MOST_BYTES = 2**28  # of texts


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a Zarr store: groups of arrays with named axes, as xarray and GDAL write them, or bare arrays."""
    if not path.is_dir():
        raise InputError(f"cannot read {path}: a Zarr store is a folder; this is a file")
    check_lengths()
    with reading(path, "Zarr store"):
        named, stored, attrs = arrays_of(path)
    if not named:
        return open_image(stored, path, "Zarr store", options, default_band_axis=None, file_attrs=attrs)
    return open_groups(lambda: groups_of(path), path, "Zarr store", options)


def groups_of(path: Path | Any) -> Groups:
    """Open all groups of a Zarr store, a folder or a store of zarr-python, with xarray."""
    path = _checked(path)
    with warnings.catch_warnings():
        # Stores without consolidated metadata open a little more slowly, that is all.
        warnings.simplefilter("ignore", RuntimeWarning)
        keywords: dict[str, Any] = {"cache": False, "decode_coords": "all", "decode_times": False}
        return xr.open_groups(path, engine="zarr", chunks=None, **keywords)


def arrays_of(path: Path | Any) -> tuple[bool, dict[str, StoredArray], dict[str, Any]]:
    """List the arrays of a Zarr store, a folder or a store of zarr-python.

    Returns
    -------
    tuple
        Whether all arrays have named axes, as xarray needs; the arrays by their paths; attributes of the store.
    """
    import zarr

    path = _checked(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = zarr.open(path, mode="r")
        if isinstance(root, zarr.Array):
            found = {"image": root}
        else:
            found = {name: each for name, each in root.members(max_depth=None) if isinstance(each, zarr.Array)}
    for name, each in found.items():
        _check_texts(each, f"{name} of {path}")
    names = [
        each.metadata.dimension_names if each.metadata.zarr_format == 3 else each.attrs.get("_ARRAY_DIMENSIONS")
        for each in found.values()
        if each.ndim
    ]
    stored = {name: _stored(each) for name, each in found.items() if each.ndim}
    return isinstance(root, zarr.Group) and None not in names, stored, dict(root.attrs)


def _checked(path: Path | Any) -> Any:
    """Return a folder as a store that looks at chunks before they are unpacked; a store is one already."""
    if not isinstance(path, Path):
        return path
    from zarr.storage import LocalStore

    from finewave.io.formats.chunks.checked_chunks import CheckedStore

    return CheckedStore(LocalStore(path, read_only=True), str(path))


def _check_texts(array: Any, shown: str) -> None:
    """Refuse texts of a fixed length that fill the memory; chunks are looked at when they are read."""
    bytes_each = np.dtype(array.dtype).itemsize
    if np.dtype(array.dtype).kind in "SUV" and math.prod(array.shape) * bytes_each > _MOST_BYTES:
        raise InputError(f"cannot read {shown}: its texts of {bytes_each} bytes are larger than memory should hold")


def _stored(array: Any) -> StoredArray:
    dtype = np.dtype(array.dtype)
    return StoredArray(
        shape=tuple(array.shape),
        dtype=dtype if dtype.kind in "fiu" else None,
        read=lambda key: np.asarray(array[key]),
        attrs=_fill_value(array.fill_value) | dict(array.attrs),
        is_text=holds_texts(dtype),
        refusal=too_large_chunks(array.shards or array.chunks, array.shape, dtype.itemsize),
    )


def _fill_value(number: Any) -> dict[str, Any]:
    """Return the fill value of an array as an attribute; 0 is the default, and a value like others."""
    return {"_FillValue": number} if isinstance(number, (int, float, np.number)) and number != 0 else {}


def save_file(scene: xr.DataArray, path: Path, options: SaveOptions) -> None:
    """Write a Zarr store by the conventions of xarray, CF, ``spatial:`` and ``proj:``; a lazy scene block by block.

    Parameters
    ----------
    options : SaveOptions
        ``format_options``: ``zarr_format`` (2, which every reader knows, or 3), ``interleave``, see
        `finewave.io.formats.storage.choose_interleave`, ``layout`` (``"cf"``, or ``"eopf"`` of one array a band, see
        `finewave.io.formats.containers.eopf_layout`).
    """
    layout = str((options.format_options or {}).get("layout") or "cf").lower()
    if layout not in ("cf", "eopf"):
        raise InputError(f"unknown layout {layout!r}; 'cf' and 'eopf' are accepted")
    if layout == "eopf" and (options.format_options or {}).get("interleave") not in (None, "band"):
        raise InputError("layout='eopf' has one array a band; leave out interleave=")
    version = (options.format_options or {}).get("zarr_format", 2)
    if version not in (2, 3):
        raise InputError(f"unknown Zarr format {version!r}; choose 2 or 3")
    if path.exists() and not any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray")):
        raise InputError(f"cannot write {path}: it exists and is not a Zarr store; choose another name")
    storage = choose_storage(scene, options)
    scene = in_blocks(scene)
    with atomic_output(path) as temporary, few_blocks_at_once():
        if layout == "eopf":
            write_eopf(scene, temporary, storage, version, _CHUNK, final_name=path)
        else:
            depth = _depth(options, scene.sizes["band"])
            _write(scene, temporary, storage, version, (depth, _CHUNK), compute=True)
    storage.warn(path)


def lay_out(scene: xr.DataArray, path: Path, options: SaveOptions, side: int) -> Storage:
    """Write all of a store but the values, which others then write chunk by chunk into its array ``scene``.

    Parameters
    ----------
    scene : xarray.DataArray
        Canonical dims, whose values are not written.
    path : pathlib.Path
        The folder, not there yet.
    options : SaveOptions
        What the user stated.
    side : int
        Of a chunk, in pixels.

    Returns
    -------
    Storage
        Conversion of values to stored numbers.
    """
    import dask.array as da

    storage = choose_storage(scene, options)
    never_computed = scene.copy(data=da.zeros(scene.shape, dtype=scene.dtype, chunks=(-1, side, side)))
    _write(never_computed, path, storage, 2, (_depth(options, scene.sizes["band"]), side), compute=False)
    return storage


def _depth(options: SaveOptions, bands: int) -> int:
    """Return how many bands a chunk has."""
    return 1 if choose_interleave(options, bands) == "band" else min(bands, 32)


def _write(
    scene: xr.DataArray, path: Path, storage: Storage, version: Any, chunk: tuple[int, int], *, compute: bool
) -> None:
    with warnings.catch_warnings():
        # Zarr 3 has no standard for strings yet; xarray and zarr-python agree, which suffices here.
        warnings.filterwarnings("ignore", message=".*(Zarr V3|Zarr format 3|zarr v3|Consolidated).*")
        dataset, encoding = dataset_from_scene(scene, storage)
        dataset.attrs |= global_attributes(scene)
        dataset["scene"].attrs.update(geozarr.attributes_of(scene))
        shape = scene.shape
        depth, side = chunk
        encoding["chunks"] = (depth, min(shape[1], side), min(shape[2], side))
        if scene.chunks is not None:  # values only: coordinates are written immediately
            dataset["scene"].data = dataset["scene"].data.rechunk((-1, side, side))
        options: dict[str, Any] = {"zarr_format": version, "encoding": {"scene": encoding}, "compute": compute}
        dataset.to_zarr(path, mode="w", **options)
