"""Window attention in standard operators only, for `finewave.nn.exporting`.

Equal to `window_attention_reference`, which cannot be exported: it works on bands of rows, whose number depends on the
image. Here all pixels are processed at once, with W^2 scores each. Images are channels first, (B, C, H, W).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def attention(phi: Tensor, theta: Tensor, value: Tensor, window: int, k: int) -> Tensor:
    """Sum the ``k`` values of the window that score best, weighted by the softmax of their scores; (B, C, H, W).

    Parameters
    ----------
    phi, theta : Tensor (B, e, H, W)
    value : Tensor (B, C, H, W)
    window, k : int
        Side of the window, and number of positions kept.
    """
    H, W = value.shape[2:]
    r = window // 2
    scores = phi.new_zeros(())  # (B, W^2, H W) from the first term on
    for centre, around in zip(phi.split(1, 1), theta.split(1, 1), strict=True):  # limits memory
        scores = scores + centre.flatten(2) * F.unfold(around, window, padding=r)
    best, positions = scores.topk(k, 1)
    share = best.softmax(1)
    values = F.pad(value, (r, r, r, r)).flatten(2)
    columns = W + 2 * r
    corner = torch.arange(H, device=value.device)[:, None] * columns + torch.arange(W, device=value.device)
    at = corner.flatten() + positions // window * columns + positions % window  # (B, k, H W)
    total = torch.zeros_like(value.flatten(2))
    for j in range(k):
        selected = values.gather(2, at[:, j : j + 1].expand(-1, value.shape[1], -1))
        total = total + share[:, j : j + 1] * selected
    return total.unflatten(2, (H, W))


def combination(heads: Sequence[Tensor], weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    """Return ``weight2 relu(weight1 [heads] + bias1) + bias2`` for each value; heads and result (B, C, H, W).

    One band at a time, because the hidden layer is many times as large as the image.
    """
    stacked = torch.stack(tuple(heads), 2)  # (B, C, N, H, W)
    first, last = weight1[:, :, None, None], weight2[:, :, None, None]
    bands = [F.conv2d(F.conv2d(stacked[:, c], first, bias1).relu(), last, bias2) for c in range(stacked.shape[1])]
    return torch.cat(bands, 1)
