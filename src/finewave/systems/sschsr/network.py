"""SSC-HSR: hyperspectral super-resolution guided by an RGB image that is not aligned.

Y. Zhang, Z. Lai, T. Zhang, Y. Fu, C. Zhou, "Unaligned RGB Guided Hyperspectral Image Super-Resolution with
Spatial-Spectral Concordance", IJCV 2025, arXiv 2505.02109. Public code: BITYKZhang/SSC-HSR; no licence file was found
in the available files. Differences from it, explained in ``docs/models/ssc-hsr.md``:

- flow zero is the identity of the warp (``flow_grid="published"``: half a pixel off at the borders);
- the reference's features are warped by matches between patch centres (``match_anchor="corner"``: between corners);
- colours are matched to the degraded reference, never to the target image, which is not used for normalisation either;
- both images have the same range in the flow network;
- predicted offsets are initialised near zero, not at zero, so that their layers have a gradient from the first step;
  the last convolutions of decoder and warp network start at a tenth of their usual size;
- any size, band count and scale: images are padded inside; a reference of another size is resampled;
- the encoder of the reference's features is trainable; it equals VGG-19 if given its weights and frozen.

Three parts: two-stage image alignment (TSIA), feature aggregation (FA) and attention fusion (AF), the last two coarse
to fine at a quarter, half and full size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.exporting import exporting
from finewave.nn.sampling import bicubic
from finewave.nn.warping import backward_warp
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, one_of, require
from finewave.systems.sschsr.deformable import deformable_conv
from finewave.systems.sschsr.guided_attention import STRIP, FusionBlock
from finewave.systems.sschsr.histogram import match_histograms
from finewave.systems.sschsr.matching import Correspondence, match
from finewave.systems.sschsr.raft import RAFT
from finewave.systems.sschsr.vgg import VGGTrunk

SIZE_MULTIPLE = 8  # of the flow network
LEAST_SIZE = 64  # below, the coarsest correlations of the flow network have no pixel
PUBLISHED_RGB = (15 / 30, 8 / 30, 3 / 30)  # bands 15, 8 and 3 of 31

# --- Two-stage image alignment ------------------------------------------------------------------------------------


class ConvBlock(nn.Module):
    """conv-LeakyReLU twice, plus a 1 x 1 convolution of the input; (B, a, H, W) to (B, b, H, W)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        y = F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(x), 0.01)), 0.01)
        return y + self.shortcut(x)


class WarpNet(nn.Module):
    """Second stage: corrects the warped reference (B, 3, H, W); a U-Net whose output is added to it."""

    def __init__(self, features: int = 16) -> None:
        super().__init__()
        f = features
        self.encode1, self.down1 = ConvBlock(9, f), nn.Conv2d(f, f, 4, 2, 1)
        self.encode2, self.down2 = ConvBlock(f, 2 * f), nn.Conv2d(2 * f, 2 * f, 4, 2, 1)
        self.bottom = ConvBlock(2 * f, 4 * f)
        self.up2, self.decode2 = nn.ConvTranspose2d(4 * f, 2 * f, 2, 2), ConvBlock(4 * f, 2 * f)
        self.up1, self.decode1 = nn.ConvTranspose2d(2 * f, f, 2, 2), ConvBlock(2 * f, f)
        self.out = nn.Conv2d(f, 3, 3, padding=1)

    def forward(self, image: Tensor, reference: Tensor, warped: Tensor) -> Tensor:
        """Return the refined reference from pseudo-RGB, reference and warped reference, (B, 3, H, W) each."""
        e1 = self.encode1(torch.cat((image, reference, warped), 1))
        e2 = self.encode2(self.down1(e1))
        d2 = self.decode2(torch.cat((self.up2(self.bottom(self.down2(e2))), e2), 1))
        d1 = self.decode1(torch.cat((self.up1(d2), e1), 1))
        return self.out(d1).to(warped.dtype) + warped


# --- Feature aggregation ------------------------------------------------------------------------------------------


