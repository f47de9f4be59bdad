"""Lightning's name of the arithmetic that a machine trains fastest with."""

from __future__ import annotations

import torch

from finewave.zoo.precision import bfloat16_gains


def training_precision(device: torch.device | str = "cpu") -> str:
    """Return ``"bf16-mixed"`` if it is faster on the device, otherwise ``"32-true"``."""
    return "bf16-mixed" if bfloat16_gains(torch.device(device).type) else "32-true"
