"""Gaussian kernels of any orientation: kernel, blur, and sampling of LR pixels from a blurred image.

The kernels of "Multiscale Factor Joint Learning for Hyperspectral Image Super-Resolution" (IEEE TGRS 2023) and of its
public code (qianngli/MulSR), for `finewave.physics.degradation.degrade` and the random draws of
`finewave.physics.random_degradation`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from finewave.errors import InputError

if TYPE_CHECKING:
    import torch


def anisotropic_gaussian(
    size: int, variances: tuple[float, float], angle: float = 0.0, shift: float = 0.0
) -> torch.Tensor:
    """Return a Gaussian kernel (size, size), float64, that sums to 1.

    With x along columns and y along rows, both counted from the centre, and R the rotation by ``angle``, it is
    exp(-1/2 p^T S^-1 p), p = (x, y), S = R diag(variances) R^T.

    Parameters
    ----------
    size : int
        Rows and columns, odd.
    variances : tuple of float
        In square pixels, along x and along y before the rotation; positive.
    angle : float
        In radians.
    shift : float
        How far the centre lies from the middle pixel, along both axes, in pixels.

    Raises
    ------
    InputError
        If the size is even or a variance is not positive.
    """
    import torch

    if size < 1 or size % 2 == 0:
        raise InputError(f"kernel size={size}; an odd number is accepted")
    if len(variances) != 2 or not all(math.isfinite(v) and v > 0 for v in variances):
        raise InputError(f"{variances=}; two positive numbers are accepted")
    p = np.arange(size) - size // 2 - shift
    y, x = np.meshgrid(p, p, indexing="ij")
    along, across = (x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle))
    kernel = np.exp(-0.5 * (along**2 / variances[0] + across**2 / variances[1]))
    return torch.from_numpy(kernel / kernel.sum())


def blur(image: torch.Tensor, kernel: torch.Tensor, stride: int = 1) -> torch.Tensor:
    """Correlate each band of (..., H, W) with a kernel of odd size; beyond the border the image is mirrored.

    Only every ``stride``-th row and column is computed, from the first on.
    """
    import torch
    from torch.nn import functional as F

    margin = len(kernel) // 2
    dtype = torch.promote_types(image.dtype, torch.float32)
    padded = mirrored(mirrored(image, margin, -2), margin, -1).to(dtype)
    flat = padded.reshape(1, -1, *padded.shape[-2:])  # bands as channels: as a batch it takes 100 times as long
    weight = kernel.to(padded).expand(flat.shape[1], 1, -1, -1)
    result = F.conv2d(flat, weight, stride=stride, groups=flat.shape[1])
    return result.view(*image.shape[:-2], *result.shape[-2:]).to(image.dtype)


def mirrored(image: torch.Tensor, margin: int, axis: int) -> torch.Tensor:
    """Pad both ends of an axis by ``margin`` pixels of the mirror image, the edge pixel repeated."""
    import torch

    if not margin:
        return image
    n = image.shape[axis]
    index = torch.arange(-margin, n + margin, device=image.device)
    if margin > n:  # repeated reflection; separate, because only the simpler formula can be exported for any size
        index = index % (2 * n)
    index = torch.where(index < 0, -1 - index, index)
    return image.index_select(axis, torch.minimum(index, 2 * n - 1 - index))
