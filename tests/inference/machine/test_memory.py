"""Memory does not grow with the scene."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from finewave.io.open_save import open_scene, save_scene
from finewave.scene import make_scene
from finewave.systems.registry import create_model
from finewave.zoo.card import describe
from finewave.zoo.distribution.bundled_weights import weight_folders
from finewave.zoo.model import Model, load_model

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is read from /proc")

BANDS, SCALE, WIDTH = 8, 4, 512
MEGABYTE = 2**20
# what is loaded at first use, a few tiles in float32, the caches of GDAL and the allocator
BOUND = 400 * MEGABYTE
# large blocks go back to the system when they are freed: what is measured is what is in use
ALLOCATOR = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": str(MEGABYTE)}
# not `resource.getrusage`: there a new process begins with the peak of the one that started it
MEASURED = """
import sys
import finewave.inference.predict as files, rasterio, torch, dask.array, xarray, zarr, rioxarray, h5netcdf

def kilobytes(of):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(of))

before = kilobytes("VmRSS:")
files.predict_file(*sys.argv[1:4], dtype="uint16")
print((kilobytes("VmHWM:") - before) * 1024)
"""


def peak_of(source: Path, output: Path, model: Path) -> int:
    """Return by how many bytes a process grows that predicts."""
    command = [sys.executable, "-c", MEASURED, str(source), str(output), str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | ALLOCATOR)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    net = create_model("bicubic", scale=SCALE, hs_bands=BANDS)
    return Model(net, describe(net, wavelengths_nm=list(np.linspace(450, 800, BANDS)))).save(tmp_path / "model")


def write_source(path: Path, height: int) -> Path:
    values = np.linspace(0, 1, BANDS * height * WIDTH, dtype=np.float32).reshape(BANDS, height, WIDTH)
    save_scene(make_scene(values, wavelengths=np.linspace(450, 800, BANDS)), path, dtype="uint16")
    return path


@pytest.mark.slow
def test_peak_is_bounded(model: Path, tmp_path: Path) -> None:
    height = 2432
    source, output = write_source(tmp_path / "scene.tif", height), tmp_path / "out.zarr"
    assert BANDS * height * WIDTH * SCALE**2 * 4 > 1.5 * BOUND  # the result in memory would not fit
    assert peak_of(source, output, model) < BOUND
    assert open_scene(output).shape == (BANDS, height * SCALE, WIDTH * SCALE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suffix", [".tif", ".nc", ".img", ".zarr"])
def test_peak_does_not_grow_with_the_scene(suffix: str, model: Path, tmp_path: Path) -> None:
    heights, peaks = (2048, 8192), []
    for height in heights:
        source = write_source(tmp_path / f"{height}.tif", height)
        peaks.append(peak_of(source, tmp_path / f"{height}-out{suffix}", model))
    more = (heights[1] - heights[0]) * WIDTH * SCALE**2 * BANDS * 2  # bytes of output, 0.8 GB
    assert peaks[1] - peaks[0] < more / 3  # readers, writers and GDAL keep some pages, more when they have to wait


MOST = 1.8e9
"""Bytes of a process that predicts with a model that ships, everything that is loaded included.

0.5 to 1.47 GB on two kinds of processor; the gaps between freed blocks differ in each run.
"""
WHOLE = """
import sys
from finewave.process.allocator import keep_freed_memory
from finewave.inference.predict import predict_file

keep_freed_memory()  # as the command does
source, output, model, guide, precision = sys.argv[1:]
predict_file(source, output, model, guide=guide or None, precision=precision)
with open("/proc/self/status") as lines:
    print(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")))
"""


def white_noise(bands: int, side: int, generator: np.random.Generator) -> np.ndarray:
    return generator.random((bands, side, side), dtype=np.float32)


def waves(bands: int, side: int, generator: np.random.Generator) -> np.ndarray:
    """Return an image without noise: six long waves, the same for every side, with random weights in each band."""
    y, x = np.meshgrid(*[(np.arange(side) + 0.5) / side] * 2, indexing="ij")
    six = np.stack([np.cos(2 * np.pi * (i * y + j * x)) for i, j in ((1, 0), (0, 1), (2, 1), (1, 3), (4, 2), (3, 5))])
    return (0.5 + np.tensordot(generator.uniform(-0.08, 0.08, (bands, 6)), six, 1)).astype(np.float32)


FUSION = ("residual-fusion-cave-x4", "residual-fusion-cave-x8")
"""Of which images with noise take more: it is estimated, from farther around a tile."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "precision", "noisy"),
    [
        *((name, "auto", name not in FUSION) for name in sorted(weight_folders())),
        *((name, "auto", True) for name in FUSION),
        ("jssunet-cave-x4", "float32", True),
    ],
)
def test_peak_with_the_models_that_ship(name: str, precision: str, noisy: bool, tmp_path: Path) -> None:
    """With nine tiles or more, one of which no border cuts; at once what is never in tiles, of its training size."""
    model = load_model(name)
    tiles = 3 if name in FUSION and noisy else 2
    side = 128 if "ref_rgb" in model.inputs else tiles * 512 // model.upscaling + 16
    generator = np.random.default_rng(0)
    first, source, guide = model.inputs[0], tmp_path / "scene.tif", ""
    wavelengths = model.card.wavelengths_nm if first.endswith("hsi") else model.card.ms_wavelengths_nm
    made = white_noise if noisy else waves
    save_scene(make_scene(made(model.bands_of(first) or 4, side, generator), wavelengths=wavelengths), source)
    for second in model.inputs[1:]:
        values = made(model.bands_of(second), side * model.scale, generator)
        guide = str(tmp_path / "guide.tif")
        of_guide = [600.0, 550.0, 450.0] if second == "ref_rgb" else model.card.ms_wavelengths_nm
        save_scene(make_scene(values, wavelengths=of_guide), guide)
    command = [sys.executable, "-c", WHOLE, str(source), str(tmp_path / "out.tif"), name, guide, precision]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MOST
