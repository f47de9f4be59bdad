"""A photograph as a georeferenced scene through the command line: one process, two workers, one of them killed."""

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

from finewave.imaging.files import open_scene, save_scene
from finewave.imaging.scene import with_georeference
from finewave.inference.unfinished import unfinished_folder

MODEL, SIDE = "jssunet-photo-x4", 192
PLACE = ("EPSG:32633", (10.0, 0.0, 300_000.0, 0.0, -10.0, 5_200_000.0))


class Run(NamedTuple):
    """What a run took: the main process's peak, and the time in all."""

    output: Path
    seconds: float
    megabytes: float


def predict(source: Path, output: Path, *options: str, kill_a_worker: bool = False) -> Run:
    """Run ``finewave predict`` in a process of its own."""
    said = ["--tile", "64", "--halo", "fast", "--precision", "float32", "--dtype", "uint16", *options]
    command = [sys.executable, "-m", "finewave", "predict", str(source), "-o", str(output), "--model", MODEL, *said]
    start = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    if kill_a_worker:
        done = unfinished_folder(output) / "done"
        while not done.is_dir() or len(list(done.glob("*.json"))) < 3:
            assert process.poll() is None
            time.sleep(0.1)
        os.kill(largest_child(process.pid), signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return Run(output, time.perf_counter() - start, usage.ru_maxrss / 1024)


def largest_child(pid: int) -> int:
    """Return the process below another one that has the most memory: a worker, with its network."""
    import psutil

    return max(psutil.Process(pid).children(recursive=True), key=lambda child: child.memory_info().rss).pid


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_three_ways_to_one_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from skimage import data

    photograph = tmp_path / "photograph.png"
    import imageio.v3 as iio

    iio.imwrite(photograph, data.astronaut()[:SIDE, :SIDE])
    source = tmp_path / "scene.tif"
    save_scene(with_georeference(open_scene(photograph), *PLACE), source)
    runs = {
        "one process": predict(source, tmp_path / "one.tif"),
        "two workers": predict(source, tmp_path / "two.tif", "--workers", "2"),
        "a worker killed": predict(source, tmp_path / "killed.tif", "--workers", "2", kill_a_worker=True),
    }
    with capsys.disabled():
        for name, run in runs.items():
            print(f"\n{name}: {run.seconds:.0f} s, {run.megabytes:.0f} MB in the main process", end="")
    images = []
    for run in runs.values():
        with rasterio.open(run.output) as file:
            images.append(file.read())
            assert file.bounds == (300_000, 5_200_000 - 10 * SIDE, 300_000 + 10 * SIDE, 5_200_000)
            assert file.res == (2.5, 2.5)
            assert file.crs.to_epsg() == 32633
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert images[0].shape == (31, 4 * SIDE, 4 * SIDE)
    assert images[0].std() > 100
    np.testing.assert_array_equal(images[1], images[0])
    np.testing.assert_array_equal(images[2], images[0])
    assert not list(tmp_path.glob(".*"))
