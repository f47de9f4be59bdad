"""SSPSR: super-resolution of a hyperspectral image by a spatial-spectral prior network, in overlapping band groups.

J. Jiang, H. Sun, X. Liu, J. Ma, "Learning Spatial-Spectral Prior for Super-Resolution of Hyperspectral Imagery", IEEE
Transactions on Computational Imaging 6, 1082-1096, 2020, arXiv 2005.08752. Public code: junjun-jiang/SSPSR, no licence
was found. Known differences, each explained in ``docs/models/sspsr.md``:

- any scale from 2: the trunk takes the smallest prime factor, the branches the others (public code: even scales only);
- an image with fewer bands than a group is one group (public code: negative indices);
- separate branches also have the branch factor (public code: always 2);
- the bicubic upsampling is part of the network, by MATLAB's rules;
- ``initialisation="interpolation"`` makes the untrained network return the bicubic image.

Symbols: x the LR-HSI (C x h x w), s the scale, n the bands of a group, o their overlap, F the features, G the groups.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.exporting import exporting
from finewave.nn.full_precision import full_precision
from finewave.nn.residual import ChannelAttention, conv
from finewave.nn.sampling import prime_factors
from finewave.nn.upsampling import Upsampler
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, one_of, require
from finewave.systems.sspsr.matlab_bicubic import matlab_enlarge

# Options that differ between the published data sets. Chikusei and CAVE: launch script of the public code; Pavia
# Centre: blocks from that code's defaults.
PRESETS: dict[str, dict[str, Any]] = {
    "chikusei": {"hs_bands": 128, "group_size": 8, "overlap": 2, "blocks": 3, "features": 256},
    "pavia-centre": {"hs_bands": 102, "group_size": 8, "overlap": 2, "blocks": 3, "features": 256},
    "cave": {"hs_bands": 31, "group_size": 4, "overlap": 1, "blocks": 8, "features": 256},
}

# Groups are processed together up to this number of pixels: efficient for small crops, without the memory of all groups
# for whole scenes.
_PIXELS_AT_ONCE = 2**14


def band_groups(bands: int, size: int, overlap: int) -> list[int]:
    """Return the first band of each group; the last group is shifted to end at the last band."""
    size = min(size, bands)
    overlap = min(overlap, size - 1)
    count = math.ceil((bands - overlap) / (size - overlap))
    return [min((size - overlap) * i, bands - size) for i in range(count)]


# --- Spatial-spectral prior network -------------------------------------------------------------------------------


class SSB(nn.Module):
    """Spatial-spectral block: two residual modules, one in space, one across features; (B, F, h, w) to the same.

        t = t + 0.1 conv3x3(ReLU(conv3x3(t)))
        t = t + 0.1 CA(conv1x1(ReLU(conv1x1(t))))

    CA is channel attention. The published figure has no factor 0.1; the code has it.
    """

    def __init__(self, features: int, residual_scale: float = 0.1, reduction: int = 16) -> None:
        super().__init__()
        self.residual_scale = residual_scale
        self.spatial1 = conv(features, features)
        self.spatial2 = conv(features, features)
        self.spectral1 = conv(features, features, 1)
        self.spectral2 = conv(features, features, 1)
        self.attention = ChannelAttention(features, min(reduction, features))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        x = x + self.residual_scale * self.spatial2(F.relu(self.spatial1(x), inplace=True))
        y = self.spectral2(F.relu(self.spectral1(x), inplace=True))
        return x + self.residual_scale * self.attention(y)


class SSPN(nn.Sequential):
    """Spatial-spectral prior network: SSBs one after the other, plus the input; (B, F, h, w) to the same."""

    def __init__(self, features: int, blocks: int, residual_scale: float = 0.1, reduction: int = 16) -> None:
        super().__init__(*(SSB(features, residual_scale, reduction) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network."""
        return x + super().forward(x)


