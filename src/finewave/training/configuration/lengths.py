"""Conversion of a recipe's phase lengths from epochs to steps."""

from __future__ import annotations

import copy
from typing import Any

from finewave.datasets.patches import grid_places
from finewave.datasets.registry import open_dataset
from finewave.training.configuration.recipes import phase_data


def with_lengths(config: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe with all phase lengths in steps, converted from ``epochs``.

    In an epoch, every non-overlapping crop of the training scenes is seen once. With 128 x 128
    pixels and batches of 16, a thousand of them are 20,000 steps on CAVE, 2,000 on Pavia Centre by the split of
    arXiv 2505.24605.

    Raises
    ------
    InputError
        If the data set is not available.
    """
    in_epochs = [key for key, phase in config.items() if key.startswith("phase") and phase.get("epochs") is not None]
    if not in_epochs:
        return config
    store = open_dataset(config["data"]["dataset"], config["data"]["store"])
    scale = config["model"].get("scale") or 1
    sizes = [store.size(name) for name in store.attributes["split"]["train"]]
    changed = copy.deepcopy(config)
    for key in in_epochs:
        data, phase = phase_data(config, config[key]), changed[key]
        crops = len(grid_places(([n - n % scale for n in size] for size in sizes), data["crop"]))
        phase["steps"] = max(1, round(phase.pop("epochs") * crops / data["batch_size"]))
    return changed
