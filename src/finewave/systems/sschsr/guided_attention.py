"""Attention between channels, guided by a reference: the blocks of SSC-HSR's attention fusion.

Y. Zhang et al., arXiv 2505.02109. Attention between channels and the gated feed-forward network are those of
S. W. Zamir et al., "Restormer", arXiv 2111.09881.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.exporting import exporting

STRIP = 1 << 22
"""Values between the layers of a feed-forward network that prediction holds at a time."""


class LayerNorm(nn.Module):
    """Normalisation over the channels of each pixel."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer; (B, C, H, W) to the same shape."""
        y = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-5)
        return y.permute(0, 3, 1, 2)


class FeedForward(nn.Module):
    """Gated depthwise network: W2 (GELU(a) * b) with a, b the halves of a depthwise convolution of W1 x."""

    def __init__(self, features: int, expansion: float = 2.66) -> None:
        super().__init__()
        hidden = int(features * expansion)
        self.project_in = nn.Conv2d(features, 2 * hidden, 1, bias=False)
        self.depthwise = _depthwise(2 * hidden)
        self.project_out = nn.Conv2d(hidden, features, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network; (B, C, H, W) to the same shape."""
        batch, _, height, width = x.shape
        rows = max(1, STRIP // (batch * self.project_in.out_channels * width))
        if torch.is_grad_enabled() or exporting() or rows >= height:
            return self._all_rows(x)
        # inside there are five times the features: for a whole image they would be the network's peak of memory
        result = torch.empty_like(x)
        for top in range(0, height, rows):
            seen = slice(max(top - 1, 0), min(top + rows + 1, height))  # the depthwise convolution sees a row more
            kept = slice(top - seen.start, top - seen.start + min(rows, height - top))
            result[:, :, top : top + rows] = self._all_rows(x[:, :, seen])[:, :, kept]
        return result

    def _all_rows(self, x: Tensor) -> Tensor:
        a, b = self.depthwise(self.project_in(x)).chunk(2, 1)
        return self.project_out(F.gelu(a) * b)


class SpectralAttention(nn.Module):
    """Attention between channels, each described by its whole image; base of SMSA and RMCA.

    out = W (softmax(t q k^T) v') + P(v), with q and k of unit length and P two depthwise convolutions.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.project_out = nn.Conv2d(features, features, 1, bias=False)
        self.position = nn.Sequential(_depthwise(features), nn.GELU(), _depthwise(features))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, weighted: Tensor) -> Tensor:
        """Return the output from q, k, v and ``weighted`` (v'), (B, C, H, W) each."""
        batch, channels, height, width = q.shape
        split = (batch, self.heads, channels // self.heads, height * width)
        q, k = F.normalize(q.reshape(split), dim=-1), F.normalize(k.reshape(split), dim=-1)
        attention = (q @ k.transpose(-2, -1) * self.temperature).softmax(-1)
        y = (attention.to(weighted.dtype) @ weighted.reshape(split)).view(batch, channels, height, width)
        return self.project_out(y) + self.position(v)


class SMSA(SpectralAttention):
    """Spectral-wise multi-head self-attention; (B, C, H, W) to the same shape."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__(features, heads)
        self.qkv = nn.Conv2d(features, 3 * features, 1, bias=False)
        self.qkv_depthwise = _depthwise(3 * features)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the attention."""
        q, k, v = self.qkv_depthwise(self.qkv(x)).chunk(3, 1)
        return self.attend(q, k, v, v)


class RMCA(SpectralAttention):
    """Reference-guided multi-head cross-attention: the reference weights the values, element by element."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__(features, heads)
        self.q = nn.Conv2d(features, features, 1, bias=False)
        self.q_depthwise = _depthwise(features)
        self.kv = nn.Conv2d(features, 2 * features, 1, bias=False)
        self.kv_depthwise = _depthwise(2 * features)

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        """Apply the attention to ``x`` with the gathered features ``reference``; (B, C, H, W) all."""
        q = self.q_depthwise(self.q(x))
        k, v = self.kv_depthwise(self.kv(x)).chunk(2, 1)
        return self.attend(q, k, v, v * reference)


class FusionBlock(nn.Module):
    """A self layer, then a cross layer, each an attention and a feed-forward network around the identity."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.self_norm1, self.self_attention = LayerNorm(features), SMSA(features, heads)
        self.self_norm2, self.self_feed_forward = LayerNorm(features), FeedForward(features)
        self.cross_norm1, self.reference_norm = LayerNorm(features), LayerNorm(features)
        self.cross_attention = RMCA(features, heads)
        self.cross_norm2, self.cross_feed_forward = LayerNorm(features), FeedForward(features)

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        """Fuse ``x`` with ``reference``; (B, C, H, W) all."""
        x = x + self.self_attention(self.self_norm1(x))
        x = x + self.self_feed_forward(self.self_norm2(x))
        x = x + self.cross_attention(self.cross_norm1(x), self.reference_norm(reference))
        return x + self.cross_feed_forward(self.cross_norm2(x))


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
