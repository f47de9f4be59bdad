"""A Sentinel-2 tile, beside others' published times: ``python -m benchmarks.sentinel2_tile [MODEL:METRES:BANDS ...]``.

Ours are extrapolated: processor seconds of one tile of `predict` inside a scene, halo included, least of `RUNS`, on one
thread, times the tiles of 109.8 x 109.8 km of pixels of METRES (10 if not given). BANDS are those of a network that
takes any number of them. Reading and writing files is not in it. Others' are as published, of whole products with their
files, on other machines: orders of magnitude, as they say.
"""

from __future__ import annotations

import math
import time
import warnings

import numpy as np
import torch

from benchmarks.command_line import names_and_flags
from finewave.inference.tiling.plan import plan_tiles
from finewave.inference.tiling.tile_run import read_window, run_tile
from finewave.warnings import FinewaveWarning
from finewave.zoo.model import load_model

SIDE_KM = 109.8
RUNS = 2
MODELS = (
    "bandwise-sr-any-x2:10:10",
    "sentinel2-10m-enmap:10",
    "sentinel2-enmap:20",
    "sspsr-cave-x4:10",
    "jssunet-cave-x4:10",
)
PUBLISHED = (
    "Evoland's sentinel2_superresolution, ten bands at 10 and 20 m to 5 m, level 2A: 5 h on 1 core, 50 min on 8 cores, "
    "5 min on an A100 (README.org of Evoland-Land-Monitoring-Evolution/sentinel2_superresolution at 0155e14, "
    "'Inference time for full products')"
)


def whole_tile_seconds(seconds: float, side: int, metres: float) -> float:
    """Return processor seconds for a Sentinel-2 tile, given those for ``side`` x ``side`` pixels of ``metres``."""
    return seconds * math.ceil(SIDE_KM * 1000 / metres / side) ** 2


def measure(name: str, any_bands: int = 1) -> tuple[float, int, str]:
    """Return processor seconds of one tile, its side in pixels of the scene, and what it makes, in words."""
    model = load_model(name).with_pooling("local")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FinewaveWarning)  # of networks that look at the whole image
        tiling = plan_tiles(model, 4096, 4096)
    rows, columns = tiling.grid
    tile = tiling[rows // 2 * columns + columns // 2]
    (first,) = model.inputs
    size = [each.stop - each.start for each in read_window(tile, tiling)]
    bands = model.bands_of(first) or any_bands
    values = np.random.default_rng(0).random((bands, *size), dtype=np.float32)
    seconds = []
    for _ in range(RUNS):
        start = time.process_time()
        run_tile(model, {first: values}, tile, tiling)
        seconds.append(time.process_time() - start)
    makes = f"{bands} bands to {model.bands_of(model.output) or bands}, x{model.upscaling}, {model.arithmetic}"
    return min(seconds), tiling.side, makes


def main(names: list[str]) -> None:
    """Print ours and others'."""
    torch.set_num_threads(1)
    for each in names or MODELS:
        name, metres, bands = (*each.split(":"), "", "")[:3]
        seconds, side, makes = measure(name, int(bands or 1))
        hours = whole_tile_seconds(seconds, side, float(metres or 10)) / 3600
        print(
            f"{name} ({makes}), pixels of {metres or 10} m: {hours:.2f} h on 1 core, extrapolated from {seconds:.2f} s "
            f"for {side} x {side} pixels",
            flush=True,
        )
    print(PUBLISHED)


if __name__ == "__main__":
    main(names_and_flags(__doc__, names="MODEL[:METRES[:BANDS]]"))
