"""Modulated deformable convolution with standard operators: differentiable, on any device and in any dtype.

J. Dai et al., "Deformable Convolutional Networks", arXiv 1703.06211, eq. (2); the modulation is that of X. Zhu et al.,
"Deformable ConvNets v2", arXiv 1811.11168, eq. (1).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.nn.warping import pixel_grid, sample_at


def deformable_conv(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None, top: int = 0
) -> Tensor:
    """Convolve ``x`` with taps displaced by ``offset`` and weighted by ``mask``; stride 1, same size.

    y(p) = sum_k w_k m_k(p) x(p + p_k + d_k(p)), with bilinear sampling and zeros outside of the image.

    Parameters
    ----------
    x : Tensor (B, C, H', W)
    offset : Tensor (B, 2 G K, H, W)
        d, for K taps in row-major order and G groups of channels: group by group, tap by tap, y before x; in pixels.
    mask : Tensor (B, G K, H, W)
        m, group by group, tap by tap.
    weight : Tensor (D, C, k, k)
        k odd, K = k^2.
    bias : Tensor (D,), optional
    top : int
        Row of ``x`` at which the result begins: H = H' rows of it, or fewer.

    Returns
    -------
    Tensor (B, D, H, W)
    """
    batch, channels, _, width = x.shape
    height = offset.shape[2]
    size = weight.shape[-1]
    taps = size * size
    groups = mask.shape[1] // taps
    wide = torch.promote_types(x.dtype, torch.float32)
    shifts = offset.to(wide).reshape(batch * groups, taps, 2, height, width)
    mask = mask.reshape(batch, groups, taps, 1, height, width)
    grouped = x.reshape(batch * groups, channels // groups, *x.shape[2:])
    centre = pixel_grid(top + height, width, grouped)[:, :, top:]
    out = None
    for k in range(taps):  # one tap at a time: all together would need K copies of the image
        row, column = divmod(k, size)
        step = torch.tensor([column, row], dtype=wide, device=x.device).view(1, 2, 1, 1) - size // 2
        sampled = sample_at(grouped, centre + step + shifts[:, k].flip(1))
        sampled = sampled.reshape(batch, groups, -1, height, width) * mask[:, :, k]
        term = F.conv2d(sampled.reshape(batch, channels, height, width), weight[:, :, row, column, None, None])
        out = term if out is None else out + term
    assert out is not None
    return out if bias is None else out + bias.to(out.dtype).view(1, -1, 1, 1)
