"""Commands where the packages of extras cannot be imported: one line before any work, and nothing is left behind.

`sys.meta_path` refuses the packages, so that no import of them slips through, whichever module makes it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from finewave.extras import PACKAGES
from finewave.io.open_save import save_scene
from finewave.scene import make_scene

NEEDS: dict[str, tuple[str, ...]] = {
    "cluster": ("predict scene.tif -o out.tif --model mstpp-cave --workers 2",),
    "data": ("data download finewave-dataset.yaml --to data",),
    "demo": ("demo --out demo",),
    "export": ("export mstpp-cave -o model.onnx", "export mstpp-cave -o model.onnx --for deepness --stac"),
    "hub": ("predict scene.tif -o out.tif --model hf:owner/name",),
    "photos": ("predict photo.heic -o out.tif --model mstpp-cave", "info photo.heic"),
    "remote": ("info https://localhost:1/scene.zarr",),
    "train": (
        "train mstpp-cave-short out=run",
        "fit scene.tif --sensor srgb --scale 2 -o model",
        "study table4 --datasets cave --scales 4 --split val --budget 1 --out studies",
    ),
    "view": (
        "view scene.tif --no-browser",
        "report scene.tif -o report.html",
        "figure scene.tif -o figure.png",
        "sensors srgb --figure curves.png",
        "study figure8 --datasets cave --scales 4 --split val --budget 1 --out studies",
    ),
}
"""By extra, commands that cannot do without it. ``fast`` only makes attention faster."""
WITHOUT_ANY = (
    "models",
    "models mstpp-cave",
    "sensors",
    "data list",
    "info scene.tif",
    "predict scene.tif -o out.tif --model mstpp-cave",
    "predict scene.tif -o enlarged.tif --model bicubic --scale 2",
    "compare out.tif out.tif",
    "anchors scene.tif -n 2 --model mstpp-cave -o places.csv",
    "export mstpp-cave -o model.pt2 --size 16x16",
    "study table4 --datasets cave --scales 4 --no-train --out studies",
)
RUN = """
import json, sys
from tests.test_without_extras import blocked, run
with blocked(json.loads(sys.argv[1])):
    print(json.dumps([run(line) for line in json.loads(sys.argv[2])]))
"""


class Refuses(importlib.abc.MetaPathFinder):
    """Refuses packages, as if they were not installed."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = set(packages)

    def find_spec(self, name: str, *rest: object) -> None:
        if name.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def blocked(packages: Sequence[str]) -> Iterator[None]:
    """Refuse packages in a process that has not imported them."""
    import importlib.util

    assert not set(packages) & {name.partition(".")[0] for name in sys.modules}
    refuses, find = Refuses(packages), importlib.util.find_spec
    sys.meta_path.insert(0, refuses)

    def found(name: str, package: str | None = None) -> importlib.machinery.ModuleSpec | None:
        return None if name.partition(".")[0] in refuses.packages else find(name, package)

    importlib.util.find_spec = found
    yield


def run(line: str) -> tuple[int, str]:
    """Run a command in this process; return its exit status and what it wrote to standard error."""
    from click.testing import CliRunner

    from finewave.cli import main

    done = CliRunner().invoke(main, line.split())
    return done.exit_code, done.stderr


def without(extras: Sequence[str], lines: Sequence[str], folder: Path) -> list[tuple[int, str]]:
    """Run commands in a process that cannot import the packages of extras."""
    packages = sorted({package for extra in extras for package in PACKAGES[extra]})
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(packages), json.dumps(list(lines))],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
        | {"FINEWAVE_PREPARED": str(folder / "prepared"), "FINEWAVE_DATA": str(folder / "absent")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [(status, error) for status, error in json.loads(done.stdout.splitlines()[-1])]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    scene = make_scene(random.random((3, 24, 24), dtype=np.float32), wavelengths=[600.0, 540.0, 460.0])
    save_scene(scene, tmp_path / "scene.tif")
    download = f"{{url: 'https://localhost:1/a.zip', name: a.zip, sha256: '{'0' * 64}'}}"
    (tmp_path / "finewave-dataset.yaml").write_text(f"downloads: [{download}]\n")
    (tmp_path / "photo.heic").write_bytes(bytes.fromhex("00000018667479706865696300000000"))
    return tmp_path


def test_every_extra_that_a_command_needs_is_tried() -> None:
    assert set(NEEDS) == set(PACKAGES) - {"fast"}


@pytest.mark.slow
@pytest.mark.parametrize("extra", sorted(NEEDS))
def test_a_missing_extra_is_one_line_before_any_work(extra: str, folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    for line, (status, error) in zip(NEEDS[extra], without([extra], NEEDS[extra], folder), strict=True):
        assert status == 2, (line, error)
        expected = (
            rf"error: .*needs the package ({'|'.join(PACKAGES[extra])}), which is not installed: pip install .*\n"
        )
        assert re.fullmatch(expected, error), (line, error)
        assert f"[{extra}]" in error, (line, error)
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.slow
def test_the_main_commands_need_no_extra(folder: Path) -> None:
    done = without([*PACKAGES], WITHOUT_ANY, folder)
    assert [(line, error) for line, (status, error) in zip(WITHOUT_ANY, done, strict=True) if status != 0] == []
