"""NumPy files: one array (``.npy``) or several with names (``.npz``)."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends.locks import SerializableLock

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.containers.array_file import StoredArray, holds_texts, open_image
from finewave.io.open_options import OpenOptions

_SMALL_BYTES = 2**28
_LARGEST_RATIO = 100
"""Of images that hold something; zeros are packed 1,000 times."""


def open_file(path: Path, options: OpenOptions) -> xr.DataArray:
    """Open a NumPy file: ``.npy`` lazily; of ``.npz`` the arrays that are used, completely, as they are compressed.

    Parameters
    ----------
    path : pathlib.Path
        The file. Arrays of Python objects are not opened: reading them could run any program.

    Returns
    -------
    xarray.DataArray
        The scene. Wavelengths and the like are further arrays of an ``.npz``; the band axis is that of their length.
    """
    try:
        with reading(path, "NumPy array"):
            with path.open("rb") as file:
                packed = file.read(4) in (b"PK\3\4", b"PK\5\6")  # as NumPy does, whose handle stays if it is damaged
            stored = _members(path) if packed else {"image": _mapped(path)}
    except InputError as error:
        if not any(word in str(error.__cause__) for word in ("allow_pickle", "Python objects")):
            raise
        raise InputError(_OBJECTS.format(path)) from error
    return open_image(stored, path, "NumPy array", options, default_band_axis=None)


_OBJECTS = (
    "{} holds Python objects, which are never opened: reading them could run any program; save a plain array of "
    "numbers with numpy.save"
)


def _mapped(path: Path) -> StoredArray:
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return stored_array(array)


def _members(path: Path) -> dict[str, StoredArray]:
    """Return the arrays of an ``.npz`` by their headers; each is read when it is used."""
    with zipfile.ZipFile(path) as archive:
        members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
        headers = [_header(archive, each) for each in members]
    if any(dtype.hasobject for _, dtype in headers) and not any(dtype.kind in "fiub" for _, dtype in headers):
        raise InputError(_OBJECTS.format(path))
    return {
        each.filename.removesuffix(".npy"): _member(path, each, *header)
        for each, header in zip(members, headers, strict=True)
    }


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return shape, dtype


def _member(path: Path, member: zipfile.ZipInfo, shape: tuple[int, ...], dtype: np.dtype[Any]) -> StoredArray:
    """Present an array of an archive."""
    refusal = _refusal(member, math.prod(shape) * dtype.itemsize)
    return StoredArray(
        shape=shape,
        dtype=dtype if dtype.kind in "fiub" else None,
        read=_MemberReader(path, member.filename, refusal),
        is_text=holds_texts(dtype, "SU"),
        refusal=refusal,
    )


class _MemberReader:
    """Reads an array of an archive at its first use, by one thread, and keeps it; processes of Dask read their own."""

    def __init__(self, path: Path, name: str, refusal: str) -> None:
        self._path, self._name, self._refusal = path, name, refusal
        self._lock = SerializableLock()
        self._array: NDArray[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}

    def __call__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        """Return a part of the array."""
        with self._lock:
            if self._array is None:
                self._array = self._whole()
        return np.asarray(self._array[key])

    def _whole(self) -> NDArray[Any]:
        if self._refusal:
            raise InputError(f"cannot read {self._name} of {self._path}: {self._refusal}")
        with np.load(self._path, allow_pickle=False) as opened:
            return np.asarray(opened[self._name.removesuffix(".npy")])


def _refusal(member: zipfile.ZipInfo, declared: int) -> str:
    """Return why an array is not read: it is far larger than its bytes, and would be read into memory."""
    if declared > member.file_size:
        return "it is cut short; save it again"
    if member.file_size > max(_SMALL_BYTES, _LARGEST_RATIO * member.compress_size):
        return (
            f"it unpacks to {member.file_size / 2**20:.0f} MB from {member.compress_size / 2**20:.1f} MB: it is nearly "
            "empty; save it without compression"
        )
    return ""


def stored_array(array: NDArray[Any]) -> StoredArray:
    """Present an array of NumPy."""
    return StoredArray(
        shape=array.shape,
        dtype=array.dtype if array.dtype.kind in "fiub" else None,
        read=lambda key: np.asarray(array[key]),
        is_text=holds_texts(array.dtype, "SU"),
    )
