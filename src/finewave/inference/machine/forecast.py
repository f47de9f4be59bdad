"""Forecast of size and time before a long run."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from finewave.inference.machine.disk_space import in_bytes
from finewave.inference.options import PredictOptions
from finewave.inference.processing import Processing
from finewave.inference.tiling.tiles import Tiling

if TYPE_CHECKING:
    from finewave.inference.request import PredictionRequest
    from finewave.zoo.runnable import RunnableModel

LONG_PIXELS = 4_000_000
"""Output pixels from which on a run is long."""
_PROBE = 48
"""Side in pixels of the timed part of the first input."""
_ORIENTATIONS = 8


def forecast(
    model: RunnableModel,
    request: PredictionRequest,
    tiling: Tiling,
    processing: Processing,
    dtype: np.dtype[np.generic],
    missing: int,
    options: PredictOptions,
) -> list[str]:
    """Return a line on the size of an output and the time for the tiles that are missing; nothing for a short run.

    The network is timed on a small part of its work, and that time multiplied by the pixels it will see. Writing, and
    attention over the whole of a tile, are not in it.
    """
    s = model.upscaling
    rows, columns, bands = tiling.height * s, tiling.width * s, request.output_bands
    if rows * columns < LONG_PIXELS or bands is None:
        return []
    size = f"{rows} x {columns} pixels of {bands} bands, {in_bytes(rows * columns * bands * dtype.itemsize)}"
    side = max(model.size_multiple, _PROBE // model.size_multiple * model.size_multiple)
    seconds = _seconds(model, request, min(side, tiling.height, tiling.width))
    seen = tiling.height * tiling.width * (1 + tiling.overhead) * missing / len(tiling)
    turns = _ORIENTATIONS if processing.ensemble else 1
    whole = seconds * seen * turns / (options.workers or 1)
    return [f"the output has {size} before packing; {missing} tiles take about {_in_words(whole)}"]


def _seconds(model: RunnableModel, request: PredictionRequest, side: int) -> float:
    """Return how long the network takes for one pixel of the first input, by the faster one of two runs."""
    generator = np.random.default_rng(0)
    images = {}
    for name in model.inputs:
        ratio = 1 if name == "ref_rgb" else request.ratio(name)
        shape = (len(request.bands[name].indices), side * ratio, side * ratio)
        images[name] = generator.random(shape, np.float32)
    fastest = math.inf
    for _ in range(2):
        start = time.perf_counter()
        model.run_arrays(images)
        fastest = min(fastest, time.perf_counter() - start)
    return fastest / side**2


def _in_words(seconds: float) -> str:
    """Return a time to the minute."""
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
