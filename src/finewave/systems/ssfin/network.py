"""SSFIN: spatial and spectral super-resolution as two interacting tasks, then their fusion.

Q. Ma, J. Jiang, X. Liu, J. Ma, "Multi-Task Interaction Learning for Spatiospectral Image Super-Resolution", IEEE TIP
31, 2950-2961, 2022. Public code: junjun-jiang/SSFIN, MIT licence; none of it is used here. The differences, also in
``docs/models/ssfin.md``:

- any scale: the public network works at x2 alone. Beyond, the shuffles are repeated for each prime factor of the scale,
  an extension of finewave's that is the published network at x2;
- the public constructor's block count has no effect; here `blocks` has one, with the published 5 by default;
- in evaluation mode only the HR-HSI is computed, not the two auxiliary images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.residual import RCAB, ChannelAttention, conv
from finewave.nn.sampling import prime_factors
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, require

INTERACTIONS = 3
CHAIN = 4  # iterations of the residual group of the fusion body


# --- Blocks -------------------------------------------------------------------------------------------------------


class SpatialAttention(nn.Module):
    """Scale each pixel by a sigmoid of a convolution of its largest and its mean feature."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (B, F, H, W) with its pixels scaled."""
        statistics = torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), 1)
        return x * self.conv(statistics).sigmoid()


class RSAB(nn.Module):
    """Residual spatial attention block: conv-ReLU-conv-spatial attention, plus the input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(features, features), conv(features, features)
        self.attention = SpatialAttention()

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block; (B, F, H, W) to the same shape."""
        return x + self.attention(self.conv2(F.relu(self.conv1(x), inplace=True)))


