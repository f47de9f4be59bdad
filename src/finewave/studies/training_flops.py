"""FLOPs of a training, counted on one crop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from finewave.errors import InputError
from finewave.training.configuration.recipes import network_options, phase_data

if TYPE_CHECKING:
    from finewave.systems.objective import Batch, Objective

WITHOUT_COST = frozenset(
    {
        *("steps", "minutes", "validate_every", "learning_rate", "schedule", "warmup", "floor", "milestones", "decay"),
        *("power", "clip", "ema", "betas", "weight_decay", "stage_weights", "cluster_balance", "output_start", "data"),
    }
)
"""Keys of a phase that hardly affect the time of a step."""

_COUNTED: dict[str, tuple[float, ...]] = {}
"""FLOPs of a step of each phase, by the facts of recipes whose steps cost the same."""


def flops_of_training(recipe: dict[str, Any]) -> float:
    """Return the FLOPs of all phases of a resolved recipe: forward and backward passes, steps times batch size.

    Raises
    ------
    InputError
        If the recipe trains with reference images.
    """
    phases = phases_of(recipe)
    # the size of the blur, too: some networks invert it
    key = json.dumps([facts_of_cost(recipe, phases), recipe["data"]["degradation"]], sort_keys=True)
    if key not in _COUNTED:
        _COUNTED[key] = flops_per_step(recipe, phases)
    return sum(phase["steps"] * flops for phase, flops in zip(phases, _COUNTED[key], strict=True))


def flops_per_step(recipe: dict[str, Any], phases: Sequence[dict[str, Any]]) -> tuple[float, ...]:
    """Return the FLOPs of a training step of each phase, see `finewave.zoo.flops.flops_of`.

    Counted on one random crop and multiplied by the batch size: operations depend on shapes only, but some networks
    look at values on their way, for which tensors without values do not suffice. What checkpoints compute again does
    not count.
    """
    import torch

    from finewave.systems.registry import create_model
    from finewave.training.phase import objective_of
    from finewave.zoo.flops import flops_of

    system, options = network_options(recipe)
    counts = []
    with torch.random.fork_rng():
        net = create_model(system, **options).train()
        for phase in phases:
            data = phase_data(recipe, phase)
            batch = random_batch(recipe, data["crop"], 1)
            batch["response"] = torch.rand(recipe["model"].get("ms_bands", 3), recipe["model"]["hs_bands"])
            counts.append(flops_of(partial(_step, objective_of(net, phase), net, batch))["all"] * data["batch_size"])
            net.requires_grad_(True)  # as after a phase of a training: an objective may have fixed parts
    return tuple(counts)


def _step(objective: Objective, net: Any, batch: Batch) -> None:
    objective.loss(net, batch, 0.5).total.backward()


def facts_of_cost(recipe: dict[str, Any], phases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the cost of a step depends on: equal for trainings that differ in length and rates only."""
    parts = []
    for phase in phases:
        data = phase_data(recipe, phase)
        counted = {key: value for key, value in phase.items() if key not in WITHOUT_COST}
        parts.append({**counted, "crop": data["crop"], "batch_size": data["batch_size"]})
    return {"model": recipe["model"], "phases": parts}


def phases_of(recipe: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the phases that a recipe will run."""
    phases = [phase for key, phase in recipe.items() if key.startswith("phase")]
    without = recipe["model"].get("post") is False
    return [phase for phase in phases if not (without and phase["kind"] == "post")]


def random_batch(recipe: dict[str, Any], side: int, crops: int) -> dict[str, Any]:
    """Return images of the sizes that the recipe trains on."""
    import torch

    scale = recipe["model"]["scale"]
    if "reference" in recipe["data"]:
        raise InputError("the cost of a training with references is not estimated")
    sizes = {"hr": side, "lr": side // scale}
    bands = {"hsi": recipe["model"]["hs_bands"], "msi": recipe["model"].get("ms_bands", 3)}
    return {
        f"{resolution}_{kind}": torch.rand(crops, channels, size, size).contiguous(memory_format=torch.channels_last)
        for resolution, size in sizes.items()
        for kind, channels in bands.items()
    }
