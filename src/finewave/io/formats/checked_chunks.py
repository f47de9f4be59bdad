"""Zarr stores whose compressed chunks are looked at before they are unpacked: a small one can fill the memory."""

from __future__ import annotations

import bz2
import json
import lzma
import math
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from zarr.abc.store import Store
from zarr.storage import WrapperStore

from finewave.errors import InputError

_METADATA = ("zarr.json", ".zarray", ".zmetadata")
_TIMES = 8
"""Filters may change the type of numbers: what is unpacked may have so many times the bytes of the chunk."""
_SPARE = 2**24
_UNKNOWN_BYTES = 2**28
"""Of a chunk of texts, whose numbers of bytes are not stated."""
_PIECE = 2**16
_BLOCK = 2**17  # the largest of Zstandard
_DEFLATE = 1032  # how far it compresses at most


class CheckedStore(WrapperStore[Store]):
    """A store that refuses chunks which would unpack to far more than their array states.

    Parameters
    ----------
    store : zarr.abc.store.Store
    shown : str
        Its name for messages.
    """

    def __init__(self, store: Store, shown: str) -> None:
        super().__init__(store)
        self.shown = shown
        self._arrays: dict[str, tuple[str, int]] = {}

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Return a value of the store; see `zarr.abc.store.Store.get`."""
        value = await super().get(key, prototype, byte_range)
        folder, _, name = key.rpartition("/")
        if value is None:
            return None
        if name in _METADATA:
            self._arrays.update(_arrays_in(folder, name, value.to_bytes()))
            return value
        if name.startswith("."):
            return value  # further metadata
        while folder not in self._arrays and folder:
            folder = folder.rpartition("/")[0]
        if folder in self._arrays:
            codec, largest = self._arrays[folder]
            if unpacks_beyond(value.as_numpy_array(), codec, largest):
                raise InputError(
                    f"{self.shown}: the chunk {key} unpacks to far more than its array states; the file is damaged, or "
                    "made to fill the memory"
                )
        return value

    def _with_store(self, store: Store) -> CheckedStore:
        """Return the same checks of another store, as `WrapperStore.with_read_only` asks for it."""
        return CheckedStore(store, self.shown)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CheckedStore) and self._store == other._store

    def __hash__(self) -> int:
        return hash(self.shown)


def _arrays_in(folder: str, name: str, content: bytes) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yield the arrays that metadata describe: their folders, the codec of their chunks, the bytes these may have."""
    try:
        stated = json.loads(content)
        if name == ".zmetadata":
            inside = {key: each for key, each in stated["metadata"].items() if key.endswith(".zarray")}
            found = {f"{folder}/{key.rpartition('/')[0]}".strip("/"): each for key, each in inside.items()}
        else:
            more = (stated.get("consolidated_metadata") or {}).get("metadata") or {}
            found = {folder: stated, **{f"{folder}/{key}".strip("/"): each for key, each in more.items()}}
        for where, array in found.items():
            if "shape" in array:
                yield where, (_codec(array), _largest(array))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return  # left to the reader


def _codec(array: dict[str, Any]) -> str:
    """Return the name of what unpacks the bytes of a chunk first."""
    if "codecs" not in array:
        last = array.get("compressor") or (array.get("filters") or [{}])[-1]
        return str(last.get("id", ""))
    codecs = array["codecs"]
    for each in codecs:
        if each["name"] == "sharding_indexed":
            codecs = each["configuration"]["codecs"]
    names = [str(each["name"]).removeprefix("numcodecs.") for each in codecs]
    if codecs is not array["codecs"] and "lz4" in names:
        return ""  # it has no sign by which a chunk differs from the index of a shard
    return next((each for each in reversed(names) if each not in ("crc32c", "crc32", "adler32", "fletcher32")), "")


def _largest(array: dict[str, Any]) -> int:
    chunk = array.get("chunks") or array["chunk_grid"]["configuration"]["chunk_shape"]
    try:
        bytes_each = np.dtype(array.get("dtype") or array["data_type"]).itemsize
    except TypeError:
        bytes_each = 0
    return _TIMES * math.prod(map(int, chunk)) * bytes_each + _SPARE if bytes_each else _UNKNOWN_BYTES


def unpacks_beyond(data: Any, codec: str, largest: int) -> bool:
    """Return whether bytes unpack to more than ``largest``, by their header where it says so.

    Parameters
    ----------
    data : ndarray (n,) uint8
    codec : str
        ``"blosc"``, ``"lz4"``, ``"zstd"``, ``"gzip"``, ``"zlib"``, ``"bz2"`` or ``"lzma"``; others are not checked.
    largest : int
        Bytes.
    """
    head = data[:24].tobytes()
    if codec == "blosc" and head[:1] in (b"\1", b"\2"):  # not the index of a shard
        return int.from_bytes(head[4:8], "little") > largest
    if codec == "lz4":
        return int.from_bytes(head[:4], "little") > largest
    if codec == "zstd":
        return _zstd_bytes(data, largest) > largest
    if codec in ("gzip", "zlib"):
        return len(data) * _DEFLATE > largest and _counts_beyond(partial(zlib.decompressobj, 47), data, largest)
    if codec == "bz2":
        return _counts_beyond(bz2.BZ2Decompressor, data, largest)
    if codec == "lzma":
        return _counts_beyond(lzma.LZMADecompressor, data, largest)
    return False


def _zstd_bytes(data: Any, largest: int) -> int:
    """Return what frames unpack to (RFC 8878, 3.1): as stated, otherwise at most, by their blocks."""
    total = at = 0
    while at + 6 <= len(data) and total <= largest:
        head = data[at : at + 24].tobytes()
        if head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:  # a frame that is skipped
            at += 8 + int.from_bytes(head[4:8], "little")
            continue
        if head[:4] != b"\x28\xb5\x2f\xfd":
            break  # left to the reader
        flags = head[4]
        single = flags >> 5 & 1
        start = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3]
        width = (single, 2, 4, 8)[flags >> 6]
        if width:
            total += int.from_bytes(head[start : start + width], "little") + (256 if width == 2 else 0)
        at += start + width
        while at + 3 <= len(data) and total <= largest:
            header = int.from_bytes(data[at : at + 3].tobytes(), "little")
            kind, size = header >> 1 & 3, header >> 3
            if not width:
                total += _BLOCK if kind == 2 else size
            at += 3 + (1 if kind == 1 else size)
            if header & 1:
                break
        at += flags & 4  # a checksum
    return total


def _counts_beyond(begin: Callable[[], Any], data: Any, largest: int) -> bool:
    """Unpack piece by piece, one stream after the other, keep nothing, and stop when there is more than ``largest``."""
    total, unpack, begun = 0, begin(), False
    try:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE].tobytes()
            while True:
                if not begun and not (piece := piece.lstrip(b"\0")):  # streams may be padded
                    break
                begun = True
                made = len(unpack.decompress(piece, 2**20))
                total += made
                if total > largest:
                    return True
                if unpack.eof:
                    piece, unpack, begun = unpack.unused_data, begin(), False
                    continue
                piece = getattr(unpack, "unconsumed_tail", b"")
                if not (piece or made == 2**20):
                    break
    except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError):
        pass  # left to the reader
    return False
