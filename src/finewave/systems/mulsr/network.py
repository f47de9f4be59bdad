"""MulSR: two architectures, for the scales s and s/2, that learn jointly; fusion of LR-HSI and aligned HR-RGB.

"Multiscale Factor Joint Learning for Hyperspectral Image Super-Resolution", IEEE TGRS 2023 (IEEE Xplore document
10242161). Public code: qianngli/MulSR; no licence was found, and none of it is used here. The differences, also in
``docs/models/mulsr.md``:

- two modules (RDE) in each encoder as published, while the public code has four;
- any scale from 2, any size, any number of bands from 1, any width that is a multiple of 8;
- the half-scale architecture has its own output layers, so that the network returns images of both scales and the
  smaller one can be supervised. The public code returns an internal difference there, which no loss uses;
- a training step averages over several bands, while the public code makes one step per band;
- degradations are centred on the LR pixels, see `finewave.physics.random_degradation`.

One band is reconstructed at a time, from itself, its two neighbours and the RGB image, with the same weights for all.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from finewave.errors import InputError, unknown_name
from finewave.nn.sampling import bicubic
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, require

PIXELS_AT_ONCE = 2**18  # HR pixels of bands that go through the network together

Ablation = Literal["mii", "dsca", "lfcc", "half-scale"]
"""Parts removed in the published ablations."""


def wn_conv(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Module:
    """Return a convolution with weight normalisation that keeps the image size, apart from the stride."""
    return weight_norm(nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2))


# --- Symmetrical guided encoder (SGE) -----------------------------------------------------------------------------


class Unit(nn.Module):
    """conv-ReLU-conv, plus the input; (B, F, H, W) to the same shape."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = wn_conv(features, features), wn_conv(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return x + self.conv2(F.relu(self.conv1(x), inplace=True))


