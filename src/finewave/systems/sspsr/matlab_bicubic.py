"""Enlargement as MATLAB's ``imresize`` does it; its shrinking is ``finewave.degrade(kernel="bicubic")``."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_REACH = 2  # of the kernel, in pixels of the small image


def matlab_enlarge(x: Tensor, scale: int) -> Tensor:
    """Enlarge ``x`` (B, C, h, w) to (B, C, s h, s w): cubic convolution, a = -0.5, half-pixel centres, mirrored edges.

    PyTorch's interpolation has this kernel only with ``antialias``, which has no effect when upsampling, but truncates
    the kernel at the edges; so the edges are mirrored here and cropped afterwards.

    Always computed in at least float32, because it acts on images, not on features.
    """
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    for axis in (2, 3):
        wide = wide.index_select(axis, _mirrored(x.shape[axis], x.device))
    size = [n * scale for n in wide.shape[2:]]
    margin = _REACH * scale
    large = F.interpolate(wide, size=size, mode="bicubic", align_corners=False, antialias=True)
    return large[..., margin : size[0] - margin, margin : size[1] - margin].to(x.dtype)


def _mirrored(n: int, device: torch.device) -> Tensor:
    """Return indices of n pixels with a margin on both sides; the edge pixel is repeated, however small n is."""
    index = torch.arange(-_REACH, n + _REACH, device=device)
    index = torch.where(index < 0, -1 - index, index)
    return torch.minimum(index, 2 * n - 1 - index).clamp(min=0)  # a single pixel is mirrored on both sides
