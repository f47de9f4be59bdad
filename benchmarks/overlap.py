"""Share of a run in which the network computes: ``python -m benchmarks.overlap [MODEL] [--tiles N]``.

A made scene of N x N tiles goes through `finewave.inference.predict.predict_file`, and the start and end of all that
reads, runs and stores tiles is noted. Printed are the share of the time from the first tile's start to the last one's
end in which the network computes, and the shares of reading and storing, how much of them meanwhile. The shares are of
elapsed time, so they depend on what else the machine does; that the parts overlap is tested without a clock, in
``tests/inference/test_overlap.py``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.scene_run import shipped, write_scene
from finewave.inference.machine import engine
from finewave.inference.predict import predict_file
from finewave.inference.tiling.resume import ResumeStore
from finewave.inference.tiling.tile_run import read_tile
from finewave.zoo.model import Model, load_model

Span = tuple[float, float]


def noted(function: Callable[..., Any], spans: list[Span]) -> Callable[..., Any]:
    """Return the function, which appends when it began and ended to ``spans``."""

    def run(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spans.append((start, time.perf_counter()))

    return run


def covered(spans: Sequence[Span]) -> list[Span]:
    """Return the spans without overlaps, in order."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def common(first: Sequence[Span], second: Sequence[Span]) -> float:
    """Return for how long a span of both runs at once."""
    pairs = ((max(a, c), min(b, d)) for a, b in covered(first) for c, d in covered(second))
    return sum(max(0.0, end - start) for start, end in pairs)


def timeline(model: str, tiles: int, folder: Path) -> dict[str, list[Span]]:
    """Return when each of ``"network"``, ``"read"`` and ``"store"`` ran in a prediction of ``tiles`` x ``tiles``."""
    loaded = load_model(model)
    side = tiles * 512 // loaded.upscaling
    source = folder / "scene.tif"
    assert loaded.card is not None
    write_scene(source, (side, side), shipped(model)[2] or loaded.card.wavelengths_nm or [])
    spans: dict[str, list[Span]] = {"network": [], "read": [], "store": []}
    with (
        mock.patch.object(Model, "run", noted(Model.run, spans["network"])),
        mock.patch.object(engine, "read_tile", noted(read_tile, spans["read"])),
        mock.patch.object(ResumeStore, "write", noted(ResumeStore.write, spans["store"])),
    ):
        predict_file(source, folder / "result.tif", model)
    return spans


def main(arguments: list[str] | None = None) -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="jssunet-cave-x4")
    parser.add_argument("--tiles", type=int, default=3)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="finewave-overlap-") as folder:
        spans = timeline(given.model, given.tiles, Path(folder))
    every = [span for of in spans.values() for span in of]
    whole = max(end for _, end in every) - min(start for start, _ in every)
    for name, of in spans.items():
        busy = sum(end - start for start, end in covered(of))
        meanwhile = f", {common(of, spans['network']) / busy:.0%} of it beside the network" if name != "network" else ""
        print(f"{name}: {busy / whole:.1%} of {whole:.1f} s, {len(of)} times{meanwhile}")


if __name__ == "__main__":
    main()
