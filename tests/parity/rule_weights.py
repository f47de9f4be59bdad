"""Weights that a rule makes, of the cases that store none."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def rule_weights(keys: Sequence[tuple[str, Sequence[int]]], gain: float = 1.0) -> dict[str, Tensor]:
    """Return the tensors of ``config["keys"]``, a list of [key, shape] in sorted order.

    With j the number of a tensor from 1 and i that of a value from 0, t = 43758.5453 sin(12.9898 i + 78.233 j) and
    u = t - floor(t), in float64; u is then mapped according to what the tensor is.
    """
    names = {key for key, _ in keys}
    tensors = {}
    for j, (key, shape) in enumerate(keys, 1):
        t = 43758.5453 * np.sin(12.9898 * np.arange(math.prod(shape)) + 78.233 * j)
        u = t - np.floor(t)
        prefix, _, kind = key.rpartition(".")
        if key.endswith(("running_var", "weight_g")):
            values = 0.75 + 0.5 * u
        elif len(shape) >= 2:
            values = gain * (2 * u - 1) * math.sqrt(3 / math.prod(shape[1:]))
        elif kind == "weight" and f"{prefix}.running_var" in names:
            values = 1 + 0.2 * (2 * u - 1)
        else:
            values = 0.2 * (2 * u - 1)
        tensors[key] = torch.from_numpy(values.reshape(shape)).float()
    return tensors