class CrossFusion(nn.Module):
    """Common and different parts of the two modalities, as three slices mixed by a 3-D convolution.

    Slices have 3/4 F channels: common, half of each, different; each has a learned factor.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        wide, slice_ = features * 9 // 8, features * 3 // 4
        self.difference = wn_conv(features, wide)
        self.common = wn_conv(2 * features, wide)
        self.factors = nn.Parameter(torch.ones(3))
        # the 3-D convolution in its two steps, within the slices (1, 3, 3) and across them (3, 1, 1)
        self.within = wn_conv(slice_, slice_)
        self.across = weight_norm(nn.Conv2d(slice_, slice_, (3, 1), padding=(1, 0)))
        self.join = wn_conv(3 * slice_, features)

    def forward(self, h: Tensor, r: Tensor) -> Tensor:
        """Return (B, F, H, W) from hyperspectral and RGB features of the same shape."""
        d, q = self.difference(h - r), self.common(torch.cat((h, r), 1))
        slice_, rest = 2 * d.shape[1] // 3, d.shape[1] // 3
        slices = (q[:, :slice_], torch.cat((q[:, slice_:], d[:, :rest]), 1), d[:, rest:])
        stack = torch.stack([f * x for f, x in zip(self.factors, slices, strict=True)], 1)  # (B, 3, 3/4 F, H, W)
        within = self.within(stack.flatten(0, 1)).view(stack.shape)
        across = self.across(within.transpose(1, 2).flatten(3)).view(within.transpose(1, 2).shape).transpose(1, 2)
        return self.join((across + stack).flatten(1, 2))


class RDE(nn.Module):
    """One cross-modal fusion module of the encoder: both streams receive the same fused features."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.hsi_first, self.rgb_first = Unit(features), Unit(features)
        self.cross_fusion = CrossFusion(features)
        self.hsi_end, self.rgb_end = Unit(features), Unit(features)

    def forward(self, h: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """Return both streams, (B, F, H, W) each."""
        h1, r1 = self.hsi_first(h), self.rgb_first(r)
        fused = self.cross_fusion(h1, r1)
        return h + self.hsi_end(h1 + fused), r + self.rgb_end(r1 + fused)


class SGE(nn.Module):
    """Symmetrical guided encoder: a head for each modality, RDE after RDE, and a 1 x 1 convolution of both."""

    def __init__(self, ms_bands: int, features: int, modules: int) -> None:
        super().__init__()
        self.hsi_head, self.rgb_head = wn_conv(3, features), wn_conv(ms_bands, features)
        self.stages = nn.ModuleList(RDE(features) for _ in range(modules))
        self.reduce = wn_conv(2 * features, features, 1)

    def forward(self, hsi3: Tensor, rgb: Tensor) -> Tensor:
        """Return features (n B, F, H, W) of n bands of each image: ``hsi3`` (n B, 3, H, W), ``rgb`` (B, c, H, W)."""
        h, r = self.hsi_head(hsi3), self.rgb_head(rgb).repeat_interleave(len(hsi3) // len(rgb), 0)
        for stage in self.stages:
            h, r = stage(h, r)
        return self.reduce(torch.cat((h, r), 1))


# --- Interaction of the two scales --------------------------------------------------------------------------------


class Scan(nn.Module):
    """Pass context from line to line: there, x_i += PReLU(conv x_{i-1}), and back, x_i += PReLU(conv x_{i+1}).

    The kernel, 7 along the line, is the same in both directions. The scan is sequential in the number of lines.

    Parameters
    ----------
    features : int
        F.
    vertical : bool
        Scan rows from top to bottom and back; otherwise columns from left to right and back.
    """

    def __init__(self, features: int, vertical: bool) -> None:
        super().__init__()
        self.lines = 2 if vertical else 3
        self.conv = nn.Conv2d(features, features, (1, 7) if vertical else (7, 1))
        self.slope = nn.Parameter(torch.tensor([0.25]))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the scan to (B, F, H, W)."""
        weight, bias = self.conv.weight.flatten(2), self.conv.bias
        lines = list(x.unbind(self.lines))
        n = len(lines)
        for order in (range(1, n), range(n - 2, -1, -1)):
            for i in order:
                before = lines[i - order.step]
                lines[i] = lines[i] + F.prelu(F.conv1d(before, weight, bias, padding=3), self.slope.to(before.dtype))
        return torch.stack(lines, self.lines)


class DSCA(nn.Sequential):
    """Direction-aware spatial context aggregation: a vertical scan, then a horizontal one."""

    def __init__(self, features: int) -> None:
        super().__init__(Scan(features, vertical=True), Scan(features, vertical=False))


class PixelUp(nn.Module):
    """1 x 1 convolution and pixel shuffle: twice the size, minus a row or column for an odd size."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv = wn_conv(features, 4 * features, 1)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """Return ``x`` at the size of ``like``."""
        return F.pixel_shuffle(self.conv(x), 2)[..., : like.shape[2], : like.shape[3]]


class MII(nn.Module):
    """Multi-scale information interaction: features of both scales, aggregated along directions, are added to both.

    Without ``context`` it is not aggregated.
    """

    def __init__(self, features: int, context: bool = True) -> None:
        super().__init__()
        self.down = nn.Conv2d(features, features, 3, stride=2, padding=1)
        self.reduce = wn_conv(2 * features, features, 1)
        self.context = DSCA(features) if context else nn.Identity()
        self.up = PixelUp(features)

    def forward(self, half: Tensor, full: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of both scales, (B, F, ceil(H/2), ceil(W/2)) and (B, F, H, W)."""
        m = self.context(self.reduce(torch.cat((self.down(full), half), 1)))
        return half + m, full + self.up(m, full)


class LFCC(nn.Module):
    """Learnable feedback compensation correction: the difference between the scales is fed back to the large one."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.down = wn_conv(features, features, stride=2)
        self.up = PixelUp(features)

    def forward(self, half: Tensor, full: Tensor) -> tuple[Tensor, Tensor]:
        """Return the difference (B, F, ceil(H/2), ceil(W/2)) and the corrected features (B, F, H, W)."""
        difference = self.down(full) - half
        return difference, full + self.up(difference, full)


# --- Network ------------------------------------------------------------------------------------------------------


class Bands(NamedTuple):
    """Outputs for some bands: (B, 1, H, W) at scale s, at s/2, and the difference fed back by LFCC.

    The half-scale bands are None without their output layers, the difference is None without LFCC; outputs that were
    not requested are None.
    """

    full: Tensor | None
    half: Tensor | None
    difference: Tensor | None


class MulSROutputs(NamedTuple):
    """The HR-HSI at scale s, (B, C, H, W), and on every other row and column of it."""

    hr_hsi: Tensor
    half_scale: Tensor


class MulSR(SRNetwork):
    """LR-HSI (B, C, h, w) and HR-RGB (B, c, s h, s w), aligned, to HR-HSI (B, C, s h, s w); values in [0, 1].

    An HR-RGB image of s/2 times the size, for an even s from 4, gives the HR-HSI of that size: the half-scale
    architecture receives it unchanged, the other one interpolated. In training mode, and with ``both_scales``, the call
    returns `MulSROutputs`.

    Parameters
    ----------
    scale : int
        s, any integer >= 2; even as published. The smaller scale is s/2.
    ms_bands, hs_bands : int
        c and C; published with c = 3 and C >= 3.
    modules : int
        N, cross-modal fusion modules in each encoder; published is 2.
    features : int
        Width, a multiple of 8; published is 64.
    both_scales : bool
        Whether the half-scale architecture has output layers; without, as in the public code, only its features are
        used.
    bands_per_step : int or None
        Number of random bands per training step; None for all. The public code makes one step per band.
    without : {"mii", "dsca", "lfcc", "half-scale"}, optional
        Part to remove, for the published ablations: the interaction of the scales; its aggregation along directions
        alone; the feedback; the half-scale architecture with its connections ("single scale", with one scale whatever
        ``both_scales`` says).
    """

    task = "fusion"
    receptive_field = None  # DSCA carries context over the whole image
    export_fixed = "its scans take one step per line of the image"

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        modules: int = 2,
        features: int = 64,
        both_scales: bool = True,
        bands_per_step: int | None = None,
        without: Ablation | None = None,
    ) -> None:
        super().__init__()
        at_least("mulsr", 2, scale=scale)
        at_least("mulsr", 1, ms_bands=ms_bands, hs_bands=hs_bands, modules=modules)
        require("mulsr", features >= 8 and features % 8 == 0, "a multiple of 8", features=features)
        fits = bands_per_step is None or bands_per_step >= 1
        require("mulsr", fits, ">= 1 or None", bands_per_step=bands_per_step)
        if without is not None and without not in get_args(Ablation):
            raise unknown_name("part to leave out of mulsr", without, get_args(Ablation))
        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands
        self.factor, self.bands_per_step = scale, bands_per_step
        half, feedback = without != "half-scale", without not in ("half-scale", "lfcc")
        self.half_encoder = SGE(ms_bands, features, modules) if half else None
        self.full_encoder = SGE(ms_bands, features, modules)
        self.interaction = MII(features, without != "dsca") if half and without != "mii" else None
        # the rest of the half-scale architecture serves the feedback and the half-scale output
        self.half_unit = Unit(features) if feedback or (half and both_scales) else None
        self.full_unit = Unit(features)
        self.feedback = LFCC(features) if feedback else None
        self.full_end = nn.Sequential(wn_conv(features, features), wn_conv(features, 1))
        ends = half and both_scales
        self.half_end = nn.Sequential(wn_conv(features, features), wn_conv(features, 1)) if ends else None

    @property
    def scales(self) -> tuple[int, ...]:
        """The supported ratios of HR-RGB to LR-HSI, the declared one first."""
        other = self.factor if self.scale < self.factor else self.factor // 2
        serves_both = self.half_end is not None and self.factor % 2 == 0 and self.factor >= 4
        return (self.scale, other) if serves_both else (self.scale,)

    def at_half_scale(self) -> MulSR:
        """Return this network, sharing its weights, declared as one of scale s/2.

        Raises
        ------
        InputError
            If it has no end for that scale, or s/2 is not an integer >= 2.
        """
        if len(self.scales) == 1:
            raise InputError(f"this mulsr of scale {self.factor} supports that scale only, see both_scales")
        twin = copy.copy(self)
        twin.scale = self.factor // 2
        return twin

    def forward(self, lr_hsi: Tensor, hr_msi: Tensor) -> Tensor | MulSROutputs:
        """Return the HR-HSI (B, C, H, W) at the size of ``hr_msi``; in training mode that of both scales."""
        ratio = hr_msi.shape[2] // lr_hsi.shape[2]
        if ratio not in self.scales:
            raise InputError(f"hr_msi has {ratio} times the rows of lr_hsi; this mulsr takes {self.scales}")
        bands = range(lr_hsi.shape[1])
        if ratio != self.factor:
            return self._images(lr_hsi, hr_msi, bands, full=False)[0]
        images = self._images(lr_hsi, hr_msi, bands, half=self.training)
        return images[0] if len(images) == 1 else MulSROutputs(*images)

    def forward_bands(self, hsi3: Tensor, rgb: Tensor, *, full: bool = True, half: bool = True) -> Bands:
        """Reconstruct n bands of each of B images.

        Parameters
        ----------
        hsi3 : Tensor (n B, 3, h, w)
            Both neighbours of each band, then the band itself; the bands of an image follow each other.
        rgb : Tensor (B, c, H, W)
            At scale s, or s/2 for the half-scale bands alone.
        full, half : bool
            Which of the two outputs to compute.
        """
        if rgb.shape[2] == self.factor * hsi3.shape[2]:
            full_rgb, half_rgb = rgb, rgb[..., ::2, ::2]
        else:
            full_rgb, half_rgb = bicubic(rgb, (2 * rgb.shape[2], 2 * rgb.shape[3])), rgb
        hsi = hsi3.repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3)
        X = self.full_encoder(hsi, full_rgb)
        if self.half_encoder is None:
            return Bands(self.full_end(self.full_unit(X)), None, None)
        x = self.half_encoder(hsi[..., ::2, ::2], half_rgb)
        if self.interaction is not None:
            x, X = self.interaction(x, X)
        if self.half_unit is not None:
            x = self.half_unit(x)
        half_bands = self.half_end(x) if half and self.half_end is not None else None
        if not full:
            return Bands(None, half_bands, None)
        X, difference = self.full_unit(X), None
        if self.feedback is not None:
            difference, X = self.feedback(x, X)
        return Bands(self.full_end(X), half_bands, difference)

    def _images(
        self, lr_hsi: Tensor, hr_msi: Tensor, bands: Sequence[int], *, full: bool = True, half: bool = True
    ) -> list[Tensor]:
        """Return the ``bands`` (B, n, H, W) at the requested scales; a few bands at a time."""
        B, (H, W) = len(lr_hsi), hr_msi.shape[2:]
        at_once = max(1, PIXELS_AT_ONCE // (B * H * W))
        sources = torch.tensor([_sources(i, lr_hsi.shape[1]) for i in bands], device=lr_hsi.device)
        parts = []
        for batch in sources.split(at_once):
            result = self.forward_bands(lr_hsi[:, batch].flatten(0, 1), hr_msi, full=full, half=half)
            parts.append([x.view(B, -1, *x.shape[2:]) for x in result[:2] if x is not None])
        return [torch.cat(images, 1) for images in zip(*parts, strict=True)]

    def training_loss(self, batch: dict[str, Tensor], done: float) -> tuple[None, dict[str, Tensor]]:
        """Return the terms of the joint loss for some random bands: ``l1`` at scale s, ``half_scale`` at s/2.

        The half-scale image is compared with the rows and columns of the HR-HSI at which its RGB image was sampled.
        """
        C = self.hs_bands
        # seeded by the progress, not by a global state, so that a resumed run draws the same bands
        generator = torch.Generator().manual_seed(int(done * 2**40))
        bands = torch.randperm(C, generator=generator)[: self.bands_per_step or C].tolist()
        target = batch["hr_hsi"][:, bands]
        images = self._images(batch["lr_hsi"], batch["hr_msi"], bands)
        targets = {"l1": target, "half_scale": target[..., ::2, ::2]}
        terms = {name: F.l1_loss(image.to(t), t) for image, (name, t) in zip(images, targets.items(), strict=False)}
        if self.half_encoder is None:  # the ablations share one recipe, which weighs both
            terms["half_scale"] = target.new_zeros(())
        return None, terms


def _sources(i: int, n: int) -> tuple[int, int, int]:
    """Return the neighbours of band ``i`` of ``n`` and the band itself; at the ends, the next two inwards."""
    if i == 0:
        return min(1, n - 1), min(2, n - 1), 0
    if i == n - 1:
        return n - 2, max(0, n - 3), i
    return i - 1, i + 1, i
