"""MST++: multi-stage spectral-wise transformer, from RGB (or multispectral) to hyperspectral at the same size.

Y. Cai, J. Lin, Z. Lin, H. Wang, Y. Zhang, H. Pfister, R. Timofte, L. Van Gool, "MST++: Multi-stage Spectral-wise
Transformer for Efficient Spectral Reconstruction", CVPR Workshops 2022, arXiv 2204.07908. Public code:
caiyuanhao1998/MST-plus-plus, MIT licence. Names of modules are the paper's.

Known differences (``docs/models/mstpp.md`` has the full list): the inner width follows the number of output bands,
while the public code always uses 31; images of any size, while it refuses sides of 4 or less; inputs are not
normalised, while it stretches each by its own minimum and maximum before the network.

Symbols: c and C the bands of input and output, d the width (here C).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.nn.exporting import exporting
from finewave.nn.full_precision import full_precision
from finewave.nn.padding import reflect_pad
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least

PADDED_TO = 8  # sides that the network works on are multiples of this
PARTS = 4  # of the inner channels of a feed-forward network in evaluation


def _conv(in_channels: int, out_channels: int, kernel_size: int = 3, groups: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the image size (zero padding), without bias."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, groups=groups, bias=False)


class SpectralMSA(nn.Module):
    """S-MSA: multi-head self-attention whose tokens are channels, described by their pixels; (B, H, W, channels).

    With q_i and k_i the query and key of channel i, normalised over all pixels, and sigma learned for each head,

        A = softmax(sigma k^T q),    output = W (A v) + position(v),

    where A mixes the channels of one head and ``position`` is two depth-wise convolutions. A is channels x channels for
    any number of pixels; time and memory are linear in pixels.
    """

    other_head: Tensor

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.width = channels // heads
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)
        self.sigma = nn.Parameter(torch.ones(heads, 1, 1))
        self.proj = nn.Linear(channels, channels)
        self.position = nn.Sequential(
            _conv(channels, channels, groups=channels), nn.GELU(), _conv(channels, channels, groups=channels)
        )
        head = torch.arange(channels) // self.width
        self.register_buffer("other_head", head[:, None] != head, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, H, W, channels) from ``x`` of the same shape."""
        pixels = x.flatten(1, 2)
        v = self.value(x)
        weights = self.attention(self.query(pixels), self.key(pixels)).to(v.dtype)
        mixed = (v.flatten(1, 2) @ weights.mT).view_as(v)
        return self.proj(mixed) + self.position(v.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    def attention(self, q: Tensor, k: Tensor) -> Tensor:
        """Return A of all heads (B, channels, channels), zero between heads, from q and k (B, pixels, channels).

        Computing all heads in one product costs less than copies that separate them. Dividing the products by the norms
        of q and k avoids normalised copies.
        """
        lengths = [part.norm(dim=1).clamp_min(1e-12) for part in (k, q)]
        cosines = (k.mT @ q) / (lengths[0][:, :, None] * lengths[1][:, None, :])
        sigma = self.sigma.flatten().repeat_interleave(self.width)[:, None]
        return (sigma * cosines).masked_fill(self.other_head, -torch.inf).softmax(2)


class FFN(nn.Module):
    """Feed-forward network: 1 x 1, GELU, depth-wise 3 x 3, GELU, 1 x 1; (B, H, W, channels) to the same shape."""

    def __init__(self, channels: int, expansion: int = 4) -> None:
        super().__init__()
        inner = channels * expansion
        self.expand = _conv(channels, inner, 1)
        self.depthwise = _conv(inner, inner, groups=inner)
        self.reduce = _conv(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network."""
        x = x.permute(0, 3, 1, 2)
        if torch.is_grad_enabled() or exporting():
            y = self.reduce(F.gelu(self.depthwise(F.gelu(self.expand(x)))))
        else:
            y = self._in_parts(x)
        return y.permute(0, 2, 3, 1)

    def _in_parts(self, x: Tensor) -> Tensor:
        """Return the same with some inner channels at a time: nothing but the last sum joins them.

        At the size of a tile they are most of the network's memory.
        """
        weights = (self.expand.weight, self.depthwise.weight, self.reduce.weight)
        parts = zip(weights[0].chunk(PARTS), weights[1].chunk(PARTS), weights[2].chunk(PARTS, 1), strict=True)
        total: Tensor | None = None
        for expand, depthwise, reduce in parts:
            y = F.gelu(F.conv2d(x, expand))
            y = F.gelu(F.conv2d(y, depthwise, padding=1, groups=len(depthwise)))
            y = F.conv2d(y, reduce)
            total = y if total is None else total.add_(y)
        assert total is not None
        return total


class SAB(nn.Module):
    """Spectral-wise attention block: x + S-MSA(x), then x + FFN(LN(x)); (B, channels, H, W) to the same shape.

    There is no layer norm before the attention.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attention = SpectralMSA(channels, heads)
        self.norm = nn.LayerNorm(channels)
        self.feed_forward = FFN(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        x = x.permute(0, 2, 3, 1)
        x = x + self.attention(x)
        x = x + self.feed_forward(self.norm(x))
        return x.permute(0, 3, 1, 2)


def sabs(channels: int, heads: int, blocks: int) -> nn.Sequential:
    """Return a chain of `SAB`."""
    return nn.Sequential(*(SAB(channels, heads) for _ in range(blocks)))


class Encoder(nn.Module):
    """Encoder level: attention (also passed to the decoder), then half the size and twice the channels."""

    def __init__(self, channels: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.attention = sabs(channels, heads, blocks)
        self.down = nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the skip features (B, channels, H, W) and the next level's input (B, 2 channels, H/2, W/2)."""
        kept = self.attention(x)
        return kept, self.down(kept)


class Decoder(nn.Module):
    """Decoder level: twice the size and half the channels, concatenation with the skip features, attention."""

    def __init__(self, channels: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.fuse = _conv(2 * channels, channels, 1)
        self.attention = sabs(channels, heads, blocks)

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        """Return (B, channels, H, W) from ``x`` (B, 2 channels, H/2, W/2) and ``kept`` (B, channels, H, W)."""
        up = self.up(x)
        return self.attention(self.fuse(torch.cat((up, kept.to(up.dtype)), 1)))


class SST(nn.Module):
    """Single-stage spectral-wise transformer: a U-shape of `SAB` around the identity; (B, d, H, W) to the same shape.

    Parameters
    ----------
    width : int
        d. Heads are d channels wide at every level: 1, 2, 4, ... of them.
    blocks : sequence of int
        `SAB` at each level, the last for the bottleneck; H and W are multiples of 2^(levels - 1).
    """

    def __init__(self, width: int, blocks: Sequence[int] = (1, 1, 1)) -> None:
        super().__init__()
        *levels, deepest = blocks
        self.embedding = _conv(width, width)
        self.encoders = nn.ModuleList(Encoder(width * 2**i, 2**i, n) for i, n in enumerate(levels))
        self.bottleneck = sabs(width * 2 ** len(levels), 2 ** len(levels), deepest)
        self.decoders = nn.ModuleList(Decoder(width * 2**i, 2**i, n) for i, n in reversed(list(enumerate(levels))))
        self.mapping = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the stage."""
        y = self.embedding(x)
        skips = []
        for encoder in self.encoders:
            kept, y = encoder(y)
            skips.append(kept)
        y = self.bottleneck(y)
        for decoder in self.decoders:
            y = decoder(y, skips.pop())
        return x + self.mapping(y)


class MSTPlusPlus(SRNetwork):
    """HR-MSI to HR-HSI: (B, c, H, W) to (B, C, H, W), reflectance-like values in [0, 1]; the output is not clipped.

    Parameters
    ----------
    ms_bands, hs_bands : int
        c and C; C is also the width of the network.
    stages : int
        Single-stage networks in the chain; the publication compares 1 to 4 and uses 3.
    blocks : sequence of int
        Attention blocks at each level of a stage; one at each of three levels as published.

    Notes
    -----
    The attention between channels uses all pixels, so every pixel affects every other: `receptive_field` is None, and
    tiled prediction differs from that of the whole scene. Time and memory grow linearly with pixels.
    """

    task = "ssr"
    scale = 1
    receptive_field = None
    export_multiple = PADDED_TO  # no padding is needed then

    def __init__(
        self, ms_bands: int = 3, hs_bands: int = 31, *, stages: int = 3, blocks: Sequence[int] = (1, 1, 1)
    ) -> None:
        super().__init__()
        at_least("mst++", 1, ms_bands=ms_bands, hs_bands=hs_bands, stages=stages)
        if isinstance(blocks, str) or not isinstance(blocks, Sequence) or not blocks or not all(map(_is_count, blocks)):
            raise InputError(f"mst++: blocks={blocks!r} is out of range; it must be a list of integers >= 1")
        self.ms_bands, self.hs_bands = ms_bands, hs_bands
        self.multiple = max(PADDED_TO, 2 ** (len(blocks) - 1))
        self.conv_in = _conv(ms_bands, hs_bands)
        self.stages = nn.Sequential(*(SST(hs_bands, blocks) for _ in range(stages)))
        self.conv_out = _conv(hs_bands, hs_bands)
        self.apply(_start)

    def forward(self, hr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, H, W) of ``hr_msi`` (B, c, H, W)."""
        H, W = hr_msi.shape[2:]
        padded = reflect_pad(hr_msi, 0, -W % self.multiple, 0, -H % self.multiple)
        with full_precision(hr_msi):
            embedded = self.conv_in(padded)
        deep = self.stages(embedded)
        with full_precision(hr_msi):
            output = self.conv_out(deep.to(hr_msi.dtype)) + embedded
        return output[:, :, :H, :W]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _start(module: nn.Module) -> None:
    """Initialise weights as published: linear layers from a narrow normal distribution, others as in PyTorch."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
