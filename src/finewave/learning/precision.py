"""Which arithmetic a machine trains fastest with."""

from __future__ import annotations

import time

import torch
from torch.nn import functional as F


def training_precision(device: torch.device | str = "cpu") -> str:
    """Return Lightning's name of the precision to train with: ``"bf16-mixed"`` where that gains, else ``"32-true"``.

    On a GPU it is a property of the chip. Processors differ by an order of magnitude, from emulation to matrix
    units, so there a convolution is timed in both (a tenth of a second).
    """
    device = torch.device(device)
    if device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    if device.type != "cpu":
        return "32-true"
    times = {dtype: _convolution_seconds(dtype) for dtype in (torch.float32, torch.bfloat16)}
    return "bf16-mixed" if times[torch.bfloat16] < 0.8 * times[torch.float32] else "32-true"


def _convolution_seconds(dtype: torch.dtype) -> float:
    x = torch.zeros(1, 64, 64, 64, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.zeros(64, 64, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    best = float("inf")
    with torch.no_grad():
        for _ in range(5):  # the first calls also choose the kernel
            start = time.perf_counter()
            F.conv2d(x, weight, padding=1)
            best = min(best, time.perf_counter() - start)
    return best
