"""Zarr stores whose compressed chunks are looked at before they are unpacked: a small one can fill the memory."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import AsyncGenerator, Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from zarr.abc.store import RangeByteRequest, Store, SuffixByteRequest
from zarr.storage import LocalStore, WrapperStore

from finewave.errors import InputError
from finewave.io.formats.chunks.chunk_layout import ChunkLayout, Shard, layouts_in

_METADATA = ("zarr.json", ".zarray", ".zmetadata")
_PIECE = 2**16
_BLOCK = 2**17  # the largest of Zstandard
_DEFLATE = 1032  # how far it compresses at most
_UNKNOWN = ChunkLayout(refusal="its metadata do not say how chunks are stored; is the store whole?")
_NONE = 2**64 - 1  # in an index: a chunk that is not stored


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
        self._layouts: dict[str, ChunkLayout] = {}

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Return a value of the store; see `zarr.abc.store.Store.get`."""
        folder, _, name = key.rpartition("/")
        if name in _METADATA or name.startswith("."):
            value = await super().get(key, prototype, byte_range)
            if value is not None and name in _METADATA:
                self._layouts.update(layouts_in(folder, name, value.to_bytes()))
            return value
        array, layout = self._layout_of(folder)
        if layout.refusal:
            raise InputError(f"cannot read {array or 'the array'} of {self.shown}: {layout.refusal}")
        self._check_stored(key, layout)
        value = await super().get(key, prototype, byte_range)
        if value is not None:
            _check(value.as_numpy_array(), layout, self._refusal(key), byte_range)
        return value

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> list[Any]:
        """Return parts of values, each checked as by `get`."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def _get_many(self, requests: Iterable[tuple[str, Any, Any]]) -> AsyncGenerator[tuple[str, Any], None]:
        for key, prototype, byte_range in requests:
            yield key, await self.get(key, prototype, byte_range)

    def _layout_of(self, folder: str) -> tuple[str, ChunkLayout]:
        """Return the name of the array whose chunks are in a folder, and how they are stored."""
        while folder not in self._layouts and folder:
            folder = folder.rpartition("/")[0]
        return folder, self._layouts.get(folder, _UNKNOWN)

    def _check_stored(self, key: str, layout: ChunkLayout) -> None:
        """Refuse a file that is far larger than its chunk may be, which a sparse one is at no cost."""
        if isinstance(self._store, LocalStore):
            path = self._store.root / key
            if path.is_file() and path.stat().st_size > 2 * layout.largest:
                raise self._refusal(key)

    def _refusal(self, key: str) -> InputError:
        return InputError(
            f"{self.shown}: the chunk {key} unpacks to far more than its array states; the file is damaged, or made to "
            "fill the memory"
        )

    def _with_store(self, store: Store) -> CheckedStore:
        """Return the same checks of another store, as `WrapperStore.with_read_only` asks for it."""
        other = CheckedStore(store, self.shown)
        other._layouts = self._layouts
        return other

    def __str__(self) -> str:
        return self.shown

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CheckedStore) and self._store == other._store

    def __hash__(self) -> int:
        return hash(self.shown)


def _check(data: Any, layout: ChunkLayout, refusal: InputError, byte_range: Any = None) -> None:
    """Raise the refusal if what was read of the store, or a chunk within it, unpacks to too much."""
    shard = layout.shard
    if shard is None:
        if unpacks_beyond(data, layout.compressor, layout.largest):
            raise refusal
    elif byte_range is None:
        for first, size in _index_of(data, shard, refusal):
            _check(data[first : first + size], shard.inner, refusal)
    elif byte_range == (
        RangeByteRequest(0, shard.index_bytes) if shard.index_first else SuffixByteRequest(shard.index_bytes)
    ):
        _index_of(data, shard, refusal)
    else:
        _check(data, shard.inner, refusal)


def _index_of(data: Any, shard: Shard, refusal: InputError) -> list[tuple[int, int]]:
    """Return where the chunks of a shard, or of the part that is its index, lie; none where it is cut short."""
    size = shard.index_bytes
    stored = data[:size] if shard.index_first else data[-size:]
    if len(stored) < size:
        return []
    entries = np.frombuffer(stored.tobytes(), "<u8", size // 16 * 2).reshape(-1, 2)
    places = [(first, length) for first, length in entries.tolist() if (first, length) != (_NONE, _NONE)]
    if shard.index_first and any(first < size for first, length in places if length):
        raise refusal  # its own index as a chunk, which nobody writes
    return places


def unpacks_beyond(data: Any, codec: str, largest: int) -> bool:
    """Return whether bytes unpack to more than ``largest``, by their header where it says so.

    Parameters
    ----------
    data : ndarray (n,) uint8
    codec : str
        ``"blosc"``, ``"lz4"``, ``"zstd"``, ``"gzip"``, ``"zlib"``, ``"bz2"`` or ``"lzma"``; others make about as much
        as they have.
    largest : int
        Bytes.
    """
    head = data[:24].tobytes()
    if codec == "blosc":
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