class BranchUnit(nn.Module):
    """Convolution, SSPN, upsampler and, with ``tail``, a convolution back to the bands.

    (B, n, h, w) to (B, n or F, r h, r w), r the product of the factors.
    """

    def __init__(
        self,
        bands: int,
        features: int,
        blocks: int,
        factors: list[int],
        *,
        tail: bool = True,
        residual_scale: float = 0.1,
        reduction: int = 16,
    ) -> None:
        super().__init__()
        self.head = conv(bands, features)
        self.body = SSPN(features, blocks, residual_scale, reduction)
        self.upsampler = Upsampler(features, factors)
        self.tail = conv(features, bands) if tail else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply the unit."""
        x = self.upsampler(self.body(self.head(x)))
        return x if self.tail is None else self.tail(x)


# --- Loss ---------------------------------------------------------------------------------------------------------
# The published loss is l1 + 1e-3 spatial_tv + 1e-3 spectral_tv; both terms depend on the prediction only.


def spatial_tv(y: Tensor) -> Tensor:
    """Mean square of the differences between rows, plus that between columns, of ``y`` (B, C, H, W).

    0 along an axis with a single pixel.
    """
    y = y.float() if y.dtype.itemsize < 4 else y
    return sum((_mean_square(y.diff(dim=axis)) for axis in (2, 3)), y.new_zeros(()))


def spectral_tv(y: Tensor) -> Tensor:
    """Twice the mean square of the differences between neighbouring bands of ``y`` (B, C, H, W); 0 for a single one."""
    y = y.float() if y.dtype.itemsize < 4 else y
    return 2 * _mean_square(y.diff(dim=1))


def _mean_square(x: Tensor) -> Tensor:
    return x.square().sum() / max(1, x.numel())


# --- The network --------------------------------------------------------------------------------------------------


class SSPSR(SRNetwork):
    """LR-HSI to HR-HSI: (B, C, h, w) to (B, C, s h, s w), reflectance-like values in [0, 1].

    Parameters
    ----------
    scale : int
        s, any integer >= 2; 4 and 8 in the publication. The trunk enlarges by the smallest prime factor of s, the
        branches by the others, so that even scales divide as published: s/2 and 2.
    hs_bands : int
        C.
    group_size, overlap : int
        n and o; an image of fewer than n bands is one group.
    features : int
        F.
    blocks : int
        SSBs in each SSPN.
    shared : bool
        One branch for all groups, as published; otherwise one per group.
    residual_scale : float
        Factor of the residuals in an SSB.
    reduction : int
        Reduction of the channel attention; at least one channel remains.
    initialisation : {"interpolation", "framework"}
        Weight initialisation: so that the network returns the bicubic image, or PyTorch's default, as published. The
        former needs ``features >= hs_bands`` and otherwise has no effect.

    Notes
    -----
    Channel attention pools over the whole image, so each output pixel depends, through that pooling, on all input
    pixels; `receptive_field` states the local part.

    `PRESETS` has the arguments of the three published data sets.
    """

    task = "sr"

    def __init__(
        self,
        scale: int = 4,
        hs_bands: int = 31,
        *,
        group_size: int = 8,
        overlap: int = 2,
        features: int = 256,
        blocks: int = 3,
        shared: bool = True,
        residual_scale: float = 0.1,
        reduction: int = 16,
        initialisation: Literal["interpolation", "framework"] = "interpolation",
    ) -> None:
        super().__init__()
        at_least("sspsr", 2, scale=scale)
        at_least("sspsr", 1, hs_bands=hs_bands, group_size=group_size, features=features, blocks=blocks)
        at_least("sspsr", 1, reduction=reduction)
        require("sspsr", 0 <= overlap < group_size, f"at least 0 and below {group_size=}", overlap=overlap)
        require("sspsr", math.isfinite(residual_scale), "finite", residual_scale=residual_scale)
        one_of("sspsr", ("interpolation", "framework"), initialisation=initialisation)
        self.scale, self.hs_bands = scale, hs_bands
        self.group_size = min(group_size, hs_bands)
        self.groups = band_groups(hs_bands, group_size, overlap)
        coverage = torch.zeros(1, hs_bands, 1, 1)
        for first in self.groups:
            coverage[:, first : first + self.group_size] += 1
        self.register_buffer("coverage", coverage, persistent=False)  # groups that a band belongs to

        last, *before = prime_factors(scale)
        self.branch_factor = scale // last
        options: dict[str, Any] = {"residual_scale": residual_scale, "reduction": reduction}
        self.branches = nn.ModuleList(
            BranchUnit(self.group_size, features, blocks, before, **options)
            for _ in range(1 if shared else len(self.groups))
        )
        self.trunk = BranchUnit(hs_bands, features, blocks, [last], tail=False, **options)
        self.skip = conv(hs_bands, features)
        self.final = conv(features, hs_bands)
        if initialisation == "interpolation" and features >= hs_bands:
            _start_at_interpolation(self)

    def forward(self, lr_hsi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w)."""
        return self.refine(lr_hsi, matlab_enlarge(lr_hsi, self.scale))

    def refine(self, lr_hsi: Tensor, enlarged: Tensor) -> Tensor:
        """Return the HR-HSI from ``lr_hsi`` and its enlargement (B, C, s h, s w), which `forward` makes by itself."""
        y = self.trunk(self.merged_branches(lr_hsi))
        with full_precision(lr_hsi):
            return self.final(y.to(lr_hsi.dtype) + self.skip(enlarged))

    def merged_branches(self, lr_hsi: Tensor) -> Tensor:
        """Return the mean of the groups' branches, band by band; (B, C, h, w) to (B, C, r h, r w), r = s/2 if even."""
        B, _, h, w = lr_hsi.shape
        r, n = self.branch_factor, self.group_size
        total = lr_hsi.new_zeros(B, self.hs_bands, r * h, r * w)
        shared = len(self.branches) == 1
        together = 1 if not shared else len(self.groups) if exporting() else max(1, _PIXELS_AT_ONCE // (B * h * w))
        for i in range(0, len(self.groups), together):
            firsts = self.groups[i : i + together]
            x = torch.cat([lr_hsi[:, first : first + n] for first in firsts])
            parts = self.branches[0 if shared else i](x).chunk(len(firsts))
            for first, part in zip(firsts, parts, strict=True):
                total[:, first : first + n] += part
        return total / self.get_buffer("coverage")

    def training_loss(self, batch: dict[str, Tensor], done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the output for ``batch`` and the terms of the published loss that depend on it alone."""
        output = self(batch["lr_hsi"])
        return output, {"spatial_tv": spatial_tv(output), "spectral_tv": spectral_tv(output)}

    @property
    def receptive_field(self) -> int:
        """Largest distance in LR pixels at which an input pixel affects an output pixel, apart from channel pooling."""
        convolutions = 2 * len(self.trunk.body)  # 3 x 3, so one pixel each; those of an SSPN
        reach = 1  # in pixels of the current level, from the output back to the input; here the last convolution
        for p in reversed(self.trunk.upsampler.factors):
            reach = -(-reach // p) + 1
        reach += 1 + convolutions  # head and SSPN of the trunk
        branch = self.branches[0]
        assert isinstance(branch, BranchUnit)
        reach += 1  # the branch's tail
        for p in reversed(branch.upsampler.factors):
            reach = -(-reach // p) + 1
        reach += 1 + convolutions
        return max(reach, 3)  # the upsampling reads 2 pixels to each side, the two convolutions after it one more

    @property
    def n_global_poolings(self) -> int:
        """Number of consecutive global poolings."""
        branch = self.branches[0]
        assert isinstance(branch, BranchUnit)
        return len(branch.body) + len(self.trunk.body)

    def receptive_field_with_pooling(self, window: int) -> int:
        """Return `receptive_field` with channel pooling over windows of the given side in LR pixels."""
        return self.receptive_field + self.n_global_poolings * -(-window // 2)


@torch.no_grad()
def _start_at_interpolation(net: SSPSR) -> None:
    """Initialise the skip path to pass the upsampled bands, and the trunk to add little."""
    C = net.hs_bands
    for layer in (net.skip, net.final):
        assert layer.bias is not None
        layer.weight.mul_(0.01)
        nn.init.zeros_(layer.bias)
        layer.weight[:C, :C, 1, 1] += torch.eye(C)
    for parameter in net.trunk.upsampler.parameters():
        parameter.mul_(0.01)
