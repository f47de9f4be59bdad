"""A georeferenced scene through the command line: one process, two workers, one of them killed.

A photograph of 192 pixels; with ``FINEWAVE_SCENE_SIDE=2048`` (4 bands of CAVE's scenes side by side, if the data is
there, else noise) as large as scenes are: it takes an hour and 20 GB of disk.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import rasterio

from benchmarks.scene_run import watch
from finewave.inference.tiling.resume import unfinished_folder
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import make_scene, with_georeference
from finewave.systems.registry import create_model
from finewave.zoo.card import describe
from finewave.zoo.model import Model

SIDE = int(os.environ.get("FINEWAVE_SCENE_SIDE", "192"))
PLACE = ("EPSG:32633", (10.0, 0.0, 300_000.0, 0.0, -10.0, 5_200_000.0))
# of a model for 4 bands, which has no trained weights
SMALL = {"ms_bands": 4, "hs_bands": 31, "stages": 1, "features": 32, "post": False}
NM = [480.0, 550.0, 620.0, 690.0]


class Run(NamedTuple):
    """What a run took: the time in all, and the sum of its processes' peaks."""

    output: Path
    seconds: float
    megabytes: float


def predict(source: Path, output: Path, model: str | Path, *options: str, kill_a_worker: bool = False) -> Run:
    """Run ``finewave predict`` in a process of its own."""
    said = ["--halo", "fast", "--dtype", "uint16", *options]
    if SIDE < 512:
        said += ["--tile", "64", "--precision", "float32"]
    command = [sys.executable, "-m", "finewave", "predict", source, "-o", output, "--model", model, *said]
    start = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    if kill_a_worker:
        done = unfinished_folder(output) / "done"
        while not done.is_dir() or len(list(done.glob("*.json"))) < 3:
            assert process.poll() is None
            time.sleep(0.1)
        os.kill(largest_child(process.pid), signal.SIGKILL)
    peak = watch(process)
    assert process.returncode == 0
    return Run(output, time.perf_counter() - start, peak / 1e6)


def largest_child(pid: int) -> int:
    """Return the process below another one that has the most memory: a worker, with its network."""
    import psutil

    return max(psutil.Process(pid).children(recursive=True), key=lambda child: child.memory_info().rss).pid


def write_small(folder: Path) -> tuple[Path, str | Path, int]:
    """Write a photograph as a scene; return it, its model and its bands."""
    import imageio.v3 as iio
    from skimage import data

    iio.imwrite(folder / "photograph.png", data.astronaut()[:SIDE, :SIDE])
    source = folder / "scene.tif"
    save_scene(with_georeference(open_scene(folder / "photograph.png"), *PLACE), source)
    return source, "jssunet-photo-x4", 3


def write_large(folder: Path) -> tuple[Path, str | Path, int]:
    """Write scenes of CAVE (else noise) side by side, in 4 bands; return it, its model and its bands."""
    random = np.random.default_rng(0)
    parts = real_parts(SIDE // 512) or [random.random((4, 512, 512), dtype=np.float32) for _ in range(16)]
    across = -(-SIDE // 512)
    rows = [np.concatenate([parts[(r * across + c) % len(parts)] for c in range(across)], 2) for r in range(across)]
    scene = make_scene(np.concatenate(rows, 1)[:, :SIDE, :SIDE], wavelengths=NM)
    save_scene(with_georeference(scene, *PLACE), folder / "scene.tif", dtype="uint16")
    net = create_model("jssunet", scale=4, **SMALL)
    card = describe(net, ms_wavelengths_nm=NM, wavelengths_nm=list(np.linspace(400, 700, 31)))
    return folder / "scene.tif", Model(net, card).save(folder / "model"), 4


def real_parts(across: int) -> list[np.ndarray]:
    """Return up to ``across`` squared scenes of CAVE as 4 bands of 512 x 512."""
    from finewave.datasets.catalogue.cave import find_scenes, read_scene
    from finewave.locations import data_folder

    if not (data_folder() / "cave").is_dir():
        return []
    found = sorted(find_scenes(data_folder() / "cave").items())[: across * across]
    return [read_scene(path)[[8, 15, 22, 29]].astype(np.float32) / 65535 for _, path in found]


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_three_ways_to_one_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, model, bands = write_small(tmp_path) if SIDE < 512 else write_large(tmp_path)
    runs = {
        "one process": predict(source, tmp_path / "one.tif", model),
        "two workers": predict(source, tmp_path / "two.tif", model, "--workers", "2"),
        "a worker killed": predict(source, tmp_path / "killed.tif", model, "--workers", "2", kill_a_worker=True),
    }
    with capsys.disabled():
        print(f"\n{SIDE} x {SIDE} x {bands}", end="")
        for name, run in runs.items():
            print(f"\n{name}: {run.seconds:.0f} s, {run.megabytes:.0f} MB", end="")
    files = [rasterio.open(run.output) for run in runs.values()]
    for file in files:
        assert file.bounds == (300_000, 5_200_000 - 10 * SIDE, 300_000 + 10 * SIDE, 5_200_000)
        assert file.res == (2.5, 2.5)
        assert file.crs.to_epsg() == 32633
        assert file.tags(ns="IMAGE_STRUCTURE")["INTERLEAVE"] == "BAND"  # beyond four bands
        assert file.overviews(1)
        assert (file.count, file.height, file.width) == (31, 4 * SIDE, 4 * SIDE)
    for row in range(0, 4 * SIDE, 512):
        window = rasterio.windows.Window(0, row, 4 * SIDE, min(512, 4 * SIDE - row))
        images = [file.read(window=window) for file in files]
        assert images[0].std() > 100
        np.testing.assert_array_equal(images[1], images[0])
        np.testing.assert_array_equal(images[2], images[0])
    assert not list(tmp_path.glob(".*"))
