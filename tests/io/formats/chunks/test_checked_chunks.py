"""Chunks of Zarr stores that unpack to far more than their array states: refused before the memory is taken."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

from finewave.errors import InputError
from finewave.io.formats.chunks.checked_chunks import unpacks_beyond
from finewave.io.formats.chunks.chunk_layout import layouts_in
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


# classes: one of numcodecs warns when it is made
IN_SHARDS: dict[str, tuple[Callable[[], Any], Callable[[bytes], bytes]]] = {
    "lz4": (zarr.codecs.numcodecs.LZ4, CODECS["lz4"][1]),
    "blosc": (zarr.codecs.BloscCodec, CODECS["blosc"][1]),
    "zstd": (zarr.codecs.ZstdCodec, CODECS["zstd"][1]),
    "gzip": (zarr.codecs.GzipCodec, CODECS["gzip"][1]),
    "bz2": (zarr.codecs.numcodecs.BZ2, CODECS["bz2"][1]),
}


def shard_of(chunks: list[bytes], place: str = "end") -> bytes:
    """Return a shard of chunks whose index has no checksum."""
    lengths = [len(each) for each in chunks]
    firsts = np.cumsum([16 * len(chunks) if place == "start" else 0, *lengths[:-1]])
    index, values = np.stack([firsts, lengths], axis=1).astype("<u8").tobytes(), b"".join(chunks)
    return index + values if place == "start" else values + index


def sharding(inside: tuple[int, int, int], codecs: list[Any], place: str = "end") -> Any:
    plain = [zarr.codecs.BytesCodec()]
    return zarr.codecs.ShardingCodec(chunk_shape=inside, codecs=codecs, index_codecs=plain, index_location=place)


def written_shard(folder: Path, serializer: Any, content: bytes) -> Path:
    """Write an array that is one shard."""
    store, shape = folder / "a.zarr", VALUES.shape
    zarr.create_array(
        store, shape=shape, chunks=shape, dtype="u2", serializer=serializer, compressors=None, filters=None
    )
    (store / "c/0/0").mkdir(parents=True)
    (store / "c/0/0/0").write_bytes(content)
    return store


def quarters(pack: Callable[[bytes], bytes], values: np.ndarray = VALUES) -> list[bytes]:
    middle = values.shape[1] // 2, values.shape[2] // 2
    rows, columns = (slice(middle[0]), slice(middle[0], None)), (slice(middle[1]), slice(middle[1], None))
    return [pack(values[:, row, column].tobytes()) for row in rows for column in columns]


@pytest.mark.parametrize("place", ["start", "end"])
@pytest.mark.parametrize("codec", IN_SHARDS)
@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not")
def test_a_bomb_in_any_place_of_a_shard_is_not_unpacked(codec: str, place: str, tmp_path: Path) -> None:
    """Whether the shard is read as a whole, or one of its chunks alone."""
    compressor, pack = IN_SHARDS[codec]
    serializer, chunks = sharding((3, 10, 12), [zarr.codecs.BytesCodec(), compressor()], place), quarters(pack)
    store = written_shard(tmp_path, serializer, shard_of(chunks, place))
    np.testing.assert_array_equal(load_scene(store, full_scale=1).values, VALUES)
    np.testing.assert_array_equal(open_scene(store, full_scale=1)[:, 4:15, 3:5].values, VALUES[:, 4:15, 3:5])
    (store / "c/0/0/0").write_bytes(shard_of([*chunks[:3], pack(ZEROS)], place))
    with pytest.raises(InputError, match="unpacks to far more"):
        load_scene(store, full_scale=1)
    scene = open_scene(store, full_scale=1)
    np.testing.assert_array_equal(scene[:, :10].values, VALUES[:, :10])
    with pytest.raises(InputError, match="unpacks to far more"):
        _ = scene[:, 10:, 12:].values


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not")
def test_shards_within_shards_are_looked_at(tmp_path: Path) -> None:
    compressor, pack = IN_SHARDS["lz4"]
    inner = sharding((3, 5, 6), [zarr.codecs.BytesCodec(), compressor()])
    values = [VALUES[:, rows, columns] for rows in (slice(10), slice(10, 20)) for columns in (slice(12), slice(12, 24))]
    chunks = [quarters(pack, each) for each in values]
    store = written_shard(tmp_path, sharding((3, 10, 12), [inner]), shard_of([shard_of(each) for each in chunks]))
    np.testing.assert_array_equal(load_scene(store, full_scale=1).values, VALUES)
    chunks[1][2] = pack(ZEROS)
    (store / "c/0/0/0").write_bytes(shard_of([shard_of(each) for each in chunks]))
    for part in (np.s_[:], np.s_[:, :10, 12:]):
        with pytest.raises(InputError, match="unpacks to far more"):
            _ = open_scene(store, full_scale=1)[part].values


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not")
def test_an_index_that_is_a_chunk_of_its_own_is_refused(tmp_path: Path) -> None:
    compressor, pack = IN_SHARDS["lz4"]
    shard = bytearray(shard_of(quarters(pack), "start"))
    shard[48:64] = np.array([0, 64], "<u8").tobytes()
    serializer = sharding((3, 10, 12), [zarr.codecs.BytesCodec(), compressor()], "start")
    store = written_shard(tmp_path, serializer, bytes(shard))
    with pytest.raises(InputError, match="unpacks to far more"):
        _ = open_scene(store, full_scale=1)[:, 10:, 12:].values


def test_a_file_far_larger_than_its_chunk_is_not_read(tmp_path: Path) -> None:
    """A sparse one costs nothing."""
    store = tmp_path / "a.zarr"
    zarr.create_array(store, shape=VALUES.shape, chunks=VALUES.shape, dtype="u2", compressors=None, zarr_format=2)
    with (store / "0.0.0").open("wb") as file:
        file.truncate(2**33)
    with pytest.raises(InputError, match="unpacks to far more"):
        load_scene(store, full_scale=1)


def test_chunks_far_larger_than_their_array_are_refused_by_its_name(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    zarr.create_array(store, name="image", shape=(3, 20, 24), chunks=(3, 8000, 8000), dtype="u2")
    with pytest.raises(InputError, match=rf"cannot read image of {re.escape(str(store))}: its chunks are far larger"):
        open_scene(store, full_scale=1)


def edited(store: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change the metadata of an array."""
    (file,) = (each for each in (store / ".zarray", store / "zarr.json") if each.exists())
    stated = json.loads(file.read_text())
    change(stated)
    file.write_text(json.dumps(stated))
    return store


