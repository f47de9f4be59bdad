"""Non-local block: attention between all pixels, in memory linear in the number of pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from finewave.nn.exporting import exporting

# Similarities stored at a time, over all images in the batch: 16 MiB in float32.
_AT_ONCE = 2**22


class NonLocalBlock(nn.Module):
    """Embedded-Gaussian non-local block (Wang et al., CVPR 2018, eq. 6), (B, C, h, w) to the same shape.

        y_i = sum_j softmax_j(theta_i . phi_j) g_j,    output = x + BN(W y)

    theta, phi, g and W are 1 x 1 convolutions; i and j run over all pixels.

    The sum is computed for some pixels i at a time, so memory grows with h w, time with (h w)^2. Similarities are
    recomputed in the backward pass, not stored. The biases of phi, g and W have no effect in training (the softmax and
    the normalisation cancel them); they exist because public weights have them.

    Parameters
    ----------
    channels : int
        C.
    inner : int, optional
        Channels of theta, phi and g; half of C, at least 1, by default.
    """

    def __init__(self, channels: int, inner: int | None = None) -> None:
        super().__init__()
        inner = max(channels // 2, 1) if inner is None else inner
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)
        self.g = nn.Conv2d(channels, inner, 1)
        self.w = nn.Conv2d(inner, channels, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        query, key, value = (layer(x).flatten(2).transpose(1, 2) for layer in (self.theta, self.phi, self.g))
        y = attend(query, key, value)
        return x + self.norm(self.w(y.transpose(1, 2).unflatten(2, x.shape[2:])))


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return softmax(query key^T) value, a part of the queries at a time; each (B, N, E)."""
    if exporting():  # the number of parts depends on the image
        return _attend_part(query, key, value)
    B, N, _ = query.shape
    rows = max(1, _AT_ONCE // (B * N))
    if rows >= N:
        return _attend_part(query, key, value)
    if torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value)):
        parts = [checkpoint(_attend_part, q, key, value, use_reentrant=False) for q in query.split(rows, 1)]
    else:
        parts = [_attend_part(q, key, value) for q in query.split(rows, 1)]
    return torch.cat(parts, 1)


def _attend_part(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    similarity = (query @ key.transpose(1, 2)).softmax(2)
    return similarity.to(value.dtype) @ value  # autocast computes the softmax in float32