class HSIEncoder(nn.Module):
    """Upsampled LR-HSI (B, C, H, W) to features: f at full, 2f at half, 4f at a quarter of the size."""

    def __init__(self, hs_bands: int, features: int) -> None:
        super().__init__()
        widths = (features, 2 * features, 4 * features)
        self.blocks = nn.ModuleList(ConvBlock(a, b) for a, b in zip((hs_bands, *widths), widths, strict=False))
        self.convs = nn.ModuleList(nn.Conv2d(w, w, 5, 1 if i == 0 else 2, 2) for i, w in enumerate(widths))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features, fine to coarse."""
        levels = []
        for block, conv in zip(self.blocks, self.convs, strict=True):
            x = conv(block(x))
            levels.append(x)
        return levels


class DeformableAggregation(nn.Module):
    """Deformable aggregation of reference features at the matched positions plus a learned residual (core of IDFA).

    Parameters
    ----------
    features : int
        C.
    groups : int
        Groups of channels with separate offsets.
    max_residue : float
        Largest change of an offset, in pixels.
    """

    def __init__(self, features: int, groups: int = 8, max_residue: float = 10.0) -> None:
        super().__init__()
        self.groups, self.max_residue = groups, max_residue
        self.weight = nn.Parameter(torch.empty(features, features, 3, 3))
        self.bias = nn.Parameter(torch.zeros(features))
        nn.init.uniform_(self.weight, -((9 * features) ** -0.5), (9 * features) ** -0.5)
        self.offset_mask = nn.Conv2d(features, groups * 27, 3, padding=1)
        # Published: zero. Then layers before this one and the matching would have no gradient at first.
        nn.init.normal_(self.offset_mask.weight, std=1e-3)
        nn.init.zeros_(self.offset_mask.bias)  # type: ignore[arg-type]  # there is a bias

    def forward(self, reference: Tensor, guide: Tensor, offsets: Tensor, similarity: Tensor) -> Tensor:
        """Return (B, C, H, W).

        Parameters
        ----------
        reference, guide : Tensor (B, C, H, W)
            Features to aggregate, and features that determine the offsets.
        offsets, similarity : Tensor (B, 9, 2, H, W) and (B, 1, H, W)
            See `finewave.systems.sschsr.matching.Correspondence`.
        """
        height, width = guide.shape[2:]
        rows = max(1, STRIP // (guide.shape[0] * len(_given(self.offset_mask.bias)) * width))
        if torch.is_grad_enabled() or exporting():
            rows = height
        guide = F.pad(guide, (1, 1, 1, 1))
        strips = []
        for top in range(0, height, rows):  # the offsets of all groups are at full size the network's largest values
            seen, kept = slice(top, top + rows + 2), slice(top, top + rows)
            strips.append(self._rows(reference, guide[:, :, seen], offsets[..., kept, :], similarity[:, :, kept], top))
        return torch.cat(strips, 2) if len(strips) > 1 else strips[0]

    def _rows(self, reference: Tensor, guide: Tensor, offsets: Tensor, similarity: Tensor, top: int) -> Tensor:
        # two thirds are offsets, y before x; apart and in place
        weight, bias = self.offset_mask.weight, _given(self.offset_mask.bias)
        first = 2 * len(bias) // 3
        mask = (F.conv2d(guide, weight[first:], bias[first:]) * similarity).sigmoid()
        residue = F.conv2d(guide, weight[:first], bias[:first]).to(offsets.dtype).tanh_()
        before = offsets.flip(2).flatten(1, 2)[:, None]
        offset = torch.add(before, residue.unflatten(1, (self.groups, -1)), alpha=self.max_residue).flatten(1, 2)
        del residue, before
        return deformable_conv(reference, offset, mask, self.weight, self.bias, top)


class IDFA(nn.Module):
    """Iterative deformable feature aggregation at one level, guided by the fusion of the coarser one.

    Parameters
    ----------
    features : int
        C of encoder, reference and coarser fusion.
    first : bool
        The coarsest level has no fusion before it.
    groups : int
        See `DeformableAggregation`.
    """

    def __init__(self, features: int, first: bool, groups: int = 8) -> None:
        super().__init__()
        self.merge = None if first else nn.Conv2d(2 * features, features, 1)
        self.conv1 = nn.Conv2d(3 * features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.aggregate = DeformableAggregation(features, groups)

    def forward(
        self, encoded: Tensor, fused: Tensor | None, reference: Tensor, matches: Correspondence, flow: Tensor
    ) -> Tensor:
        """Return the ``reference`` features aligned with the encoded HSI, (B, C, H, W)."""
        x = encoded if self.merge is None else self.merge(torch.cat((encoded, _given(fused)), 1))
        warped = backward_warp(reference, flow, padding="zeros")
        guide = F.leaky_relu(self.conv1(torch.cat((x, warped, reference), 1)), 0.1)
        guide = F.leaky_relu(self.conv2(guide), 0.1)
        return F.leaky_relu(self.aggregate(reference, guide, matches.offsets, matches.similarity), 0.1)


# --- Attention fusion ---------------------------------------------------------------------------------------------


class AttentionFusion(nn.Module):
    """AF at one level: (B, C, H, W), and the coarser level's output, to (B, D, 2H, 2W), or (B, D, H, W) at the finest.

    Parameters
    ----------
    in_channels : int
        Of the encoder's features and the coarser output together.
    features : int
        C, inside, and of the gathered features.
    out_channels : int
        D.
    blocks, heads : int
    upsample : bool
        True for all levels but the finest.
    skip : bool
        Add the encoder's features to the blocks' output, as in the paper's figure; the public code does not.
    """

    def __init__(
        self,
        in_channels: int,
        features: int,
        out_channels: int,
        blocks: int,
        heads: int,
        upsample: bool,
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.skip = skip
        self.embed = nn.Conv2d(in_channels, features, 3, padding=1, bias=False)
        self.blocks = nn.ModuleList(FusionBlock(features, heads) for _ in range(blocks))
        self.up = nn.Conv2d(features, 4 * features, 3, padding=1, bias=False) if upsample else None
        self.out = nn.Conv2d(features, out_channels, 3, padding=1, bias=False)

    def forward(self, encoded: Tensor, fused: Tensor | None, reference: Tensor) -> Tensor:
        """Fuse the encoded HSI, the coarser level's output and the aligned reference features."""
        x = self.embed(encoded if fused is None else torch.cat((encoded, fused), 1))
        for block in self.blocks:
            x = block(x, reference)
        if self.skip:
            x = x + encoded
        if self.up is not None:
            x = F.pixel_shuffle(self.up(x), 2)
        return self.out(x)


