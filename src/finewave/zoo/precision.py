"""Choice of the precision by machine and network."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from finewave.errors import unknown_name
from finewave.process.instructions import bfloat16_instructions
from finewave.systems.base import SRNetwork

PRECISIONS = ("auto", "float32", "bfloat16")
"""Precisions of prediction, see `uses_bfloat16`."""

MOST_LOST = {"psnr": 0.01, "ssim": 0.0005, "sam": 0.05}
"""In dB, 1 and degrees: what bfloat16 may change of the mean over images for ``"auto"`` to take it."""


def check_precision(name: str) -> str:
    """Return ``name``; an `InputError` if there is no such precision."""
    if name not in PRECISIONS:
        raise unknown_name("precision", name, PRECISIONS)
    return name


def uses_bfloat16(
    precision: str, net: SRNetwork, device: torch.device, losses: Mapping[str, float] | None = None
) -> bool:
    """Whether a network runs in bfloat16 autocast.

    ``"auto"`` is bfloat16 if it loses at most `MOST_LOST` and the machine is faster with it. The card has the measured
    loss; without it the network's class declares it (``mixed_precision = True``: under autocast it sums its output in
    float32). A network whose weights are not float32 runs in their dtype.

    Parameters
    ----------
    precision : str
        One of `PRECISIONS`.
    net : SRNetwork
    device : torch.device
        Of the network.
    losses : mapping of str to float, optional
        `Card.bfloat16`: what the mean metrics change by, by the names of `MOST_LOST`.
    """
    if precision == "float32" or any(p.dtype != torch.float32 for p in net.parameters()):
        return False
    if precision == "bfloat16":
        return True
    return (net.mixed_precision if losses is None else keeps_its_digits(losses)) and bfloat16_gains(device.type)


def keeps_its_digits(losses: Mapping[str, float]) -> bool:
    """Whether what bfloat16 changes is at most `MOST_LOST`; what is not known does not count as little."""
    return all(abs(losses.get(metric, math.inf)) <= most for metric, most in MOST_LOST.items())


def bfloat16_gains(device_type: str) -> bool:
    """Return whether convolutions are clearly faster in bfloat16 than in float32, by the chip's instructions.

    On processors, instructions for bfloat16: AMX's tiles, or AVX-512's dot products; with either, convolutions of 64
    features are faster than in float32. CPUs without either emulate bfloat16, and so does oneDNN where the environment
    limits the instructions (`finewave.process.instructions`); False for unknown ones. The result does not depend on the
    machine's load.
    """
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device_type == "cpu" and bool(bfloat16_instructions())


def training_precision(device: torch.device | str = "cpu") -> str:
    """Return Lightning's name of the precision that trains fastest on the device: ``"bf16-mixed"`` or ``"32-true"``."""
    return "bf16-mixed" if bfloat16_gains(torch.device(device).type) else "32-true"
