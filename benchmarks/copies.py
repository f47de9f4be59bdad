"""Copies of images in a tile's way: ``python -m benchmarks.copies [MODEL ...]``, counted, not timed.

One tile inside a scene goes from its arrays to the values to be stored, as in `finewave.inference.tiling.tile_run`.
Every operator that makes new memory of at least half of the tile's output is counted, by name and by whether it belongs
to the network's own arithmetic; so is what NumPy allocates. Memory of 1.0 is as much as the output in float32.
"""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Mapping
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.command_line import names_and_flags
from finewave.inference.tiling.plan import plan_tiles
from finewave.inference.tiling.tile_run import read_window, run_tile
from finewave.inference.tiling.tiles import enlarged
from finewave.zoo.model import Model, load_model

MODELS = ("jssunet-cave-x4", "sspsr-cave-x4", "mstpp-cave", "residual-fusion-cave-x4")


class NewMemory(TorchDispatchMode):
    """Counts bytes of new memory by operator, in the network and around it; views are none."""

    def __init__(self, least: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # PyTorch's
        self.least, self.inside = least, False
        self.made: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        result = function(*arguments, **(options or {}))
        before = {each.untyped_storage().data_ptr() for each in arguments if isinstance(each, torch.Tensor)}
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, torch.Tensor) and each.untyped_storage().data_ptr() not in before:
                size = each.untyped_storage().nbytes()
                if size >= self.least:
                    self.made[self.inside][function.overloadpacket.__name__] += size
        return result


def measure(model: Model) -> tuple[NewMemory, int, int]:
    """Return what is made for a tile, the bytes of its output, and the peak of what NumPy allocates."""
    side = 3 * 512 // model.upscaling
    tiling = plan_tiles(model, side, side)
    tile = tiling[len(tiling) // 2]
    random = np.random.default_rng(0)
    images = {}
    for name in model.inputs:
        window = enlarged(
            read_window(tile, tiling), model.scale if name == "hr_msi" and "lr_hsi" in model.inputs else 1
        )
        size = [each.stop - each.start for each in window]
        images[name] = random.random((model.bands_of(name) or 1, *size), dtype=np.float32)
    height, width = (each.stop - each.start for each in enlarged(tile.core, model.upscaling))
    output = 4 * (model.bands_of(model.output) or 1) * height * width
    counted = NewMemory(output // 2)
    run = Model.run

    def noted(self: Model, inputs: Mapping[str, torch.Tensor], margins: Any = ()) -> torch.Tensor:
        counted.inside = True
        try:
            return run(self, inputs, margins)
        finally:
            counted.inside = False

    tracemalloc.start()
    with mock.patch.object(Model, "run", noted), counted:
        run_tile(model, images, tile, tiling)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return counted, output, peak


def main(names: list[str]) -> None:
    """Print a line for each model and place."""
    torch.set_num_threads(1)
    for name in names or MODELS:
        counted, output, peak = measure(load_model(name).with_pooling("local"))
        for inside, where in ((True, "network"), (False, "around it")):
            made = counted.made[inside].most_common()
            parts = ", ".join(f"{operator} {size / output:.1f}" for operator, size in made) or "nothing"
            print(f"{name}, {where}: {sum(size for _, size in made) / output:.1f} outputs: {parts}", flush=True)
        print(f"{name}, NumPy: at most {peak / output:.1f} outputs at a time", flush=True)


if __name__ == "__main__":
    main(names_and_flags(__doc__, names="MODEL"))
