"""Non-local attention of every pixel to the most similar pixels in its window.

Memory grows with H W (C + k): scores are kept for a few rows at a time, and only the k selected values of a window are
read. The operators are in `window_attention_ops`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.exporting import exporting
from finewave.nn.kernels import window_attention_export as standard
from finewave.nn.kernels import window_attention_ops as ops


class HeadAttention(nn.Module):
    """One head: patch embedding, similarities in a window, softmax over the top few, weighted sum of values.

    Parameters
    ----------
    channels : int
        C, bands of the image.
    embedding : int
        Dimension e_d in which similarities are computed.
    patch, window : int
        P and W, odd sides in pixels.
    top_percent : float
        Percentage of the window that is kept; k = floor(W^2 top_percent / 100), at least 1.
    """

    def __init__(
        self, channels: int, embedding: int = 8, patch: int = 11, window: int = 11, top_percent: float = 10
    ) -> None:
        super().__init__()
        self.window = window
        self.k = max(1, int(window * window * top_percent / 100))
        self.embed = nn.Conv2d(channels, embedding, patch, padding=patch // 2, bias=False)
        self.phi = nn.Conv2d(embedding, embedding, 1, bias=False)
        self.theta = nn.Conv2d(embedding, embedding, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Filter ``x`` (B, C, H, W); same shape, channels last in memory."""
        x = x.contiguous(memory_format=torch.channels_last)  # the fastest layout for the convolutions and `attend`
        return self.attend_to(x, self.embed(x))

    def attend_to(self, x: Tensor, embedded: Tensor) -> Tensor:
        """Filter ``x`` (B, C, H, W) by the similarity of its patches, ``embedded`` (B, e, H, W)."""
        return attend(self.phi(embedded), self.theta(embedded), self.value(x), self.window, self.k)


def attend(phi: Tensor, theta: Tensor, value: Tensor, window: int, k: int) -> Tensor:
    """Return for each pixel the softmax-weighted sum of the ``k`` best-matching values in its window.

    Parameters
    ----------
    phi, theta : Tensor
        (B, e, H, W), embeddings of the centre and of the neighbours.
    value : Tensor
        (B, C, H, W).
    window : int
        Side of the square window, odd. Positions outside the image take part with score 0 and value 0.
    k : int
        Number of values kept.

    Returns
    -------
    Tensor
        (B, C, H, W) in value's dtype, channels last in memory. Differentiable once. If scores tie for the last place,
        any of them may be kept.
    """
    dtype = torch.promote_types(value.dtype, torch.float32)  # ranking and softmax need full precision
    if exporting():
        return standard.attention(phi.to(dtype), theta.to(dtype), value.to(dtype), window, k).to(value.dtype)
    images = [_channels_last(image, dtype) for image in (phi, theta, value)]
    keep = torch.is_grad_enabled() and any(image.requires_grad for image in images)
    summed, _, _ = ops.attention(*images, window, k, keep)
    return summed.permute(0, 3, 1, 2).to(value.dtype)


def _channels_last(image: Tensor, dtype: torch.dtype) -> Tensor:
    return image.to(dtype).permute(0, 2, 3, 1).contiguous()


class MultiHeadAttention(nn.Module):
    """Several heads, combined for each pixel and channel by one small MLP over the heads.

    Parameters
    ----------
    heads : int
        Number of heads.
    mlp_hidden : int
        Width of the combining MLP.
    **head : Any
        Arguments of `HeadAttention`.
    """

    def __init__(self, channels: int, heads: int = 3, mlp_hidden: int = 64, **head: Any) -> None:
        super().__init__()
        self.heads = nn.ModuleList(HeadAttention(channels, **head) for _ in range(heads))
        self.mlp = nn.Sequential(nn.Linear(heads, mlp_hidden), nn.ReLU(), nn.Linear(mlp_hidden, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Filter ``x`` (B, C, H, W); same shape, channels last in memory."""
        x = x.contiguous(memory_format=torch.channels_last)  # once for all heads
        first, _, last = self.mlp
        dtype = torch.promote_types(x.dtype, torch.float32)
        weights: list[Any] = [weight.to(dtype) for weight in (first.weight, first.bias, last.weight, last.bias)]
        if exporting():
            return standard.combination([image.to(dtype) for image in self._filtered(x)], *weights).to(x.dtype)
        heads = [_channels_last(image, dtype) for image in self._filtered(x)]
        return ops.combination(heads, *weights).permute(0, 3, 1, 2).to(x.dtype)

    def _filtered(self, x: Tensor) -> list[Tensor]:
        """Return the output of each head.

        One convolution embeds the patches for all heads: the few features of one head would not fill the CPU's vector
        registers.
        """
        heads: list[Any] = list(self.heads)
        weight = torch.cat([head.embed.weight for head in heads])
        embedded = F.conv2d(x, weight, padding=weight.shape[-1] // 2).chunk(len(heads), 1)
        return [head.attend_to(x, part) for head, part in zip(heads, embedded, strict=True)]
