"""Means over an image, or over a window around each pixel.

Channel attention by means over the image is trained on crops but applied to whole scenes. X. Chu et al., "Improving
Image Restoration by Revisiting Global Information Aggregation", ECCV 2022, arXiv 2112.04491, use at prediction the same
statistics as in training: means over windows of the crop's size. That also makes the network local, so that a scene can
be cut into overlapping tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class _Pooling(NamedTuple):
    window: int
    size: tuple[int, int]


_POOLING: ContextVar[_Pooling | None] = ContextVar("pooling", default=None)


@contextmanager
def local_pooling(window: int, size: tuple[int, int]) -> Iterator[None]:
    """Make `image_mean` average over windows, in this thread.

    Parameters
    ----------
    window : int
        Side in pixels of the network's first input, >= 1.
    size : (int, int)
        Height and width of that input. Features of k times the size have windows of k times the side.
    """
    before = _POOLING.set(_Pooling(window, size))
    try:
        yield
    finally:
        _POOLING.reset(before)


def pools_locally() -> bool:
    """Return whether `local_pooling` is active: then nothing should depend on the whole image."""
    return _POOLING.get() is not None


def image_mean(x: Tensor) -> Tensor:
    """Return the channels' means over the image (B, F, 1, 1); under `local_pooling`, over windows (B, F, H, W).

    Parameters
    ----------
    x : Tensor (B, F, H, W)

    Returns
    -------
    Tensor
        In at least float32: a bfloat16 sum over many pixels would lose precision.
    """
    if x.dtype.itemsize < 4:
        x = x.float()
    mode = _POOLING.get()
    if mode is None:
        return x.mean((2, 3), keepdim=True)
    sides = [_side(mode.window, n, whole) for n, whole in zip(x.shape[2:], mode.size, strict=True)]
    if sides[0] >= x.shape[2] and sides[1] >= x.shape[3]:
        return x.mean((2, 3), keepdim=True)
    return window_mean(x, (sides[0], sides[1]))


def _side(window: int, n: int, whole: int) -> int:
    """Return the side of a window in features of n pixels where the first input has ``whole``."""
    factor = n // whole
    if factor * whole == n:  # a number that does not depend on the size, for exports
        return window * int(factor)
    return max(1, round(window * n / whole))


def window_mean(x: Tensor, window: tuple[int, int]) -> Tensor:
    """Return the mean over a window around each pixel; at borders the window is shifted into the image, not cut.

    So all means are over the same number of pixels, and an image no larger than the window has the same mean
    everywhere.

    Parameters
    ----------
    x : Tensor (B, F, H, W)
    window : (int, int)
        Rows and columns, >= 1. An even window extends one pixel further down and to the right.

    Returns
    -------
    Tensor (B, F, H, W)
    """
    for dim, size in ((2, window[0]), (3, window[1])):
        side = size if size < x.shape[dim] else x.shape[dim]  # min() would depend on the size in exports
        before, after = (side - 1) // 2, side // 2
        x = _window_sum(x, side, dim) / side
        x = F.pad(x, (0, 0, before, after) if dim == 2 else (before, after, 0, 0), mode="replicate")
    return x


def _window_sum(x: Tensor, side: int, dim: int) -> Tensor:
    """Return the sums of ``side`` neighbours along an axis, wherever all of them lie in the image.

    Computed from sums of 1, 2, 4, ... neighbours: log2(side) additions per pixel, without the rounding errors of
    running sums.
    """
    length = x.shape[dim] - side + 1
    total: Tensor | None = None
    covered, doubled, width = 0, x, 1
    while True:
        if side & width:
            part = doubled.narrow(dim, covered, length)
            total = part if total is None else total + part
            covered += width
        if covered == side:
            assert total is not None
            return total
        n = doubled.shape[dim] - width
        doubled = torch.add(doubled.narrow(dim, 0, n), doubled.narrow(dim, width, n))
        width *= 2
