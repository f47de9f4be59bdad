"""Hostile files, names, models and documents on the command line: one line, exit 2; nothing runs, nothing waits."""

from __future__ import annotations

import io
import json
import os
import pickle
import socket
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

import finewave as fw
from finewave.zoo.model import Model
from tests.cli.command_line import assert_refused, run
from tests.io.hostile_files import envi, hdf5, plain_tif, values, zarr2, zarr3

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="made of links and pipes"),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(120),
]


class Runs:
    """What a pickle runs: it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def pickled(store: Path, folder: Path) -> Path:
    (store / "0.0.0").write_bytes(pickle.dumps(Runs(folder / "ran")))
    return store


def chunk_that_is_a_folder(folder: Path) -> Path:
    store = zarr2(folder / "a.zarr")
    (store / "0.0.0").unlink()
    (store / "0.0.0").mkdir()
    return store


def with_attributes(store: Path, text: str) -> Path:
    (store / ".zattrs").write_text(text)
    return store


def unix_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(path.parent)  # the address of a socket is short
        try:
            listening.bind(path.name)
        finally:
            os.chdir(here)
    return path


def link(path: Path, target: str | Path) -> Path:
    path.symlink_to(target)
    return path


def document(folder: Path, text: str) -> Path:
    safe = folder / "A.SAFE"
    safe.mkdir()
    (safe / "MTD_MSIL2A.xml").write_text(text)
    return safe


def named(folder: Path, name: str | bytes) -> Path:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + os.fsencode(name)))
    path.write_bytes(b"II*\0")
    return path


def jpeg_of_many_scans(folder: Path) -> Path:
    """Each scan of a few bytes costs a pass over the whole image: 8 s for a 1024 x 1024 one with 20,000."""
    path = folder / "a.jpg"
    Image.new("RGB", (64, 64)).save(path, progressive=True)
    content = path.read_bytes()
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:last] + content[last:-2] * 600 + b"\xff\xd9")
    return path


def group_with(folder: Path, name: str, attributes: dict[str, Any], **array: Any) -> Path:
    """A Zarr store of an image and another array, of which nothing is stored."""
    store = folder / "a.zarr"
    store.mkdir()
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    (zarr2(store / "cube") / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["band", "y", "x"]}')
    (zarr2(store / name, **array) / "0.0.0").unlink()
    (store / name / ".zattrs").write_text(json.dumps(attributes))
    return store


def hidden_by_consolidated_metadata(folder: Path) -> Path:
    """The array's own metadata are small; those of its group, which count, say 200 TB."""
    store = group_with(folder, "other", {"_ARRAY_DIMENSIONS": ["a", "b", "c"]})
    large = json.loads((store / "cube" / ".zarray").read_text()) | {"shape": [3, 2**22, 2**22], "chunks": [3, 2**22, 9]}
    inside = {".zgroup": {"zarr_format": 2}, "cube/.zarray": large, "cube/.zattrs": {}}
    (store / ".zmetadata").write_text(json.dumps({"zarr_consolidated_format": 1, "metadata": inside}))
    return store


