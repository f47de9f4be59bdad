"""A system beside its authors' public code, with the same weights: processor time and difference.

``python -m benchmarks.public_code CHECKOUT MODULE:CLASS SYSTEM --public '{...}' --ours '{...}' [--size 64]``

CHECKOUT is your copy of the public code: none of it is part of this repository. ``--public`` are arguments of its
class, ``--ours`` those of `finewave.from_reference` by the names of the public code, both JSON. The public network gets
its own random weights, ours the same by its state dict, and both the same random images, in the order of the task's
inputs; with ``--enlarged`` also the first one, interpolated (SSPSR's takes it). Public networks that return several
images: ``--output`` says which (the last one by default).

``python -m benchmarks.public_code --plain [NAME ...]`` measures, in the place of the public code, the plain
formulations that the tests keep: finewave's own, of the published arithmetic. NAME is trained weights or a system.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.plain import plain_network
from finewave.errors import InputError
from finewave.nn.sampling import bicubic
from finewave.systems.reference import from_reference
from finewave.systems.registry import SYSTEMS, create_model
from finewave.zoo.exports.export import random_inputs
from finewave.zoo.model import Model, load_model

RUNS = 3


def public_network(checkout: Path, place: str, options: dict[str, Any]) -> nn.Module:
    """Return the network of a class ``"module:Class"`` of a folder with public code."""
    module, _, name = place.partition(":")
    if not checkout.is_dir() or not name:
        raise InputError(f"{checkout} {place}: a folder with the public code and module:Class in it are needed")
    sys.path.insert(0, str(checkout))
    try:
        net = getattr(importlib.import_module(module), name)(**options)
    finally:
        sys.path.remove(str(checkout))
    assert isinstance(net, nn.Module)
    return net.eval()


def least_seconds(run: Callable[[], Any]) -> float:
    """Return the least processor time of `RUNS` runs, after one that is not counted."""
    run()
    seconds = []
    for _ in range(RUNS):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def compare(
    public: nn.Module, system: str, options: dict[str, Any], size: int, output: int = -1, enlarged: bool = False
) -> dict[str, float]:
    """Return processor seconds of ``"public"`` and ``"ours"``, and their largest ``"difference"``.

    Parameters
    ----------
    public : nn.Module
        In evaluation mode; takes the task's images in order.
    system, options : str and dict
        See `from_reference`.
    size : int
        Side of the first input in pixels.
    output : int
        Which of the public network's images, if it returns several.
    enlarged : bool
        Whether the public network also takes the first image by bicubic interpolation.
    """
    net = from_reference(system, public.state_dict(), **options)
    model = Model(net, precision="float32")  # type: ignore[arg-type]  # checks it
    images = random_inputs(model, size, size)

    given = list(images.values())
    if enlarged:
        given.append(bicubic(given[0], (size * model.upscaling, size * model.upscaling)))

    def theirs() -> Tensor:
        made = public(*given)
        return torch.as_tensor(made[output] if isinstance(made, list | tuple) else made)

    with torch.no_grad():
        difference = float((theirs() - model.run(images)).abs().max())
        seconds = {"public": least_seconds(theirs), "ours": least_seconds(lambda: model.run(images))}
    return {**seconds, "difference": difference}


def compare_plain(name: str, size: int = 0) -> dict[str, float]:
    """Return processor seconds of a ``"plain"`` formulation, of ``"ours"``, of ``"default"``, and ``"difference"``.

    ``"ours"`` is in float32 as the plain one is, ``"default"`` as `finewave predict` computes on this machine. ``size``
    is that of the first input; without, of 128 x 128 pixels of output.
    """
    model = Model(create_model(name).eval()) if name in SYSTEMS else load_model(name)
    single, plain = model.with_precision("float32"), plain_network(model.net).eval()
    side = size or 128 // model.upscaling
    images = random_inputs(model, side, side)
    with torch.no_grad():
        difference = float((plain(**images) - single.run(images)).abs().max())
        seconds = {"plain": least_seconds(lambda: plain(**images))}
    seconds |= {"ours": least_seconds(lambda: single.run(images)), "default": least_seconds(lambda: model.run(images))}
    return {**seconds, "difference": difference, "side": side}


PLAIN = ("jssunet-cave-x4", "mstpp-cave", "sspsr-cave-x4", "us3rn")
"""Of each of the four systems with public code the weights that ship; US3RN has none, and is untrained."""


def _print_plain(names: Sequence[str], size: int) -> None:
    for name in names:
        found = compare_plain(name, size)
        ours, default = (f"{found[key]:.3f} s ({found['plain'] / found[key]:.2f}x)" for key in ("ours", "default"))
        print(
            f"{name}, {found['side']} x {found['side']} pixels, one thread: plain {found['plain']:.3f} s, "
            f"ours in float32 {ours}, by default {default}; largest difference in float32 {found['difference']:.1e}",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CHECKOUT MODULE:CLASS SYSTEM, or NAME")
    parser.add_argument("--plain", action="store_true", dest="is_plain")
    parser.add_argument("--public", type=json.loads, default={})
    parser.add_argument("--ours", type=json.loads, default={})
    parser.add_argument("--size", type=int, default=0, help="side of the first input; 64 beside public code")
    parser.add_argument("--output", type=int, default=-1)
    parser.add_argument("--enlarged", action="store_true")
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    if given.is_plain:
        return _print_plain(given.names or PLAIN, given.size)
    if len(given.names) != 3:
        parser.error("a folder with public code, module:Class in it, and the system are needed")
    checkout, place, system = given.names
    public = public_network(Path(checkout), place, given.public)
    size = given.size or 64
    found = compare(public, system, given.ours, size, given.output, given.enlarged)
    times = f"public code {found['public']:.3f} s, ours {found['ours']:.3f} s of processor time"
    print(
        f"{system}, {size} x {size} pixels, float32, one thread: {times}, "
        f"{found['public'] / found['ours']:.2f} times as fast; largest difference {found['difference']:.1e}"
    )
    return None


if __name__ == "__main__":
    main()
