"""How large a network `finewave fit` trains in a given time: the cost of a step is measured first."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from finewave.errors import InputError
from finewave.systems.base import SRNetwork
from finewave.systems.registry import create_model
from finewave.training.configuration.recipes import load_recipe, network_options

FEWEST = 300
"""Steps below which a training is not worth its time: a closed form is then better."""
SHARE = 0.75
"""Part of the time that is left for steps; the rest validates, and prepares."""
SIZE = "size.json"
"""In the folder of the training: the choice, so that a resumed fit makes the same."""

StepCost = Callable[[dict[str, Any]], float]


def size_for(
    minutes: float,
    recipe: str,
    overrides: Sequence[str],
    given: Sequence[str],
    folder: Path,
    cost: StepCost | None = None,
) -> list[str] | None:
    """Return overrides that make the network of a recipe small enough for a time; None if even the smallest is not.

    Parameters
    ----------
    minutes : float
        Of the training.
    recipe, overrides
        See `load_recipe`. A network that starts from trained weights keeps its width.
    given : sequence of str
        Overrides of the user, which stay as they are.
    folder : Path
        Of the training; the choice is kept there, and returned again.
    cost : callable, optional
        Seconds of a step by recipe; measured by default.
    """
    kept = folder / SIZE
    if kept.exists():
        choice: list[str] | None = json.loads(kept.read_text(encoding="utf-8"))
        return choice
    cost = cost or seconds_of_a_step
    fixed = {override.partition("=")[0] for override in given}
    if load_recipe(recipe, [*overrides, *given]).get("init_from") is not None:
        fixed.add("model.features")  # the weights that it starts from have a width
    chosen: list[str] | None = None
    for smaller in _ladder(load_recipe(recipe, [*overrides, *given]), fixed):
        if cost(load_recipe(recipe, [*overrides, *smaller, *given])) * FEWEST <= 60 * SHARE * minutes:
            chosen = smaller
            break
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(chosen), encoding="utf-8")
    return chosen


def _ladder(config: Mapping[str, Any], fixed: set[str]) -> list[list[str]]:
    """Return what makes a step ever cheaper: one crop at a time, then narrower networks."""
    steps: list[list[str]] = [[]]
    one = [] if "data.batch_size" in fixed else ["data.batch_size=1"]
    if one:
        steps.append(one)
    features = config["model"].get("features")
    if features and "model.features" not in fixed:
        steps += [[*one, f"model.features={features // part}"] for part in (2, 4) if features // part >= 8]
    return steps


def seconds_of_a_step(config: dict[str, Any]) -> float:
    """Return how long a training step of a recipe takes on this machine: the second of two, on random images."""
    system, options = network_options(config)
    net = create_model(system, **options)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = net.to(device).train()
    images = _random_images(net, config["data"]["batch_size"], config["data"]["crop"], device)
    spent = 0.0
    for _ in range(2):
        started = time.perf_counter()
        output, terms = net.training_loss(images, 0.5)
        loss = sum(terms.values(), torch.zeros((), device=device))
        if output is not None:
            loss = loss + (output - images[net.output]).abs().mean()
        loss.backward()
        if device == "cuda":
            torch.cuda.synchronize()
        spent = time.perf_counter() - started
    return spent


def _random_images(net: SRNetwork, batch: int, crop: int, device: str) -> dict[str, Tensor]:
    """Return images by the names of a training batch, and a response."""
    s, random = net.scale, torch.Generator().manual_seed(0)
    if crop < s:
        raise InputError(f"data.crop={crop} is smaller than the scale {s}")
    ms, hs = net.ms_bands or 1, net.hs_bands or 1
    images = {}
    for name in ("hr_hsi", "lr_hsi", "hr_msi", "lr_msi"):
        side = crop if name.startswith("hr") else crop // s
        images[name] = torch.rand(batch, ms if name.endswith("msi") else hs, side, side, generator=random).to(device)
    images["response"] = torch.full((ms, hs), 1.0 / hs, device=device)
    return images
