"""Checks before a library opens an untrusted file."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from finewave.errors import InputError
from finewave.io.gdal_metadata import check_metadata

_HDF5 = b"\x89HDF\r\n\x1a\n"
_OF_A_STORE = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
LARGEST_CHUNK = 2**30
MOST_DIMENSIONS = 10_000
_DIMENSIONS = 10  # tag of their list in NetCDF 3
_LARGEST_METADATA = 2**26
_SMALL_BYTES = 2**28
_LARGEST_RATIO = 1200
"""Deflate compresses by 1032 at most; smaller files are mostly empty."""


def precheck(path: Path) -> None:
    """Raise an error for files that would crash or hang a library, fill the memory, or refer to other files.

    Parameters
    ----------
    path : pathlib.Path
        A file or a folder.

    Raises
    ------
    InputError
        The file is one of these.
    """
    check_regular(path)
    if path.is_dir():
        if path.suffix.lower() == ".zarr" or any((path / name).exists() for name in _OF_A_STORE):
            _look_at_store(path)
    elif _is_hdf5(path):
        from finewave.io.isolated.client import probe_hdf5

        probe_hdf5(path)
    else:
        check_metadata(path)
        _check_dimensions(path)


def check_regular(path: Path) -> None:
    """Raise an error for a pipe, a socket or a device, which a library would wait for, or read without end."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"cannot read {path}: it is a pipe or a device, not a file; save its content in a file")


def _check_dimensions(path: Path) -> None:
    """Raise an error for a NetCDF 3 file with thousands of dimensions: its reader takes time with their square."""
    try:
        with path.open("rb") as file:
            head = file.read(24).ljust(24, b"\0")
    except OSError:
        return  # left to the reader
    start, width = (12, 8) if head[3] == 5 else (8, 4)
    if head[:3] == b"CDF" and int.from_bytes(head[start : start + 4], "big") == _DIMENSIONS:
        count = int.from_bytes(head[start + 4 : start + 4 + width], "big")
        if count > MOST_DIMENSIONS:
            raise InputError(f"cannot read {path}: it has {count} dimensions, more than {MOST_DIMENSIONS}")


def _is_hdf5(path: Path) -> bool:
    """Return whether the signature is at an offset allowed by HDF5: 0, 512, 1024, 2048, ..."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            offset = 0
            while offset < size:
                file.seek(offset)
                if file.read(8) == _HDF5:
                    return True
                offset = offset * 2 or 512
    except OSError:
        pass  # left to the reader
    return False


def _look_at_store(store: Path) -> None:
    """Raise an error for a Zarr store with links to other places, or huge chunks: the library allocates whole ones."""
    inside = store.resolve()
    for folder, folders, files in os.walk(store):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise InputError(f"{store} does not hold its own values: {path} is a link to {path.resolve()}; copy it")
            if name in ("zarr.json", ".zarray"):
                _look_at_chunks(store, path)


def _look_at_chunks(store: Path, file: Path) -> None:
    try:
        if file.stat().st_size > _LARGEST_METADATA:
            raise InputError(f"cannot read {file}: {file.stat().st_size} bytes are too many for metadata")
        metadata = json.loads(file.read_text(encoding="utf-8"))
        chunk = (
            metadata.get("chunks") or metadata.get("chunk_grid", {}).get("configuration", {}).get("chunk_shape") or [1]
        )
        size = math.prod(int(each) for each in chunk)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return  # left to the reader
    if size > LARGEST_CHUNK:
        shape = " x ".join(str(each) for each in chunk)
        raise InputError(f"cannot read {store}: its chunks of {shape} numbers are larger than memory should hold")


def check_declared(path: Path, declared: int) -> None:
    """Raise an error for an image far larger than possible for its file, which would fill the memory.

    Parameters
    ----------
    path : pathlib.Path
        A file or the folder of a store.
    declared : int
        Bytes of the stored numbers.

    Raises
    ------
    InputError
        The declared size exceeds any possible compression.
    """
    if declared <= _SMALL_BYTES:
        return
    held = 0
    for each in path.rglob("*") if path.is_dir() else [path]:
        if each.is_file():
            held += each.stat().st_size
        if declared <= _LARGEST_RATIO * held:
            return
    if path.exists():
        raise InputError(
            f"{path} says that it holds {declared / 1e6:.0f} MB and has {held / 1e6:.3g} MB: it is cut short, damaged "
            "or nearly empty; crop it to where it has values"
        )
