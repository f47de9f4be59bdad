"""Checks before a library opens an untrusted file."""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from pathlib import Path

from finewave.errors import InputError

_HDF5 = b"\x89HDF\r\n\x1a\n"
_OF_A_STORE = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
MOST_DIMENSIONS = 10_000
_DIMENSIONS = 10  # tag of their list in NetCDF 3
_LARGEST_METADATA = 2**26
_SMALL_BYTES = 2**28
_LARGEST_RATIO = 1200
"""Deflate compresses by 1032 at most; smaller files are mostly empty."""

MOST_ITEMS = 20_000
"""Of metadata in one list: half a second for GDAL, whose time grows with the square, and more than any product has."""
_MOST_SCANS = 500
"""Of a JPEG, each of which goes over the whole image, whatever it holds; those of a progressive one are about ten."""
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
"""Of a JPEG, those with a length (ITU-T T.81, table B.1), and that of its end."""
_SCAN, _END = 0xDA, 0xD9
_SMALL_METADATA = 2**19
_GDAL_METADATA = 42112  # tag of TIFF
_ITEM = re.compile(rb"<Item\b(?:[^>]*?\bsample=[\"'](\d+))?")


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
        _check_metadata(path)
        _check_dimensions(path)
        _check_scans(path)


def check_regular(path: Path) -> None:
    """Raise an error for a pipe, a socket or a device, which a library would wait for, or read without end."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"cannot read {path}: it is a pipe or a device, not a file; save its content in a file")


def _check_metadata(path: Path) -> None:
    """Raise an error for a TIFF, or the file ``.aux.xml`` beside an image, with too many items of metadata for GDAL."""
    most = 0
    try:
        text = _metadata_of_tiff(path)
        if len(text) > _SMALL_METADATA:
            most = max(Counter(_ITEM.findall(text)).values(), default=0)
        beside = path.with_name(f"{path.name}.aux.xml")
        if beside.is_file() and beside.stat().st_size > _SMALL_METADATA:
            most = max(most, *(part.count(b"<MDI") for part in beside.read_bytes().split(b"</Metadata>")))
    except (OSError, struct.error):
        return  # left to the reader
    if most > MOST_ITEMS:
        raise InputError(f"cannot read {path}: it has {most} items of metadata, more than {MOST_ITEMS}")


def _metadata_of_tiff(path: Path) -> bytes:
    """Return the text of the first directory's tag of GDAL's metadata, b"" if there is none."""
    with path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 16:
            return b""
        big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
        word, count_form, width = ("Q", "Q", 20) if big else ("I", "H", 12)
        file.seek(struct.unpack_from(order + word, head, 8 if big else 4)[0])
        (count,) = struct.unpack(order + count_form, file.read(8 if big else 2))
        entries = file.read(width * min(count, 2**16))
        for start in range(0, len(entries) - width + 1, width):
            tag, _, length = struct.unpack_from(f"{order}HH{word}", entries, start)
            if tag == _GDAL_METADATA and length > _SMALL_METADATA:
                file.seek(struct.unpack_from(order + word, entries, start + width - (8 if big else 4))[0])
                return file.read(min(length, 2**28))
    return b""


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


def _check_scans(path: Path) -> None:
    """Raise an error for a JPEG with hundreds of scans: a few bytes each take the time of the whole image."""
    try:
        with path.open("rb") as file:
            content = file.read() if file.read(2) == b"\xff\xd8" else b""
    except OSError:
        return  # left to the reader
    if content.count(b"\xff\xda") <= _MOST_SCANS:
        return
    if (scans := _scans_in(content)) > _MOST_SCANS:
        raise InputError(f"cannot read {path}: it has {scans} scans, more than {_MOST_SCANS}; save it again")


def _scans_in(content: bytes) -> int:
    """Return how many scans a JPEG has; bytes within other segments, and behind its end as of a film, are not its."""
    scans = at = 0
    while (marker := _MARKER.search(content, at)) and (kind := marker[1][0]) != _END:
        scans += kind == _SCAN
        at = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
    return scans


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
    """Raise an error for a Zarr store with links to other places, or more metadata than memory should hold."""
    inside = store.resolve()
    for folder, folders, files in os.walk(store):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise InputError(f"{store} does not hold its own values: {path} is a link to {path.resolve()}; copy it")
            if name in ("zarr.json", ".zarray"):
                _check_size_of_metadata(path)


def _check_size_of_metadata(file: Path) -> None:
    try:
        size = file.stat().st_size
    except OSError:
        return  # left to the reader
    if size > _LARGEST_METADATA:
        raise InputError(f"cannot read {file}: {size} bytes are too many for metadata")


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