def npz_of_zeros(folder: Path) -> Path:
    """300 MB in a hundredth of them, which are all read at once."""
    with (
        zipfile.ZipFile(folder / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("cube.npy", "w") as file,
    ):
        head = io.BytesIO()
        shape = {"descr": "|u1", "fortran_order": False, "shape": (3, 10**4, 10**4)}
        np.lib.format.write_array_header_1_0(head, shape)
        file.write(head.getvalue())
        for _ in range(300):
            file.write(bytes(10**6))
    return folder / "a.npz"


BAND = {"_ARRAY_DIMENSIONS": ["band"]}

IMAGES: dict[str, Callable[[Path], Path | str]] = {
    "pickle as a filter": lambda f: pickled(zarr2(f / "a.zarr", filters=[{"id": "pickle"}]), f),
    "pickle as a compressor": lambda f: pickled(zarr2(f / "a.zarr", compressor={"id": "pickle"}), f),
    "pickle as a codec": lambda f: zarr3(f / "a.zarr", codecs=[{"name": "numcodecs.pickle", "configuration": {}}]),
    "texts of a megabyte": lambda f: zarr2(f / "a.zarr", dtype="|S1000000"),
    "two hundred axes": lambda f: zarr2(f / "a.zarr", shape=[1] * 200, chunks=[1] * 200),
    "a fill value of letters": lambda f: zarr2(f / "a.zarr", fill_value="abc"),
    "records": lambda f: zarr2(f / "a.zarr", dtype=[["a", "<u2"], ["b", "<f8"]]),
    "attributes in a list": lambda f: with_attributes(zarr2(f / "a.zarr"), "[1, 2]"),
    "a scale of 1e999": lambda f: with_attributes(
        zarr2(f / "a.zarr"), '{"__class__": 1, "scale_factor": "1e999", "units": {"a": 1}, "crs": {"wkt": 5}}'
    ),
    "bands in letters": lambda f: envi(f, bands="three"),
    "fields without end": lambda f: envi(f, **{f"k{number}": "1" for number in range(30_000)}),
    "scans without end": jpeg_of_many_scans,
    "an archive of zeros": npz_of_zeros,
    "texts of gigabytes": lambda f: group_with(
        f, "band", BAND, shape=[3], chunks=[3], dtype="<U200000000", fill_value=""
    ),
    "a chunk of gigabytes": lambda f: group_with(f, "band", BAND, shape=[3], chunks=[2**30], dtype="<f8"),
    "other metadata of the group": hidden_by_consolidated_metadata,
    "a line feed in a name": lambda f: named(f, "a\nerror: b.tif"),
    "terminal codes in a name": lambda f: named(f, "a\x1b]0;gone\x07\x1b[2J\x9b\u202eb.tif"),
    "a name that is not UTF-8": lambda f: named(f, b"a\xff\xfe.tif"),
    "a socket": lambda f: unix_socket(f / "a.tif"),
    "a link to a device": lambda f: link(f / "a.tif", "/dev/zero"),
    "a link to itself": lambda f: link(f / "a.tif", "a.tif"),
    "the memory of the process": lambda f: "/proc/self/mem",
    "a folder in itself": lambda f: link(f / "b", f).parent,
    "another file in XML": lambda f: document(f, '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r>&e;</r>'),
    "XML nested without end": lambda f: document(f, "<a>" * 100_000),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_images(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    result = run("info", IMAGES[kind](folder))
    assert_refused(result)
    assert not (folder / "ran").exists()
    assert "root:" not in result.output
    assert not [c for c in result.output + result.stderr if ord(c) in range(0x7F, 0xA0) or (ord(c) < 32 and c != "\n")]


def wavelengths_without_end(folder: Path) -> Path:
    with hdf5(folder / "a.h5") as file:
        file["cube"] = values()
        file.create_dataset("wavelengths", (2**34,), "f8", chunks=(2**16,))
        file.create_dataset("band_names", (3,), "S1000000000", chunks=(1,))
    return folder / "a.h5"


READ: dict[str, Callable[[Path], Path]] = {
    "a million names of bands": lambda f: envi(f, **{"band names": "{" + ",".join(map(str, range(10**6))) + "}"}),
    "a place of words": lambda f: envi(
        f, **{"map info": "{UTM, NaN, inf, 1e999, -, 0, 0, 99, Nowhere, units=Furlongs}"}
    ),
    "a CRS that reads a file": lambda f: envi(
        f, **{"coordinate system string": "{+proj=pipeline +step +proj=hgridshift +grids=/etc/passwd}"}
    ),
    "wavelengths without end": wavelengths_without_end,
    "lists of another length": lambda f: envi(f, **{"data gain values": "{1,2,3,4,5}", "bbl": "{2,-1,abc}"}),
}


@pytest.mark.parametrize("kind", READ)
def test_headers_that_are_read_all_the_same(kind: str, tmp_path: Path) -> None:
    result = run("info", READ[kind](tmp_path))
    assert result.exit_code == 0, result.output
    assert "bands           3" in result.output


def test_band_names_do_not_reach_the_terminal_as_codes(tmp_path: Path) -> None:
    path = plain_tif(tmp_path / "a.tif")
    with rasterio.open(path, "r+") as dataset:
        for band in range(1, dataset.count + 1):
            dataset.set_band_description(band, "\x1b]0;gone\x07\x1b[2Jred\r\nerror: x")
        dataset.update_tags(sensor="\x1b[31mx", title="\x9b31m\u202egnp.exe")
    result = run("info", path)
    assert result.exit_code == 0
    assert not [c for c in result.output + result.stderr if ord(c) in (0x1B, 0x07, 0x9B, 0x202E, 0x0D)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = fw.create_model("ssfin", scale=2, hs_bands=5, features=12, blocks=2, reduction=3)
    return Model(net).save(tmp_path_factory.mktemp("weights") / "small")


def renamed(folder: Path) -> None:
    """Give a tensor a name of terminal codes."""
    content = (folder / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    head = json.loads(content[8 : 8 + size])
    head["../\x1b[2J\n"] = head.pop(next(key for key in head if key != "__metadata__"))
    text = json.dumps(head).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


def in_the_card(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / "card.json").read_text()
        assert old in text
        (folder / "card.json").write_text(text.replace(old, new, 1))

    return change


MODELS: dict[str, Callable[[Path], None]] = {
    "weights that are a pipe": instead("model.safetensors", os.mkfifo),
    "weights that are a device": instead("model.safetensors", lambda path: link(path, "/dev/zero")),
    "a card that is a pipe": instead("card.json", os.mkfifo),
    "a card that is a device": instead("card.json", lambda path: link(path, "/dev/zero")),
    "a number of a million digits": in_the_card("{", '{"n": ' + "9" * 1_000_000 + ","),
    "a scale of a million": in_the_card('"scale": 2', '"scale": 1000000'),
    "names of terminal codes": renamed,
}


@pytest.mark.parametrize("kind", MODELS)
def test_models(kind: str, weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for each in weights.iterdir():
        (folder / each.name).write_bytes(each.read_bytes())
    MODELS[kind](folder)
    result = run("predict", plain_tif(tmp_path / "a.tif"), "--model", folder, "-o", tmp_path / "out.tif")
    assert_refused(result)
    assert "\x1b" not in result.stderr
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize(
    "text",
    [
        "seed: " + "9" * 100_000,
        "a0: &a0 {x: 1}\n"
        + "".join(f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}\n" for i in range(1, 10))
        + "b:\n  <<: *a9\n",
        "seed: !!timestamp 9999-99-99",
        "base: common-cave-x4\nname: ${oc.env:HOME}",
        "base: common-cave-x4\nname: ${oc.${seed}:HOME}",
        "base: ${oc.env:HOME}",
        "base: common-cave-x4\ndata: {dataset: '${oc.decode:[1]}'}",
    ],
    ids=["digits", "merged without end", "a date", "environment", "a resolver in parts", "a base", "decoded"],
)
def test_recipes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    result = run("train", path, f"out={tmp_path / 'run'}")
    assert_refused(result)
    assert str(Path.home()) not in result.stderr.replace(str(tmp_path), "")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("override", ["__class__.__init__=1", "name=${oc.env:PATH}", "seed=${oc.decode:5}", "name=${"])
def test_overrides(override: str, tmp_path: Path) -> None:
    result = run("train", "common-cave-x4", f"out={tmp_path / 'run'}", override)
    assert result.exit_code == 2
    assert "error: " in result.stderr
    assert os.environ["PATH"] not in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("-o", "{}/" + "x" * 300 + ".tif"),
        ("-o", "{}/a.tif/out.tif"),
        ("-o", "/dev/full"),
        ("-o", "{}/ring.tif"),
        ("-o", "{}/out.tif", "--full-scale", "0x1p-1074"),
        ("-o", "{}/out.tif", "--tile", "9" * 40),
        ("-o", "{}/out.tif", "--memory", "1e309G"),
        ("-o", "{}/out.tif", "--anchors", "{}/pipe.csv"),
    ],
)
def test_outputs_and_options(options: tuple[str, ...], tmp_path: Path) -> None:
    link(tmp_path / "ring.tif", tmp_path / "ring.tif")
    os.mkfifo(tmp_path / "pipe.csv")
    image = plain_tif(tmp_path / "a.tif")
    given = [each.format(tmp_path) for each in options]
    assert_refused(run("predict", image, "--model", "bicubic", *given))
