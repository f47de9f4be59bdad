"""How the chunks of a Zarr array are stored, as far as bounds of what they unpack to need it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

TIMES = 8
"""Filters may change the type of numbers: what is unpacked may have so many times the bytes of the chunk."""
SPARE = 2**24
_UNKNOWN_BYTES = 2**28
"""Of a chunk of texts, whose numbers of bytes are not stated."""
_MOST_IN_A_SHARD = 2**20
_INDEX_ENTRY = 16  # bytes: where a chunk begins, and how many it has

_LARGEST_CHUNK = 2**30  # numbers
_MOST_BYTES = 2**28
"""Of a chunk of which an array has little."""
_AGAIN = "open it with the program that wrote it and save it compressed once, by Blosc or Zstandard"
_SMALLER = "save it in smaller chunks"

COMPRESSORS = frozenset({"blosc", "lz4", "zstd", "gzip", "zlib", "bz2", "lzma"})
_FILTERS = frozenset(
    {"adler32", "base64", "bytes", "categorize", "crc32", "crc32c", "endian", "fletcher32", "jenkins_lookup3"}
    | {"shuffle", "transpose", "vlen-bytes", "vlen-utf8"}
)
"""Those whose output is about as large as their input."""
_ENLARGING = frozenset({"astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize"})
_CHECKSUMS = {"crc32c": 4}


@dataclass(frozen=True)
class Shard:
    """Chunks in one value of the store, and an index of their places."""

    inner: ChunkLayout
    index_bytes: int
    index_first: bool


@dataclass(frozen=True)
class ChunkLayout:
    """How chunks are stored.

    Attributes
    ----------
    compressor : str
        What unpacks the bytes of a chunk; empty if nothing does.
    largest : int
        Bytes to which a chunk may unpack.
    shard : Shard, optional
        Chunks within these, which are unpacked one by one.
    refusal : str
        Why no chunk is read, and what helps; empty if they are.
    """

    compressor: str = ""
    largest: int = 0
    shard: Shard | None = None
    refusal: str = ""


def layouts_in(folder: str, name: str, content: bytes) -> Iterator[tuple[str, ChunkLayout]]:
    """Yield folder and layout of each array that metadata of a store describe; nothing of what is no JSON."""
    try:
        stated = json.loads(content)
        if name == ".zmetadata":
            inside = {key: each for key, each in stated["metadata"].items() if key.endswith(".zarray")}
            found = {f"{folder}/{key.rpartition('/')[0]}".strip("/"): each for key, each in inside.items()}
        else:
            more = (stated.get("consolidated_metadata") or {}).get("metadata") or {}
            found = {folder: stated, **{f"{folder}/{key}".strip("/"): each for key, each in more.items()}}
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return  # left to the reader, which finds no array, either
    for where, array in found.items():
        if isinstance(array, Mapping) and "shape" in array:
            yield where, _layout_of(array)


def _layout_of(array: Mapping[str, Any]) -> ChunkLayout:
    try:
        if "codecs" in array:
            shape = [int(side) for side in array["chunk_grid"]["configuration"]["chunk_shape"]]
            codecs, bytes_each = array["codecs"], _bytes_each(array.get("data_type"))
        else:
            steps = [*(array.get("filters") or ()), *([array["compressor"]] if array.get("compressor") else [])]
            codecs = [{"name": str(step["id"]), "configuration": step} for step in steps]
            shape, bytes_each = [int(side) for side in array["chunks"]], _bytes_each(array.get("dtype"))
        layout = _layout(codecs, shape, bytes_each)
        too_large = too_large_chunks(shape, [int(side) for side in array["shape"]], bytes_each)
        return ChunkLayout(refusal=too_large) if too_large and not layout.refusal else layout
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, RecursionError):
        return ChunkLayout(
            refusal=f"its metadata describe how its chunks are stored in a way that is not understood; {_AGAIN}"
        )


def too_large_chunks(chunk: Sequence[int], shape: Sequence[int], bytes_each: int) -> str:
    """Return why chunks are not read whatever they hold, empty if they are: the library allocates whole ones."""
    count = math.prod(chunk)
    if count > _LARGEST_CHUNK:
        sides = " x ".join(str(each) for each in chunk)
        return f"its chunks of {sides} numbers are larger than memory should hold; {_SMALLER}"
    if count * bytes_each > _MOST_BYTES and count > 8 * math.prod(map(min, chunk, shape)):
        return f"its chunks are far larger than the array; {_SMALLER}"
    return ""


def _bytes_each(stated: Any) -> int:
    """Return the bytes of a number; 0 where the type does not say so."""
    try:
        return np.dtype(stated).itemsize
    except (TypeError, ValueError, KeyError, SyntaxError):
        return 0


def _layout(codecs: Sequence[Mapping[str, Any]], shape: Sequence[int], bytes_each: int) -> ChunkLayout:
    largest = TIMES * math.prod(shape) * bytes_each + SPARE if bytes_each else _UNKNOWN_BYTES
    names = [str(each["name"]).removeprefix("numcodecs.") for each in codecs]
    for name in names:
        if name not in COMPRESSORS | _FILTERS | _ENLARGING | {"sharding_indexed"}:
            return ChunkLayout(
                refusal=f"its metadata name the codec {name!r}, which is not read: what it makes has no bound; {_AGAIN}"
            )
    packed = [name for name in names if name in COMPRESSORS or name == "sharding_indexed"]
    if len(packed) > 1:
        return ChunkLayout(refusal=f"its metadata pack each chunk more than once ({', '.join(packed)}); {_AGAIN}")
    if math.prod(map(_enlargement, names, codecs)) > TIMES:
        return ChunkLayout(refusal=f"its metadata have filters that enlarge chunks more than {TIMES} times; {_AGAIN}")
    if packed != ["sharding_indexed"]:
        return ChunkLayout("".join(packed), largest)
    return _sharded(codecs[names.index("sharding_indexed")]["configuration"], shape, bytes_each)


def _sharded(stated: Mapping[str, Any], shape: Sequence[int], bytes_each: int) -> ChunkLayout:
    inside = [int(side) for side in stated["chunk_shape"]]
    count = math.prod(-(-outer // inner) for outer, inner in zip(shape, inside, strict=True))
    if not 0 < count <= _MOST_IN_A_SHARD:
        return ChunkLayout(
            refusal=f"its metadata have {count:,} chunks in a shard, more than {_MOST_IN_A_SHARD:,}; {_AGAIN}"
        )
    of_index = [str(each["name"]) for each in stated.get("index_codecs") or [{"name": "bytes"}, {"name": "crc32c"}]]
    if not {*of_index} <= {"bytes", "endian", *_CHECKSUMS}:
        return ChunkLayout(refusal=f"its metadata pack the index of shards ({', '.join(of_index)}); {_AGAIN}")
    inner = _layout(stated["codecs"], inside, bytes_each)
    if inner.refusal:
        return inner
    size = count * _INDEX_ENTRY + sum(_CHECKSUMS.get(name, 0) for name in of_index)
    largest = TIMES * math.prod(shape) * bytes_each + SPARE if bytes_each else _UNKNOWN_BYTES
    return ChunkLayout("", largest, Shard(inner, size, stated.get("index_location") == "start"))


def _enlargement(name: str, codec: Mapping[str, Any]) -> float:
    """Return how many times as many bytes a filter makes of its input."""
    if name == "packbits":
        return 8
    if name not in _ENLARGING:
        return 1
    stated = codec["configuration"]
    decoded = stated.get("decode_dtype" if name == "astype" else "dtype")
    encoded = stated.get("encode_dtype" if name == "astype" else "astype") or decoded
    if decoded is None:  # of version 3, where an array's type is known
        return 1
    return max(1.0, np.dtype(decoded).itemsize / max(1, np.dtype(encoded).itemsize))