PACKED_TWICE = [{"id": "zlib", "level": 1}, {"id": "zlib", "level": 1}]
PICKLED = [{"id": "vlen-utf8"}, {"id": "pickle"}]
WIDER = {"id": "astype", "encode_dtype": "|u1", "decode_dtype": "|S1000000"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"filters": PACKED_TWICE[:1], "compressor": PACKED_TWICE[1]},
            r"pack each chunk more than once \(zlib, zlib\)",
        ),
        ({"filters": PACKED_TWICE, "compressor": None}, "pack each chunk more than once"),
        ({"filters": [{"id": "packbits"}] * 6}, "have filters that enlarge chunks more than 8 times"),
        ({"filters": [WIDER]}, "have filters that enlarge chunks more than 8 times"),
        ({"filters": PICKLED, "compressor": None, "dtype": "|O", "fill_value": ""}, "name the codec 'pickle'"),
        ({"filters": [{"id": "json2"}], "dtype": "|O", "fill_value": ""}, "name the codec 'json2'"),
    ],
)
def test_chains_of_codecs_without_a_bound_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    """No chunk is read at all: what one codec makes may be a bomb of the next."""
    store = edited(written(tmp_path, "zlib", 2), lambda stated: stated.update(change))
    layouts = dict(layouts_in("", ".zarray", (store / ".zarray").read_bytes()))
    assert re.search(message, layouts[""].refusal)
    with pytest.raises(InputError):
        load_scene(store, full_scale=1)


def test_layouts_that_are_not_understood_are_refused(tmp_path: Path) -> None:
    """Another library that understands them would unpack what nobody looked at."""
    array = json.loads((written(tmp_path, "zstd", 3) / "zarr.json").read_text())
    index = {"chunk_shape": [1, 1, 1], "codecs": [{"name": "bytes"}], "index_location": "end"}
    for change, message in (
        ({"codecs": ["bytes", "zstd"]}, "not understood"),
        ({"chunk_grid": {"name": "rectilinear", "configuration": {}}}, "not understood"),
        ({"codecs": [{"name": "sharding_indexed", "configuration": {"chunk_shape": [1, 1, 1]}}]}, "not understood"),
        ({"codecs": [{"name": "sharding_indexed", "configuration": index}]}, ""),
        (
            {
                "codecs": [{"name": "sharding_indexed", "configuration": index}],
                "chunk_grid": {"configuration": {"chunk_shape": [10**3] * 3}},
            },
            "have 1,000,000,000 chunks in a shard",
        ),
        (
            {"codecs": [{"name": "sharding_indexed", "configuration": {**index, "index_codecs": [{"name": "zstd"}]}}]},
            r"pack the index of shards \(zstd\)",
        ),
        ({"codecs": [{"name": "bytes"}, {"name": "zstd"}, {"name": "gzip"}]}, r"more than once \(zstd, gzip\)"),
    ):
        (found,) = dict(layouts_in("", "zarr.json", json.dumps(array | change).encode())).values()
        assert re.search(message, found.refusal), found
        assert bool(message) == bool(found.refusal)


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
