"""Which arithmetic a machine is fastest with, and which of it a network may use."""

from __future__ import annotations

import time
from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional as F

from finewave.errors import unknown_name

PRECISIONS = ("auto", "float32", "bfloat16")
"""Of prediction, see `uses_bfloat16`."""


REPETITIONS = 25
"""Of a convolution that is timed."""


def check_precision(name: str) -> str:
    """Return ``name``; an `InputError` if there is no such precision."""
    if name not in PRECISIONS:
        raise unknown_name("precision", name, PRECISIONS)
    return name


def uses_bfloat16(precision: str, net: nn.Module, device: torch.device) -> bool:
    """Whether a network runs in bfloat16 autocast.

    ``"bfloat16"`` and ``"float32"`` say so themselves. ``"auto"`` takes bfloat16 where the network's class declares
    ``mixed_precision = True``: that under autocast it keeps in float32 what is added up to its output, so that no
    more than 0.01 dB PSNR, 0.0005 SSIM and 0.05 degrees SAM are lost; and where the machine gains from it. A network
    whose weights are not float32 runs in their number type.
    """
    if precision == "float32" or any(p.dtype != torch.float32 for p in net.parameters()):
        return False
    if precision == "bfloat16":
        return True
    return bool(getattr(net, "mixed_precision", False)) and bfloat16_gains(device.type)


@lru_cache
def bfloat16_gains(device_type: str) -> bool:
    """Whether convolutions are clearly faster in bfloat16 than in float32; found out once in a process.

    On a GPU it is a property of the chip. Processors differ by an order of magnitude, from emulation to matrix
    units, so there a convolution is timed in both (some hundredths of a second). The quickest of many calls counts,
    which a busy machine, too, lets through undisturbed.
    """
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type != "cpu":
        return False
    return _convolution_seconds(torch.bfloat16) < 0.8 * _convolution_seconds(torch.float32)


def _convolution_seconds(dtype: torch.dtype) -> float:
    x = torch.zeros(1, 64, 64, 64, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.zeros(64, 64, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    best = float("inf")
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        for _ in range(REPETITIONS):  # the first calls also choose the kernel
            start = time.perf_counter()
            F.conv2d(x, weight, padding=1)
            best = min(best, time.perf_counter() - start)
    return best
