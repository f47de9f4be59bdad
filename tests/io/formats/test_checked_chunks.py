"""Chunks of Zarr stores that unpack to far more than their array states: refused before the memory is taken."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr

from finewave.errors import InputError
from finewave.io.formats.checked_chunks import unpacks_beyond
from finewave.io.open_save import load_scene, open_scene

ZEROS = bytes(2**27)
CODECS: dict[str, tuple[object, Callable[[bytes], bytes]]] = {
    "blosc": (numcodecs.Blosc("zstd"), lambda data: bytes(numcodecs.Blosc("zstd").encode(data))),
    "zstd": (numcodecs.Zstd(), lambda data: bytes(numcodecs.Zstd().encode(data))),
    "lz4": (numcodecs.LZ4(), lambda data: bytes(numcodecs.LZ4().encode(data))),
    "zlib": (numcodecs.Zlib(), lambda data: zlib.compress(data, 1)),
    "gzip": (numcodecs.GZip(), lambda data: gzip.compress(data, 1)),
    "bz2": (numcodecs.BZ2(), lambda data: bz2.compress(data, 1)),
    "lzma": (numcodecs.LZMA(), lambda data: lzma.compress(data, preset=0)),
}
VALUES = np.random.default_rng(5).integers(0, 4000, (3, 20, 24)).astype(np.uint16)


def written(folder: Path, codec: str, version: int) -> Path:
    store = folder / "a.zarr"
    kinds = {"blosc": zarr.codecs.BloscCodec(), "zstd": zarr.codecs.ZstdCodec(), "gzip": zarr.codecs.GzipCodec()}
    compressor = CODECS[codec][0] if version == 2 else kinds[codec]
    made = zarr.create_array(
        store, shape=VALUES.shape, chunks=(3, 10, 12), dtype="u2", compressors=compressor, zarr_format=version
    )
    made[...] = VALUES
    return store


PAIRS = [(2, name) for name in CODECS] + [(3, name) for name in ("blosc", "zstd", "gzip")]


@pytest.mark.parametrize(("version", "codec"), PAIRS)
def test_chunks_are_read_and_bombs_are_not(version: int, codec: str, tmp_path: Path) -> None:
    store = written(tmp_path, codec, version)
    np.testing.assert_array_equal(load_scene(store, full_scale=1).values, VALUES)
    chunk = store / ("0.0.1" if version == 2 else "c/0/0/1")
    assert chunk.is_file()
    chunk.write_bytes(CODECS[codec][1](ZEROS))
    with pytest.raises(InputError, match="unpacks to far more"):
        load_scene(store, full_scale=1)
    np.testing.assert_array_equal(open_scene(store, full_scale=1)[:, 10:, :12].values, VALUES[:, 10:, :12])


@pytest.mark.parametrize("compressor", [zarr.codecs.BloscCodec(), zarr.codecs.ZstdCodec()])
def test_shards(compressor: object, tmp_path: Path) -> None:
    values = VALUES.copy()
    values[:, :5, :6] = 9  # the fill value: nothing is stored but a mark in the index of the shard
    store = tmp_path / "a.zarr"
    kinds = {"shape": VALUES.shape, "chunks": (3, 5, 6), "shards": (3, 10, 12), "dtype": "u2", "zarr_format": 3}
    made = zarr.create_array(store, **kinds, fill_value=9, compressors=compressor)
    made[...] = values
    read = open_scene(store, full_scale=1)[:, 8:11, 7:13].values
    np.testing.assert_array_equal(read, values[:, 8:11, 7:13])
    assert np.isnan(load_scene(store, full_scale=1).values[:, :5, :6]).all()


def test_a_frame_that_does_not_state_its_size() -> None:
    """Zstandard in blocks of one repeated byte, each of 128 KiB: 4 bytes a block."""
    block = (1 << 1 | 2**17 << 3).to_bytes(3, "little") + b"\0"
    last = (1 | 1 << 1 | 2**17 << 3).to_bytes(3, "little") + b"\0"
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + b"\x58" + block * 999 + last
    assert len(numcodecs.Zstd().decode(frame)) == 1000 * 2**17
    data = np.frombuffer(frame, np.uint8)
    assert unpacks_beyond(data, "zstd", 999 * 2**17)
    assert not unpacks_beyond(data, "zstd", 1000 * 2**17)


@pytest.mark.parametrize("padding", [b"", bytes(100_000)])
@pytest.mark.parametrize("codec", ["gzip", "bz2", "lzma", "zstd"])
def test_a_second_stream_counts(codec: str, padding: bytes) -> None:
    """Readers unpack all of them; those of gzip skip zeros between them."""
    codec_of, pack = CODECS[codec]
    first, second = pack(bytes(1000)), pack(ZEROS[: 2**22])
    if codec == "zstd":
        skipped = b"\x50\x2a\x4d\x18" + len(padding).to_bytes(4, "little") + padding
        second = skipped + second
    elif codec == "gzip":
        second = padding + second
    assert len(codec_of.decode(first + second)) == 1000 + 2**22  # type: ignore[attr-defined]  # of numcodecs
    data = np.frombuffer(first + second, np.uint8)
    assert unpacks_beyond(data, codec, 999 + 2**22)
    assert not unpacks_beyond(data, codec, 1000 + 2**22)


@pytest.mark.parametrize("codec", CODECS)
def test_damaged_bytes_are_left_to_the_reader(codec: str) -> None:
    for data in (b"", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08\x00abc", bytes(30), VALUES.tobytes()[:50]):
        unpacks_beyond(np.frombuffer(data, np.uint8), codec, 10**6)
