"""Sums and means over Gaussian windows around every pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

REACH = 3
"""Standard deviations at which a Gaussian window ends."""
AT_ONCE = 4
"""Images smoothed together: as few as stay in a processor's cache."""


def smooth(image: Tensor, window: float) -> Tensor:
    """Return Gaussian-weighted sums (B, n, h, w); beyond the border there is nothing.

    By adding shifted images, some at a time: PyTorch's convolution in double precision on the CPU copies them for every
    tap, which takes five to ten times as long.
    """
    radius = window_radius(window)
    taps = [math.exp(-0.5 * (offset / window) ** 2) for offset in range(-radius, radius + 1)]
    sums = []
    for some in image.flatten(0, 1).split(AT_ONCE):
        down = _weighted(F.pad(some, (0, 0, radius, radius)), taps, 1)
        sums.append(_weighted(F.pad(down, (radius, radius)), taps, 2))
    return torch.cat(sums).view_as(image)


def local_mean(image: Tensor, window: float) -> Tensor:
    """Return Gaussian-weighted means (B, n, h, w) of what lies within the image."""
    return smooth(image, window) / smooth(torch.ones_like(image[:1, :1]), window)


def window_radius(window: float) -> int:
    """Return how many pixels to either side a Gaussian window sees."""
    return math.ceil(REACH * window)


def _weighted(image: Tensor, taps: Sequence[float], axis: int) -> Tensor:
    """Return the weighted sum of an image's shifts along an axis, shorter by all taps but one."""
    length = image.shape[axis] - len(taps) + 1
    result = image.narrow(axis, 0, length) * taps[0]
    for offset, tap in enumerate(taps[1:], start=1):
        result = result.add_(image.narrow(axis, offset, length), alpha=tap)
    return result