class DAB(nn.Module):
    """Dual attention block: conv-ReLU-conv, both attentions side by side, 1 x 1 convolution, plus the input."""

    def __init__(self, features: int, reduction: int = 16) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(features, features), conv(features, features)
        self.spatial_attention = SpatialAttention()
        self.channel_attention = ChannelAttention(features, reduction)
        self.join = conv(2 * features, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block; (B, F, H, W) to the same shape."""
        y = self.conv2(F.relu(self.conv1(x), inplace=True))
        return x + self.join(torch.cat((self.spatial_attention(y), self.channel_attention(y)), 1))


class Group(nn.Module):
    """Blocks and a convolution, plus the input: spatial group (RSAB), spectral group (RCAB) or RRG (DAB)."""

    def __init__(self, features: int, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.conv = conv(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the group; (B, F, H, W) to the same shape."""
        return x + self.conv(self.blocks(x))


def spatial_group(features: int, blocks: int = 5) -> Group:
    """Return the residual group of the spatial stream."""
    return Group(features, [RSAB(features) for _ in range(blocks)])


def spectral_group(features: int, blocks: int = 5, reduction: int = 16) -> Group:
    """Return the residual group of the spectral stream."""
    return Group(features, [RCAB(features, reduction=reduction) for _ in range(blocks)])


def residual_group(features: int, blocks: int = 5, reduction: int = 16) -> Group:
    """Return the residual group of the fusion, RRG."""
    return Group(features, [DAB(features, reduction) for _ in range(blocks)])


class Interaction(nn.Module):
    """Fuse both streams and earlier fused maps to a new map, which is passed to both streams.

    Parameters
    ----------
    features : int
        F.
    earlier : int
        Number of earlier fused maps.
    """

    def __init__(self, features: int, earlier: int) -> None:
        super().__init__()
        wide = (earlier + 2) * features
        self.fuse1, self.fuse2, self.fuse3 = conv(wide, wide), conv(wide, features), conv(features, features)
        self.to_spatial, self.to_spectral = conv(features, features), conv(features, features)

    def forward(self, earlier: Sequence[Tensor], spatial: Tensor, spectral: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the fused map and both streams, each (B, F, H, W)."""
        fused = torch.cat((*earlier, spatial, spectral), 1)
        for layer in (self.fuse1, self.fuse2, self.fuse3):
            fused = F.relu(layer(fused), inplace=True)
        return fused, F.relu(spatial + self.to_spatial(fused)), F.relu(spectral + self.to_spectral(fused))


# --- Network ------------------------------------------------------------------------------------------------------


class SSFINOutputs(NamedTuple):
    """Outputs of the three tasks."""

    hr_hsi: Tensor
    hr_msi: Tensor
    lr_hsi: Tensor


class SSFIN(SRNetwork):
    """LR-MSI (B, c, h, w) to HR-HSI (B, C, s h, s w); reflectance-like values in [0, 1].

    In training mode the call returns `SSFINOutputs`: the auxiliary HR-MSI and LR-HSI belong to the loss.

    Parameters
    ----------
    scale : int
        s, any integer >= 2; published is 2.
    ms_bands, hs_bands : int
        c and C.
    features : int
        Width of every part, a multiple of 4, at least ``reduction``; 64 as published.
    blocks : int
        Blocks in every residual group; published is 5.
    reduction : int
        Of every channel attention; published is 16.

    Notes
    -----
    Channel attention pools over the whole image, so each output pixel depends, through that pooling, on all input
    pixels; `receptive_field` states the local part.
    """

    task = "sssr"

    def __init__(
        self,
        scale: int = 2,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        features: int = 64,
        blocks: int = 5,
        reduction: int = 16,
    ) -> None:
        super().__init__()
        at_least("ssfin", 2, scale=scale)
        at_least("ssfin", 1, ms_bands=ms_bands, hs_bands=hs_bands, blocks=blocks)
        require("ssfin", features >= 4 and features % 4 == 0, "a multiple of 4", features=features)
        require("ssfin", 1 <= reduction <= features, f"1 to {features=}", reduction=reduction)
        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands
        f, factors = features, prime_factors(scale)

        self.spatial_head, self.spectral_head = conv(ms_bands, f), conv(ms_bands, f)
        self.spatial = nn.ModuleList(spatial_group(f, blocks) for _ in range(INTERACTIONS))
        self.spectral = nn.ModuleList(spectral_group(f, blocks, reduction) for _ in range(INTERACTIONS))
        self.interactions = nn.ModuleList(Interaction(f, k) for k in range(INTERACTIONS))

        narrow = f // 4
        self.hr_msi_up = nn.ModuleList(conv(n, p * p * narrow) for n, p in _chain(f, narrow, factors))
        self.hr_msi_tail = conv(narrow, ms_bands)
        self.lr_hsi_tail = conv(f, hs_bands)

        self.fusion_up = nn.ModuleList(conv(n, p * p * f) for n, p in _chain((INTERACTIONS + 2) * f, f, factors))
        self.fusion_entry = conv(f, f)
        self.fusion_group = residual_group(f, blocks, reduction)
        self.fusion_join = conv(CHAIN * f, f)
        self.tail = conv(f, hs_bands)

    def forward(self, lr_msi: Tensor) -> Tensor | SSFINOutputs:
        """Return the HR-HSI (B, C, s h, s w) of ``lr_msi`` (B, c, h, w); in training mode all three images."""
        if self.training:
            return self.forward_tasks(lr_msi)
        return self._fused(*self._interacted(lr_msi))

    def forward_tasks(self, lr_msi: Tensor) -> SSFINOutputs:
        """Return HR-HSI (B, C, s h, s w), HR-MSI (B, c, s h, s w) and LR-HSI (B, C, h, w)."""
        maps, spatial, spectral = self._interacted(lr_msi)
        return SSFINOutputs(self._fused(maps, spatial, spectral), self._sharpened(spatial), self.lr_hsi_tail(spectral))

    def _interacted(self, lr_msi: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the fused maps F1, F2, F3 and both streams with their long skips, each (B, F, h, w)."""
        first_spatial = spatial = F.relu(self.spatial_head(lr_msi))
        first_spectral = spectral = F.relu(self.spectral_head(lr_msi))
        maps: list[Tensor] = []
        for spatial_part, spectral_part, interact in zip(self.spatial, self.spectral, self.interactions, strict=True):
            fused, spatial, spectral = interact(maps, spatial_part(spatial), spectral_part(spectral))
            maps.append(fused)
        return maps, first_spatial + spatial, first_spectral + spectral

    def _sharpened(self, spatial: Tensor) -> Tensor:
        """Return the HR-MSI of the spatial stream."""
        for up, p in zip(self.hr_msi_up, prime_factors(self.scale), strict=True):
            spatial = F.pixel_shuffle(up(spatial), p)
        return self.hr_msi_tail(spatial)

    def _fused(self, maps: list[Tensor], spatial: Tensor, spectral: Tensor) -> Tensor:
        """Return the HR-HSI: one residual group, applied recursively."""
        x = torch.cat((*maps, spatial, spectral), 1)
        for up, p in zip(self.fusion_up, prime_factors(self.scale), strict=True):
            x = F.pixel_shuffle(F.relu(up(x), inplace=True), p)
        x = self.fusion_entry(x)
        chain = [self.fusion_group(x)]
        while len(chain) < CHAIN:
            chain.append(self.fusion_group(chain[-1]))
        return self.tail(x + self.fusion_join(torch.cat(chain, 1)))

    def training_loss(self, batch: dict[str, Tensor], done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the HR-HSI and the term ``auxiliary`` = a(e) [l1(LR-HSI) + l1(HR-MSI)], see `auxiliary_weight`.

        The published loss is ``l1`` plus this term, both with weight 1. ``done``, the fraction of the run, is scaled to
        the 100 published epochs.
        """
        outputs = self.forward_tasks(batch["lr_msi"])
        alpha = auxiliary_weight(1 + int(100 * done))
        terms = [F.l1_loss(getattr(outputs, name).to(batch[name]), batch[name]) for name in ("lr_hsi", "hr_msi")]
        return outputs.hr_hsi, {"auxiliary": alpha * (terms[0] + terms[1])}

    @property
    def receptive_field(self) -> int:
        """Largest distance in LR pixels at which an input pixel affects an output pixel, apart from channel pooling."""
        blocks = len(self.fusion_group.blocks)
        group = 3 * blocks + 1  # two convolutions and the spatial attention's in each block
        low = 1 + INTERACTIONS * (group + 4) + len(self.fusion_up)
        return low + -(-(1 + CHAIN * group + 2) // self.scale)

    @property
    def n_global_poolings(self) -> int:
        """Number of consecutive global poolings."""
        spectral = self.spectral[0]
        assert isinstance(spectral, Group)
        return INTERACTIONS * len(spectral.blocks) + CHAIN * len(self.fusion_group.blocks)

    def receptive_field_with_pooling(self, window: int) -> int:
        """Return `receptive_field` with channel pooling over windows of the given side in LR pixels."""
        return self.receptive_field + self.n_global_poolings * -(-window // 2)


def auxiliary_weight(epoch: int) -> float:
    """Return a(e), e from 1 to 100: 0.5 up to epoch 10, then a quarter of a cosine down to 0 at epoch 90."""
    if epoch <= 10:
        return 0.5
    return 0.5 * math.cos(math.pi * (epoch - 10) / 160) if epoch < 90 else 0.0


def _chain(first: int, width: int, factors: list[int]) -> list[tuple[int, int]]:
    """Return input width and prime of each upsampling step: ``first``, then the output width of the step before."""
    return [(width if i else first, p) for i, p in enumerate(factors)]