class Decoder(nn.Module):
    """IDFA and AF at three levels, coarse to fine; the finest output is added to the upsampled LR-HSI.

    Parameters
    ----------
    hs_bands : int
    features : int
        Width at the finest level; twice at the next, four times at the coarsest.
    blocks, heads : sequence of three ints
        Of the attention fusion, coarse to fine.
    groups, match_anchor, encoder_skip
        See `SSCHSR`.
    """

    def __init__(
        self,
        hs_bands: int,
        features: int,
        blocks: Sequence[int] = (4, 3, 2),
        heads: Sequence[int] = (8, 4, 1),
        groups: int = 8,
        match_anchor: Literal["centre", "corner"] = "centre",
        encoder_skip: bool = False,
    ) -> None:
        super().__init__()
        self.match_anchor = match_anchor
        widths = (4 * features, 2 * features, features)
        self.aggregation = nn.ModuleList(IDFA(w, i == 0, groups) for i, w in enumerate(widths))
        self.fusion = nn.ModuleList(
            AttentionFusion(
                w if i == 0 else 2 * w,
                w,
                hs_bands if i == 2 else w // 2,
                blocks[i],
                heads[i],
                upsample=i < 2,
                skip=encoder_skip,
            )
            for i, w in enumerate(widths)
        )

    def forward(
        self, encoded: Sequence[Tensor], reference: Sequence[Tensor], matches: Sequence[Correspondence]
    ) -> Tensor:
        """Return (B, C, H, W).

        Parameters
        ----------
        encoded, reference : sequences of three Tensors
            Features of the HSI and of the aligned reference, fine to coarse.
        matches : sequence of three Correspondences
            Coarse to fine.
        """
        fused = None
        stages = zip(self.aggregation, self.fusion, reversed(encoded), reversed(reference), matches, strict=True)
        for aggregation, fusion, h, r, offset in stages:
            flow = offset.flow if self.match_anchor == "corner" else offset.offsets[:, 4]
            fused = fusion(h, fused, aggregation(h, fused, r, offset, flow))
        return _given(fused)


# --- The network --------------------------------------------------------------------------------------------------


class AlignedInputs(NamedTuple):
    """Inputs of one size, padded at the bottom and the right to a size that the network accepts.

    Attributes
    ----------
    hsi : Tensor (B, C, H', W')
        Upsampled LR-HSI, h.
    image : Tensor (B, 3, H', W')
        Its pseudo-RGB with the reference's colours, i.
    reference : Tensor (B, 3, H', W')
        r.
    size : tuple of int
        H, W before padding.
    """

    hsi: Tensor
    image: Tensor
    reference: Tensor
    size: tuple[int, int]


