"""Reflection padding for images of any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def reflect_pad(x: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    """Pad images (B, C, H, W) by reflection about the outermost pixels.

    PyTorch's padding refuses borders as wide as the image. Here the image is reflected repeatedly, and the only pixel
    of a row or column is repeated.

    Parameters
    ----------
    x : Tensor (B, C, H, W)
        Any floating-point numbers.
    left, right, top, bottom : int
        Columns and rows to add, >= 0.

    Returns
    -------
    Tensor (B, C, top + H + bottom, left + W + right)
    """
    H, W = x.shape[2:]
    if max(left, right) < W and max(top, bottom) < H:
        return F.pad(x, (left, right, top, bottom), mode="reflect") if left or right or top or bottom else x
    rows, columns = reflected(H, top, bottom, x.device), reflected(W, left, right, x.device)
    return x.index_select(2, rows).index_select(3, columns)


def reflected(size: int, before: int, after: int, device: torch.device | None = None) -> Tensor:
    """Return the source index, 0 to ``size - 1``, of each of ``before + size + after`` positions; int64."""
    positions = torch.arange(-before, size + after, device=device)
    period = max(2 * (size - 1), 1)
    positions = positions % period
    return torch.minimum(positions, period - positions) if size > 1 else torch.zeros_like(positions)


class ReflectConv2d(nn.Conv2d):
    """Convolution with reflection padding that keeps the size of images (B, C, H, W) of any size."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, bias: bool = False) -> None:
        super().__init__(in_channels, out_channels, kernel_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of ``x`` (B, in, H, W): (B, out, H, W)."""
        before, after = (self.kernel_size[0] - 1) // 2, self.kernel_size[0] // 2
        return super().forward(reflect_pad(x, before, after, before, after))
