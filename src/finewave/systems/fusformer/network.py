"""Fusformer: a transformer whose tokens are pixels, for the fusion of LR-HSI and HR-MSI.

J.-F. Hu, T.-Z. Huang, L.-J. Deng, H.-X. Dou, D. Hong, G. Vivone, "Fusformer: A Transformer-based Fusion Network for
Hyperspectral Image Super-resolution", IEEE GRSL 19, 2022 (arXiv 2109.02079). Public code: J-FHu/Fusformer, without a
licence file; none of it is used here. The differences, also in ``docs/models/fusformer.md``:

- scale and bands are arguments, not the constants 4, 31 and 3;
- the position embeddings of the public code are never used there and are omitted here;
- large images are cut into patches for the attention alone, by the network itself; the convolutions see the whole
  image, so that no seam is made by their padding;
- clamping to [0, 1] is an option, on as published.

The network learns the residual between the upsampled LR-HSI and the HR-HSI.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.residual import conv
from finewave.nn.sampling import bicubic
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, require

SLOPE = 0.01  # of every Leaky ReLU


class Attention(nn.Module):
    """Multi-head self-attention of tokens (B, N, F): softmax(q k^T / sqrt(d)) v in each of the heads of width d."""

    def __init__(self, features: int, heads: int, head_features: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(features, 3 * heads * head_features, bias=False)
        self.out = nn.Linear(heads * head_features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens of the same shape; the (N, N) scores are never stored if PyTorch has a fused kernel."""
        B, N, _ = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(B, N, -1))


class FeedForward(nn.Module):
    """Linear, Leaky ReLU, linear, on each token."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(features, hidden)
        self.linear2 = nn.Linear(hidden, features)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to (B, N, F)."""
        return self.linear2(F.leaky_relu(self.linear1(x), SLOPE, inplace=True))


class Residual(nn.Module):
    """x + block(layer norm of x)."""

    def __init__(self, features: int, block: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to (B, N, F)."""
        return x + self.block(self.norm(x))


class TransformerLayer(nn.Sequential):
    """Self-attention, once in the encoder and twice in the decoder, then feed-forward."""

    def __init__(self, features: int, heads: int, head_features: int, hidden: int, attentions: int) -> None:
        attention = (Attention(features, heads, head_features) for _ in range(attentions))
        super().__init__(*(Residual(features, block) for block in (*attention, FeedForward(features, hidden))))


class Encoder(nn.Sequential):
    """Layers with one attention each."""

    def __init__(self, features: int = 48, depth: int = 2, heads: int = 3, head_features: int = 16, hidden: int = 48):
        super().__init__(*(TransformerLayer(features, heads, head_features, hidden, 1) for _ in range(depth)))


class Decoder(nn.Sequential):
    """Layers with two attentions each, with separate weights; no cross-attention."""

    def __init__(self, features: int = 48, depth: int = 2, heads: int = 3, head_features: int = 16, hidden: int = 48):
        super().__init__(*(TransformerLayer(features, heads, head_features, hidden, 2) for _ in range(depth)))


class Fusformer(SRNetwork):
    """LR-HSI (B, C, h, w) and HR-MSI (B, c, s h, s w), aligned, to HR-HSI (B, C, s h, s w); values in [0, 1].

    Parameters
    ----------
    scale : int
        s, any integer >= 2; published with 4.
    ms_bands, hs_bands : int
        c and C; published with 3 and 31.
    features : int
        Width of a token.
    heads, head_features : int
        Attention heads, and the width of each.
    encoder_layers, decoder_layers : int
        Depth of each.
    hidden : int
        Hidden width of the feed-forward blocks.
    patch : int or None
        Side in HR pixels of the patches in which pixels attend to each other; larger images are divided evenly into as
        few patches as possible. 64 as in the publication. None for the whole image.
    clamp : bool
        Clip the upsampled LR-HSI and the output to [0, 1], as published; clipped values have no gradient.

    Notes
    -----
    The time of attention grows with the square of the pixels of a patch; its memory only if PyTorch has no fused kernel
    for the dtype and device.
    """

    task = "fusion"
    shift_equivariant = False  # patches are counted from the corner of the image

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        features: int = 48,
        heads: int = 3,
        head_features: int = 16,
        encoder_layers: int = 2,
        decoder_layers: int = 2,
        hidden: int = 48,
        patch: int | None = 64,
        clamp: bool = True,
    ) -> None:
        super().__init__()
        at_least("fusformer", 2, scale=scale)
        at_least("fusformer", 1, ms_bands=ms_bands, hs_bands=hs_bands, features=features, heads=heads)
        at_least("fusformer", 1, head_features=head_features, hidden=hidden)
        at_least("fusformer", 0, encoder_layers=encoder_layers, decoder_layers=decoder_layers)
        require("fusformer", patch is None or patch >= 1, ">= 1 or None", patch=patch)
        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands
        self.patch, self.clamp = patch, clamp
        self.embedding = nn.Linear(hs_bands + ms_bands, features)
        self.encoder = Encoder(features, encoder_layers, heads, head_features, hidden)
        self.decoder = Decoder(features, decoder_layers, heads, head_features, hidden)
        self.refine1 = conv(features, features)
        self.refine2 = conv(features, hs_bands)

    def forward(self, lr_hsi: Tensor, hr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w)."""
        return self.forward_parts(lr_hsi, hr_msi)[0]

    def forward_parts(self, lr_hsi: Tensor, hr_msi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the HR-HSI, the upsampled LR-HSI and the residual between them, each (B, C, s h, s w)."""
        upsampled = self._clamped(bicubic(lr_hsi, (hr_msi.shape[2], hr_msi.shape[3])))
        tokens = self.embedding(torch.cat((upsampled, hr_msi), 1).permute(0, 2, 3, 1))
        features = self._attended(tokens).permute(0, 3, 1, 2)
        residual = self.refine2(F.leaky_relu(self.refine1(features), SLOPE))
        return self._clamped(upsampled + residual), upsampled, residual

    def _attended(self, tokens: Tensor) -> Tensor:
        """Pass the pixels (B, H, W, F) through encoder and decoder, patch by patch."""
        strips = []
        for rows in _even_parts(tokens.shape[1], self.patch):
            patches = []
            for columns in _even_parts(tokens.shape[2], self.patch):
                patch = tokens[:, rows, columns]
                patches.append(self.decoder(self.encoder(patch.flatten(1, 2))).view(patch.shape))
            strips.append(torch.cat(patches, 2))
        return torch.cat(strips, 1)

    def _clamped(self, x: Tensor) -> Tensor:
        return x.clamp(0, 1) if self.clamp else x

    @property
    def export_fixed(self) -> str | None:
        """Why an exported network has a fixed size; see `finewave.zoo.exports.export`."""
        return None if self.patch is None else "the number of patches depends on the image"

    @property
    def receptive_field(self) -> int | None:
        """Largest distance in LR pixels at which a pixel affects the output; None with whole-image attention."""
        if self.patch is None:
            return None
        return -(-(self.patch + 2) // self.scale) + 2  # two convolutions beyond the patch; bicubic reads 2 LR pixels


def _even_parts(n: int, longest: int | None) -> Iterator[slice]:
    """Yield as few slices of ``range(n)`` as possible, none longer than ``longest``, lengths differing by 1 at most."""
    parts = 1 if longest is None else -(-n // longest)
    for i in range(parts):
        yield slice(i * n // parts, (i + 1) * n // parts)