class AlignmentOutputs(NamedTuple):
    """Outputs needed by the training loss, without padding.

    Attributes
    ----------
    hr_hsi : Tensor (B, C, H, W)
    refined : Tensor (B, 3, H, W)
        Reference after both stages of the alignment, r_n.
    warped : Tensor (B, 3, H, W)
        After the first, r_w.
    flow : Tensor (B, 2, H, W)
        From the HSI to the reference, in pixels, x then y.
    """

    hr_hsi: Tensor
    refined: Tensor
    warped: Tensor
    flow: Tensor


class SSCHSR(SRNetwork):
    """LR-HSI (B, C, h, w) and unaligned RGB (B, 3, n, m) to HR-HSI (B, C, s h, s w), reflectance-like, in [0, 1].

    Parameters
    ----------
    scale : int
        s, any integer >= 2; the publication has 4, 8 and 16.
    hs_bands : int
        C; the publication has 31 and 128.
    features : int
        Width of encoders and decoder at full size, a multiple of 8; 64 published, and needed for VGG weights.
    flow_features : int
        Width of the flow network, see `finewave.systems.sschsr.raft.RAFT`; 64 as published and for the public weights.
    flow_iterations : int
        Refinements of the flow.
    warp_features : int
        Width of `WarpNet`.
    blocks, heads : sequence of three ints
        Of the attention fusion, from a quarter to full size.
    groups : int
        Groups of channels with separate offsets in IDFA.
    rgb_bands : sequence of three ints, optional
        Bands used as red, green and blue; by default 15, 8 and 3 of 31, as published, or proportionally.
    match_colours : bool
        Give the pseudo-RGB the colour distribution of the degraded reference.
    flow_grid : {"aligned", "published"}
        See `finewave.nn.warping.backward_warp`.
    match_anchor : {"centre", "corner"}
        Displacement by which reference features are warped, see `finewave.systems.sschsr.matching.Correspondence`.
    encoder_skip : bool
        See `AttentionFusion`.
    """

    task = "refsr"
    objectives: ClassVar[Mapping[str, str]] = {
        kind: f"finewave.systems.sschsr.phases:{kind.capitalize()}" for kind in ("flow", "warp", "guided")
    }
    phase_options: ClassVar[Mapping[str, str]] = {
        "flow": "finewave.systems.sschsr.phase_options:AlignedOptions",
        "warp": "finewave.systems.sschsr.phase_options:AlignedOptions",
        "guided": "finewave.systems.sschsr.phase_options:AlignedOptions",
    }
    receptive_field = None  # attention, matching and correlation use the whole image
    export_fixed = "its flow pads images to multiples of 8 and at least 64, and matches all pairs of patches"

    def __init__(
        self,
        scale: int = 4,
        hs_bands: int = 31,
        *,
        features: int = 64,
        flow_features: int = 64,
        flow_iterations: int = 12,
        warp_features: int = 16,
        blocks: Sequence[int] = (4, 3, 2),
        heads: Sequence[int] = (8, 4, 1),
        groups: int = 8,
        rgb_bands: Sequence[int] | None = None,
        match_colours: bool = True,
        flow_grid: Literal["aligned", "published"] = "aligned",
        match_anchor: Literal["centre", "corner"] = "centre",
        encoder_skip: bool = False,
    ) -> None:
        super().__init__()
        at_least("ssc-hsr", 2, scale=scale)
        at_least("ssc-hsr", 1, hs_bands=hs_bands, flow_iterations=flow_iterations, warp_features=warp_features)
        require("ssc-hsr", features >= 8 and features % 8 == 0, "a multiple of 8", features=features)
        require("ssc-hsr", groups >= 1 and features % groups == 0, f"a divisor of {features=}", groups=groups)
        require("ssc-hsr", flow_features >= 2 and flow_features % 2 == 0, "even and >= 2", flow_features=flow_features)
        require("ssc-hsr", len(blocks) == 3 and min(blocks) >= 1, "three numbers >= 1", blocks=blocks)
        fits = len(heads) == 3 and all(n >= 1 and w * features % n == 0 for w, n in zip((4, 2, 1), heads, strict=True))
        require("ssc-hsr", fits, f"three divisors of {4 * features}, {2 * features} and {features}", heads=heads)
        one_of("ssc-hsr", ("aligned", "published"), flow_grid=flow_grid)
        one_of("ssc-hsr", ("centre", "corner"), match_anchor=match_anchor)
        if rgb_bands is None:
            rgb_bands = [round(part * (hs_bands - 1)) for part in PUBLISHED_RGB]
        known = len(rgb_bands) == 3 and all(0 <= band < hs_bands for band in rgb_bands)
        require("ssc-hsr", known, f"three numbers from 0 to {hs_bands - 1}", rgb_bands=rgb_bands)
        self.scale, self.hs_bands, self.rgb_bands = scale, hs_bands, list(rgb_bands)
        self.match_colours, self.flow_grid = match_colours, flow_grid
        self.flow_network = RAFT(flow_features, flow_iterations)
        self.warp_network = WarpNet(warp_features)
        self.match_image, self.match_reference = VGGTrunk(features), VGGTrunk(features)
        self.reference_features = VGGTrunk(features)
        self.hsi_encoder = HSIEncoder(hs_bands, features)
        self.decoder = Decoder(hs_bands, features, blocks, heads, groups, match_anchor, encoder_skip)
        with torch.no_grad():  # initialised near the interpolated HSI and the warped reference
            self.decoder.fusion[-1].get_submodule("out").weight.mul_(0.1)
            self.warp_network.out.weight.mul_(0.1)

    def prepare(self, lr_hsi: Tensor, ref_rgb: Tensor) -> AlignedInputs:
        """Return h, i and r, padded to one size."""
        size = (lr_hsi.shape[2] * self.scale, lr_hsi.shape[3] * self.scale)
        hsi = bicubic(lr_hsi, size).clamp(0, 1)
        reference = ref_rgb if tuple(ref_rgb.shape[2:]) == size else _resampled(ref_rgb, size)
        image = hsi[:, self.rgb_bands]
        if self.match_colours:
            degraded = bicubic(_resampled(reference, (lr_hsi.shape[2], lr_hsi.shape[3])), size)
            image = match_histograms(image, degraded.clamp(0, 1))
        return AlignedInputs(_padded(hsi), _padded(image), _padded(reference), size)

    def flow(self, prepared: AlignedInputs) -> Tensor:
        """Return the flow (B, 2, H', W') from the HSI to the reference."""
        return self.flow_network(prepared.image, prepared.reference)

    def align(self, prepared: AlignedInputs, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reference after the first and after the second stage of alignment, (B, 3, H', W') each."""
        grid: Literal["aligned", "published"] = "published" if self.flow_grid == "published" else "aligned"
        warped = backward_warp(prepared.reference, flow, grid=grid)
        return warped, self.warp_network(prepared.image, prepared.reference, warped)

    def fuse(self, prepared: AlignedInputs, refined: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, H', W') from the LR-HSI and the aligned reference."""
        a, b = self.match_image(prepared.image).conv3_1, self.match_reference(refined).conv3_1
        reference = [F.relu(x) for x in self.reference_features(refined)]
        detail = self.decoder(self.hsi_encoder(prepared.hsi), reference, match(a, b))
        return prepared.hsi + detail.to(prepared.hsi.dtype)

    def forward_stages(self, lr_hsi: Tensor, ref_rgb: Tensor) -> AlignmentOutputs:
        """Return the HR-HSI and the aligned reference."""
        prepared = self.prepare(lr_hsi, ref_rgb)
        flow = self.flow(prepared)
        warped, refined = self.align(prepared, flow)
        height, width = prepared.size
        results = (self.fuse(prepared, refined), refined, warped, flow)
        return AlignmentOutputs(*(x[..., :height, :width] for x in results))

    def forward(self, lr_hsi: Tensor, ref_rgb: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w).

        Parameters
        ----------
        lr_hsi : Tensor (B, C, h, w)
        ref_rgb : Tensor (B, 3, n, m)
            The same scene from another viewpoint. If it is not s h x s w it is resampled to that size.
        """
        return self.forward_stages(lr_hsi, ref_rgb).hr_hsi


def _given(x: Tensor | None) -> Tensor:
    assert x is not None, "all levels but the coarsest need the coarser fusion"
    return x


def _padded(x: Tensor) -> Tensor:
    """Repeat the last row and column up to a size that all parts of the network accept."""
    height, width = (max(LEAST_SIZE, n + -n % SIZE_MULTIPLE) for n in x.shape[2:])
    return F.pad(x, (0, width - x.shape[3], 0, height - x.shape[2]), mode="replicate")


def _resampled(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate to another size, with a low-pass filter when downsampling."""
    wide = image if image.dtype in (torch.float32, torch.float64) else image.float()
    return F.interpolate(wide, size=size, mode="bicubic", antialias=True).clamp(0, 1).to(image.dtype)
