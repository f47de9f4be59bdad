"""JSSUNet: joint spatio-spectral super-resolution by unfolding, with cluster-based spectral operators.

I. Pereira-Sánchez, J. Navarro, A. B. Petro, J. Duran, "Model-Guided Network with Cluster-Based Operators for
Spatio-Spectral Super-Resolution", arXiv 2505.24605. Public code: TAMI-UIB/JSSUNet. Equation numbers below are the
paper's. Where paper and public code differ, this file follows ``docs/models/jssunet.md``.

The problem is split in three (fig. 1): spatial super-resolution of f, spectral super-resolution of f, and fusion of
the two results. Each is a proximal gradient scheme (2) of K stages,

    u^{k+1} = prox(u^k - grad D(u^k)),

whose operators are learned, with separate weights in each stage. Symbols: f the LR-MSI (c x h x w), s the scale,
M the number of clusters, C the hyperspectral bands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.full_precision import full_precision
from finewave.nn.kernels.fused_conv import as_features, features_dtype, fused_conv
from finewave.nn.kernels.strips import in_strips, makes_strips
from finewave.nn.kernels.window_attention import HeadAttention, MultiHeadAttention
from finewave.nn.pooling import pools_locally
from finewave.nn.residual import RCAB, ResBlockBN, ResBlocks, conv
from finewave.nn.sampling import BPUp, Down, Up, bicubic, prime_factors
from finewave.systems.base import SRNetwork
from finewave.systems.jssunet.clusters import (
    ClusterNet,
    PixelGroups,
    SpecDown,
    SpecUp,
    group_pixels,
    kmeans_centroids,
    nearest_centroid,
    one_hot_of,
    straight_through,
)
from finewave.systems.jssunet.start import fit_operators, start_as_operators
from finewave.systems.option_checks import at_least, one_of, require
from finewave.systems.tile_stages import TileStage, convolution_weights

# --- Spatial super-resolution (section III-A) ---------------------------------------------------------------------


class ProxSR(nn.Module):
    """Proximity operator of the SR branch (fig. 4): residual blocks around the identity; (B, c, H, W)."""

    def __init__(self, channels: int, features: int, blocks: int = 2, kernel_size: int = 3) -> None:
        super().__init__()
        self.head = conv(channels, features, kernel_size, bias=False)
        self.blocks = ResBlocks(features, blocks, kernel_size)
        self.tail = conv(features, channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operator."""
        features = self.blocks(fused_conv(x, self.head, relu=True))
        return _plus(x, fused_conv(features, self.tail))


class SRStage(nn.Module):
    """One step of (2) for D(u) = 1/2 ||DB(u) - f||^2 (3): Down for DB, BPUp (4) or Up for its adjoint, ProxSR."""

    def __init__(self, channels: int, features: int, factors: list[int], back_projections: int, blocks: int) -> None:
        super().__init__()
        self.down = Down(channels, factors, groups=channels)
        self.up = BPUp(channels, factors, back_projections) if back_projections else Up(channels, factors)
        self.prox = ProxSR(channels, features, blocks)

    def forward(self, u: Tensor, f: Tensor) -> Tensor:
        """Return the next estimate of the HR-MSI from ``u`` (B, c, H, W) and the observed ``f`` (B, c, h, w)."""
        with full_precision(u):
            step = u - self.up(self.down(u) - f)
        return self.prox(step)


class SRBranch(nn.Module):
    """f to the K estimates of the HR-MSI, starting from the bicubic interpolation of f."""

    def __init__(self, scale: int, stages: list[SRStage], initial: str) -> None:
        super().__init__()
        self.scale, self.initial = scale, initial
        self.stages = nn.ModuleList(stages)

    def forward(self, f: Tensor) -> list[Tensor]:
        """Return u^1 ... u^K, each (B, c, H, W)."""
        return list(self.steps(f))

    def steps(self, f: Tensor) -> Iterator[Tensor]:
        """Yield u^1 ... u^K one by one, for those who keep the last one alone."""
        size = (f.shape[2] * self.scale, f.shape[3] * self.scale)
        u = bicubic(f, size) if self.initial == "bicubic" else F.interpolate(f, size=size, mode=self.initial)
        for stage in self.stages:
            u = stage(u, f)
            yield u

    @property
    def receptive_field(self) -> int:
        """Distance in LR pixels up to which an input pixel acts on an output pixel."""
        reach = 0  # in HR pixels
        for stage in self.stages:
            assert isinstance(stage, SRStage)
            down = _reach_of_down(stage.down.factors)
            first = stage.up.first if isinstance(stage.up, BPUp) else stage.up
            up = _reach_of_up(first.factors)
            # back-projection chains Up and, in each iteration, Down, Up; the first Down is that of the data term
            iterations = len(stage.up.down) if isinstance(stage.up, BPUp) else 0
            reach += (1 + iterations) * (down + up) + 2 + 3 * len(stage.prox.blocks)
        return 2 + -(-reach // self.scale)  # bicubic interpolation reads 2 pixels to each side


def _reach_of_down(factors: Sequence[int]) -> int:
    """Return how far HR pixels that act on an LR pixel lie at most from its first HR pixel; see `Down`."""
    reach, level = 0, 1  # a layer reads p to each side, in pixels of its own input
    for p in factors:
        reach += p * level
        level *= p
    return reach


def _reach_of_up(factors: Sequence[int]) -> int:
    """Return how far the first HR pixel of an LR pixel lies at most from those on which it acts; see `Up`."""
    reach, level = 0, 1
    for p in reversed(factors):
        reach += (p + (p + 1) // 2) * level  # the plain convolution reaches p, the transposed one half of its kernel
        level *= p
    return reach


def _plus(x: Tensor, change: Tensor) -> Tensor:
    """Return ``x`` plus a change in the dtype of inner features; without gradients, in the memory of the change."""
    change = change.to(x.dtype)
    return x + change if torch.is_grad_enabled() else change.add_(x)


def last(estimates: Iterable[Tensor]) -> Tensor:
    """Return the last one of estimates that are made one by one; those before are not kept."""
    (final,) = deque(estimates, maxlen=1)
    return final


# --- Spectral super-resolution (section III-B) --------------------------------------------------------------------


class Clusters(nn.Module):
    """Assignment of each pixel of f to one of M clusters: learned, nearest k-means centroid, or none (M = 1).

    With ``kind="kmeans"`` the centroids (M, c) are data, not parameters: `set_centroids` before use.
    """

    def __init__(self, channels: int, n_clusters: int, kind: str) -> None:
        super().__init__()
        self.n_clusters, self.kind = n_clusters, kind
        if kind == "learned":
            self.net = ClusterNet(channels, n_clusters)
        elif kind == "kmeans":
            self.register_buffer("centroids", torch.zeros(n_clusters, channels))

    def set_centroids(self, centroids: Tensor) -> None:
        """Give the k-means centroids (M, c)."""
        self.get_buffer("centroids").copy_(centroids)

    def prepare(self, pairs: Iterable[tuple[Tensor, Tensor]], seed: int) -> Iterable[tuple[Tensor, Tensor]]:
        """Set the k-means centroids, if ``kind="kmeans"``, from the first image (B, c, h, w) of each of ``pairs``.

        Returns
        -------
        iterable
            ``pairs``, not yet used up.
        """
        if self.kind != "kmeans":
            return pairs
        pairs = list(pairs)
        pixels = torch.cat([f.permute(0, 2, 3, 1).flatten(0, 2) for f, _ in pairs])
        self.set_centroids(kmeans_centroids(pixels, self.n_clusters, seed))
        return pairs

    def forward(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Return assignment (one-hot) and probability, each (B, M, h, w), of the pixels of ``f`` (B, c, h, w)."""
        if self.kind == "learned":
            with full_precision(f):
                return straight_through(self.net(f))
        if self.kind == "kmeans":
            labels = nearest_centroid(f, self.get_buffer("centroids"))
        else:
            labels = torch.zeros(f.shape[0], *f.shape[2:], dtype=torch.long, device=f.device)
        one_hot = one_hot_of(labels, self.n_clusters, f.dtype)
        return one_hot, one_hot


class ProxSSR(nn.Module):
    """Proximity operator of the SSR branch (fig. 4): channel attention blocks around the identity; (B, C, h, w)."""

    def __init__(self, channels: int, features: int, blocks: int = 1, reduction: int = 1, kernel_size: int = 3) -> None:
        super().__init__()
        self.head = conv(channels, features, kernel_size, bias=False)
        self.blocks = nn.Sequential(*(RCAB(features, kernel_size, reduction) for _ in range(blocks)))
        self.tail = conv(features, channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operator."""
        return x + fused_conv(self.blocks(fused_conv(x, self.head)), self.tail).to(x.dtype)


class SSRStage(nn.Module):
    """One step of (2) for D(u) = 1/2 ||S(u) - f||^2: SpecDown for S, SpecUp for its adjoint, ProxSSR."""

    def __init__(self, spec_down: SpecDown, spec_up: SpecUp, prox: ProxSSR) -> None:
        super().__init__()
        self.spec_down, self.spec_up, self.prox = spec_down, spec_up, prox

    def forward(self, u: Tensor, f: Tensor, assignment: Tensor, groups: PixelGroups | None = None) -> Tensor:
        """Return the next estimate of the LR-HSI from ``u`` (B, C, h, w) and the observed ``f`` (B, c, h, w)."""
        with full_precision(u):
            step = u - self.spec_up(self.spec_down(u, assignment, groups) - f, assignment, groups)
        return self.prox(step)


class SSRBranch(nn.Module):
    """f to the K estimates of the LR-HSI, starting from SpecUp(f)."""

    def __init__(self, clusters: Clusters, spec_up: SpecUp, stages: list[SSRStage]) -> None:
        super().__init__()
        self.clusters, self.initial = clusters, spec_up
        self.stages = nn.ModuleList(stages)

    def forward(self, f: Tensor) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
        """Return u^0, [u^1 ... u^K] (B, C, h, w), and assignment and probability of the clusters (B, M, h, w)."""
        assignment, probability = self.clusters(f)
        initial, *estimates = self.steps(f, assignment)
        return initial, estimates, assignment, probability

    def steps(self, f: Tensor, assignment: Tensor) -> Iterator[Tensor]:
        """Yield u^0, u^1 ... u^K one by one, for those who keep the last one alone."""
        groups = group_pixels(assignment)
        with full_precision(f):
            u = self.initial(f, assignment, groups)
        yield u
        for stage in self.stages:
            u = stage(u, f, assignment, groups)
            yield u

    @property
    def n_global_poolings(self) -> int:
        """Number of global poolings."""
        return sum(isinstance(module, RCAB) for module in self.modules())

    def receptive_field_with_pooling(self, window: int) -> int:
        """Return the receptive field in pixels, with channel pooling over windows of the given side."""
        reach = 3  # cluster network
        for stage in self.stages:
            assert isinstance(stage, SSRStage)
            reach += 2 + (2 + -(-window // 2)) * len(stage.prox.blocks)
        return reach


# --- Fusion (section III-C) ---------------------------------------------------------------------------------------


class LFE(nn.Module):
    """Low Frequency Estimation (fig. 6): two convolutions and a ReLU; (B, in, H, W) to (B, C, H, W)."""

    def __init__(self, in_channels: int, hs_bands: int, features: int) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, features, bias=False)
        self.conv2 = conv(features, hs_bands, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the module."""
        return fused_conv(fused_conv(x, self.conv1), self.conv2, relu=True).to(x.dtype)


class HFI(nn.Module):
    """High Frequency Injection (fig. 6), also used for the initial estimate: low frequencies plus details, ReLU.

    The public code has three convolutions on HR-MSI and HSI. The paper's text adds the low frequencies as input
    (``with_low``) and residual blocks, here instead of the middle convolution.
    """

    def __init__(self, ms_bands: int, hs_bands: int, features: int, with_low: bool = False, blocks: int = 0) -> None:
        super().__init__()
        self.with_low = with_low
        self.conv1 = conv(ms_bands + hs_bands * (2 if with_low else 1), features, bias=False)
        self.blocks = ResBlocks(features, blocks)
        self.conv2 = None if blocks else conv(features, features)
        self.conv3 = conv(features, hs_bands)

    def forward(self, low: Tensor, u_sr: Tensor, u_ssr_up: Tensor) -> Tensor:
        """Return (B, C, H, W) from low frequencies and upsampled HSI (B, C, H, W) and the HR-MSI (B, c, H, W)."""
        images = (u_sr, u_ssr_up, low) if self.with_low else (u_sr, u_ssr_up)
        width = self.conv1.out_channels * features_dtype(u_sr).itemsize
        if self.conv2 is None or not makes_strips(u_sr, width, self):
            details = self._details(*images)
        else:
            details = in_strips(self._details, 3, images, torch.empty_like(low), width)
        return F.relu(_plus(low, details), inplace=True)

    def _details(self, *images: Tensor) -> Tensor:
        x = torch.cat([as_features(each) for each in images], 1)
        x = fused_conv(x, self.conv1)
        x = self.blocks(x) if self.conv2 is None else fused_conv(x, self.conv2)
        return fused_conv(x, self.conv3)


class ProxFus(nn.Module):
    """Proximity operator of the fusion (fig. 4), guided by the HR-MSI; (B, C, H, W) to the same shape."""

    def __init__(self, hs_bands: int, ms_bands: int, features: int, blocks: int = 3, kernel_size: int = 3) -> None:
        super().__init__()
        self.head = conv(hs_bands + ms_bands, features, kernel_size, bias=False)
        self.blocks = ResBlocks(features, blocks, kernel_size)
        self.tail = conv(features, hs_bands, kernel_size)

    def forward(self, u: Tensor, u_sr: Tensor) -> Tensor:
        """Apply the operator to ``u`` and ``u_sr`` (B, c, H, W)."""
        x = fused_conv(torch.cat((as_features(u), as_features(u_sr)), 1), self.head, relu=True)
        return _plus(u, fused_conv(self.blocks(x), self.tail))


class FusionStage(nn.Module):
    """One step of (2) for D(u) = 1/2 ||u a - b z||^2, the radiometric constraint (5) multiplied by a.

    a and b are the low frequencies of the HR-MSI and of the LR-HSI, z carries the HR-MSI's high frequencies. The
    step size is learned per band.
    """

    def __init__(self, hs_bands: int, ms_bands: int, features: int, blocks: int) -> None:
        super().__init__()
        self.step_size = nn.Parameter(torch.full((hs_bands, 1, 1), 0.1))
        self.prox = ProxFus(hs_bands, ms_bands, features, blocks)

    def forward(self, u: Tensor, a: Tensor, bz: Tensor, u_sr: Tensor) -> Tensor:  # bz: the product of b and z
        """Return the next estimate of the HR-HSI from ``u``, a and the product b z, all (B, C, H, W)."""
        return self.prox(torch.addcmul(u, self.step_size * a, torch.addcmul(bz, a, u, value=-1)), u_sr)


class FusionBranch(nn.Module):
    """HR-MSI and LR-HSI to the K estimates of the HR-HSI."""

    def __init__(
        self,
        scale: int,
        ms_bands: int,
        hs_bands: int,
        features: int,
        hfi_with_low: bool,
        stages: list[FusionStage],
        hfi_blocks: int = 0,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.low_ms = LFE(ms_bands, hs_bands, features)
        self.low_hs = LFE(hs_bands, hs_bands, features)
        self.high = HFI(ms_bands, hs_bands, features, hfi_with_low, hfi_blocks)
        self.initial = HFI(ms_bands, hs_bands, features, hfi_with_low, hfi_blocks)
        self.stages = nn.ModuleList(stages)

    def prepare(self, u_sr: Tensor, u_ssr: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return a, b, z and u^0, each (B, C, H, W): which are the same in all stages."""
        hr, lr = (u_sr.shape[2], u_sr.shape[3]), (u_ssr.shape[2], u_ssr.shape[3])
        u_ssr_up = bicubic(u_ssr, hr)
        a = self.low_ms(bicubic(bicubic(u_sr, lr), hr))
        b = self.low_hs(u_ssr_up)
        return a, b, self.high(a, u_sr, u_ssr_up), self.initial(a, u_sr, u_ssr_up)

    @property
    def receptive_field(self) -> int:
        """Distance in LR pixels up to which a pixel of either input acts on an output pixel."""
        convs = 2 + 3 * len(self.high.blocks) if len(self.high.blocks) else 3
        for stage in self.stages:
            assert isinstance(stage, FusionStage)
            convs += 2 + 3 * len(stage.prox.blocks)
        return 4 + -(-convs // self.scale)  # bicubic interpolation to LR and back reads 2 pixels to each side

    def forward(self, u_sr: Tensor, u_ssr: Tensor) -> list[Tensor]:
        """Return u^1 ... u^K (B, C, H, W) from HR-MSI (B, c, H, W) and LR-HSI (B, C, h, w)."""
        return list(self.steps(u_sr, u_ssr))

    def steps(self, u_sr: Tensor, u_ssr: Tensor) -> Iterator[Tensor]:
        """Yield u^1 ... u^K one by one, for those who keep the last one alone."""
        a, b, z, u = self.prepare(u_sr, u_ssr)
        bz = b * z
        del b, z
        for stage in self.stages:
            u = stage(u, a, bz, u_sr)
            yield u


# --- Post-processing (section III-D) ------------------------------------------------------------------------------


class PostProcessing(nn.Module):
    """Non-local residual refinement (fig. 7): attention on the image and on its shifted copy, then convolutions."""

    def __init__(
        self,
        hs_bands: int,
        features: int,
        *,
        heads: int,
        embedding: int,
        patch: int,
        window: int,
        top_percent: float,
    ) -> None:
        super().__init__()
        head: dict[str, Any] = {"embedding": embedding, "patch": patch, "window": window, "top_percent": top_percent}
        self.shift = window // 2
        self.attention1 = MultiHeadAttention(hs_bands, heads, **head)
        self.attention2 = MultiHeadAttention(hs_bands, heads, **head)
        self.head = conv(2 * hs_bands, features, bias=False)
        self.block = ResBlockBN(features)
        self.tail = conv(features, hs_bands, bias=False)

    def forward(self, u: Tensor) -> Tensor:
        """Refine ``u`` (B, C, H, W); same shape."""
        with full_precision(u):
            v = self.attention1(u)
            # the second pass has the image's borders elsewhere
            if pools_locally():  # a circular shift is not a local operation
                n = self.shift
                v = self.attention2(F.pad(v, (n, n, n, n), mode="replicate"))
                v = v[:, :, n : v.shape[2] - n, n : v.shape[3] - n]
            else:
                v = self.attention2(v.roll((self.shift, self.shift), (2, 3))).roll((-self.shift, -self.shift), (2, 3))
        x = fused_conv(torch.cat((as_features(v), as_features(u)), 1), self.head)
        return u + fused_conv(self.block(x), self.tail).to(u.dtype)


# --- The network --------------------------------------------------------------------------------------------------


class StageOutputs(NamedTuple):
    """Outputs needed by the training loss: the K estimates of each branch and the clusters."""

    sr: list[Tensor]
    ssr: list[Tensor]
    fusion: list[Tensor]
    assignment: Tensor
    probability: Tensor


class JSSUNet(SRNetwork):
    """LR-MSI to HR-HSI: (B, c, h, w) to (B, C, s h, s w), reflectance-like values in [0, 1].

    Parameters
    ----------
    scale : int
        s, any integer >= 2.
    ms_bands, hs_bands : int
        c and C.
    stages : int
        K, the same for the three branches.
    features : int
        Width of every proximity operator.
    upsampling : {"back-projection", "forward"}
        Adjoint of DB in the SR branch: BPUp (4), or Up alone (table III).
    back_projections : int
        Iterations of (4) in BPUp; the publication uses 1.
    progressive : bool
        One resampling step per prime factor of s, or a single one (table III).
    clusters : {"learned", "kmeans", "none"}
        How pixels are assigned to clusters (table IV).
    n_clusters : int
        M; ignored with ``clusters="none"``.
    post : bool
        With the post-processing of section III-D, trained in phase 2 (table VIII).
    patch, window, heads, embedding, top_percent
        For the post-processing: P, W, number of heads, e_d, percentage of the window kept.
    sr_initial : {"bicubic", "nearest"}
        u^0 of the SR branch; the paper's is bicubic, the public code's nearest.
    adjoint_relu : bool
        ReLU after the SpecUp operators of the K stages, as published. Without it a stage can raise u as well
        as lower it, and no unit can die.
    spec_down_hidden : int
        Width of a hidden layer in SpecDown; 0 for the single layer of the public code.
    hfi_with_low : bool
        The low frequencies join the input of HFI, as in the paper's text; without, as in the public code, they are
        only added to the output.
    hfi_blocks : int
        Residual blocks in HFI, as in the paper's text; 0 for the plain convolution of the public code.
    sr_blocks, ssr_blocks, fusion_blocks : int
        Residual blocks in each proximity operator.
    reduction : int
        Reduction of the channel attention.
    initialisation : {"operators", "framework"}
        Weight initialisation: each learned operator as its classical counterpart (interpolation, averaging, identity;
        in training, spectral operators fitted to the scenes, see `prepare_from`), or PyTorch's default. Same network,
        faster start.

    Notes
    -----
    ``ProxSSR`` pools over the whole image (channel attention), so each output pixel depends, through that pooling, on
    all input pixels; `receptive_field` states the local part. Under `finewave.nn.pooling.local_pooling`, which
    prediction of whole scenes uses, it pools over windows (`receptive_field_with_pooling`), and the post-processing's
    shifted copy is padded at the border instead of wrapped.
    """

    task = "sssr"
    mixed_precision = True
    branch_systems: ClassVar[Mapping[str, str]] = {"jssunet-sr": "sr", "jssunet-ssr": "ssr", "jssunet-fusion": "fusion"}
    objectives: ClassVar[Mapping[str, str]] = {
        "unfolding": "finewave.systems.jssunet.phases:Unfolding",
        "post": "finewave.systems.jssunet.phases:PostProcessingPhase",
    }
    phase_options: ClassVar[Mapping[str, str]] = {
        "unfolding": "finewave.systems.jssunet.phase_options:UnfoldingOptions",
        "post": "finewave.systems.jssunet.phase_options:PostOptions",
    }

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        stages: int = 4,
        features: int = 128,
        upsampling: Literal["back-projection", "forward"] = "back-projection",
        back_projections: int = 1,
        progressive: bool = True,
        clusters: Literal["learned", "kmeans", "none"] = "learned",
        n_clusters: int = 10,
        post: bool = True,
        patch: int = 11,
        window: int = 11,
        heads: int = 3,
        embedding: int = 8,
        top_percent: float = 10,
        sr_initial: Literal["bicubic", "nearest"] = "bicubic",
        adjoint_relu: bool = True,
        spec_down_hidden: int = 0,
        hfi_with_low: bool = False,
        hfi_blocks: int = 0,
        sr_blocks: int = 2,
        ssr_blocks: int = 1,
        fusion_blocks: int = 3,
        reduction: int = 1,
        initialisation: Literal["operators", "framework"] = "operators",
    ) -> None:
        super().__init__()
        at_least("jssunet", 2, scale=scale)
        at_least("jssunet", 1, ms_bands=ms_bands, hs_bands=hs_bands, stages=stages, reduction=reduction)
        at_least("jssunet", 1, back_projections=back_projections, n_clusters=n_clusters)
        at_least("jssunet", 1, heads=heads, embedding=embedding)
        require(
            "jssunet", features >= 1 and features % reduction == 0, f"a multiple of {reduction=}", features=features
        )
        require("jssunet", patch >= 1 and patch % 2 == 1, "odd and >= 1", patch=patch)
        require("jssunet", window >= 1 and window % 2 == 1, "odd and >= 1", window=window)
        at_least("jssunet", 0, sr_blocks=sr_blocks, ssr_blocks=ssr_blocks, fusion_blocks=fusion_blocks)
        at_least("jssunet", 0, spec_down_hidden=spec_down_hidden, hfi_blocks=hfi_blocks)
        require("jssunet", 0 < top_percent <= 100, "in (0, 100]", top_percent=top_percent)
        one_of("jssunet", ("back-projection", "forward"), upsampling=upsampling)
        one_of("jssunet", ("learned", "kmeans", "none"), clusters=clusters)
        one_of("jssunet", ("bicubic", "nearest"), sr_initial=sr_initial)
        one_of("jssunet", ("operators", "framework"), initialisation=initialisation)

        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands
        factors = prime_factors(scale) if progressive else [scale]
        iterations = back_projections if upsampling == "back-projection" else 0
        self.sr = SRBranch(
            scale,
            [SRStage(ms_bands, features, factors, iterations, sr_blocks) for _ in range(stages)],
            sr_initial,
        )

        M = 1 if clusters == "none" else n_clusters
        self.ssr = SSRBranch(
            Clusters(ms_bands, M, clusters),
            SpecUp(M, ms_bands, features, hs_bands),
            [
                SSRStage(
                    SpecDown(M, hs_bands, ms_bands, spec_down_hidden),
                    SpecUp(M, ms_bands, features, hs_bands, relu_output=adjoint_relu),
                    ProxSSR(hs_bands, features, ssr_blocks, reduction),
                )
                for _ in range(stages)
            ],
        )
        self.fusion = FusionBranch(
            scale,
            ms_bands,
            hs_bands,
            features,
            hfi_with_low,
            [FusionStage(hs_bands, ms_bands, features, fusion_blocks) for _ in range(stages)],
            hfi_blocks,
        )
        self.post = (
            PostProcessing(
                hs_bands,
                features,
                heads=heads,
                embedding=embedding,
                patch=patch,
                window=window,
                top_percent=top_percent,
            )
            if post
            else None
        )
        self.fits_operators = initialisation == "operators"
        if self.fits_operators:
            start_as_operators(self)

    @classmethod
    def skips_phase(cls, kind: str, options: Mapping[str, Any]) -> bool:
        """Skip phase 2 without post-processing."""
        return kind == "post" and options.get("post") is False

    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int) -> None:
        """Set the centroids of ``clusters="kmeans"``, and fit the spectral operators of ``initialisation="operators"``.

        Parameters
        ----------
        samples : iterable of mappings
            Training images; ``lr_msi`` (B, c, h, w) and ``lr_hsi`` (B, C, h, w) are used. The centroids are those of a
            quarter of the pixels of f, as in table IV.
        seed : int
            Of the choice of pixels.
        """
        pairs = self.ssr.clusters.prepare(((sample["lr_msi"], sample["lr_hsi"]) for sample in samples), seed)
        if self.fits_operators:
            fit_operators(self, pairs, seed)

    def forward_stages(self, lr_msi: Tensor) -> StageOutputs:
        """Return the K estimates of every branch, without post-processing (phase 1)."""
        # convolutions on CPUs are many times faster in this layout, and all features inherit it
        lr_msi = lr_msi.contiguous(memory_format=torch.channels_last)
        sr = self.sr(lr_msi)
        _, ssr, assignment, probability = self.ssr(lr_msi)
        return StageOutputs(sr, ssr, self.fusion(sr[-1], ssr[-1]), assignment, probability)

    def forward(self, lr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w) of ``lr_msi`` (B, c, h, w)."""
        images = {"lr_msi": lr_msi}
        for stage in ("ssr", "sr", "fusion", *(() if self.post is None else ("post",))):
            images.update(self.run_tile_stage(stage, images))
        return images["hr_hsi"]

    def run_tile_stage(self, name: str, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run one of the branches, or the post-processing, on the images that it takes."""
        if name == "fusion":
            return {"hr_hsi": last(self.fusion.steps(images["hr_msi"], images["lr_hsi"]))}
        if name == "post":
            assert self.post is not None
            return {"hr_hsi": self.post(images["hr_hsi"])}
        # convolutions on CPUs are many times faster in this layout, and features inherit it
        f = images["lr_msi"].contiguous(memory_format=torch.channels_last)
        if name == "sr":
            return {"hr_msi": last(self.sr.steps(f))}
        assignment, _ = self.ssr.clusters(f)
        return {"lr_hsi": last(self.ssr.steps(f, assignment))}

    def tile_stages(self, window: int = 0) -> tuple[TileStage, ...]:
        """Return branches and post-processing, those that need most around a tile first; of the SSR branch, pooling."""
        s = self.scale
        post = self._reach_of_post
        fusion = post + self.fusion.receptive_field
        halos = {
            "ssr": fusion + self.ssr.receptive_field_with_pooling(window),
            "sr": fusion + self.sr.receptive_field,
            "fusion": fusion,
        }
        branches = {"ssr": (self.ssr, 1), "sr": (self.sr, s * s), "fusion": (self.fusion, s * s)}
        if self.post is not None:
            halos["post"] = post
            branches["post"] = (self.post, s * s)
        work = {name: convolution_weights(branch) * pixels for name, (branch, pixels) in branches.items()}
        stages = [TileStage(name, halo, work[name] / sum(work.values())) for name, halo in halos.items()]
        return tuple(sorted(stages, key=lambda stage: -(stage.halo or 0)))

    @property
    def _reach_of_post(self) -> int:
        """Distance in LR pixels up to which the fused image acts on the refined one."""
        if self.post is None:
            return 0
        attention = self.post.attention1.heads[0]
        assert isinstance(attention, HeadAttention)
        return -(-(2 * (attention.window // 2 + attention.embed.kernel_size[0] // 2) + 5) // self.scale)

    @property
    def receptive_field(self) -> int:
        """Largest distance in LR pixels at which an input pixel affects an output pixel, apart from channel pooling."""
        return self.receptive_field_with_pooling(0)

    def receptive_field_with_pooling(self, window: int) -> int:
        """Return `receptive_field` with channel pooling over windows of the given side in LR pixels."""
        sr, ssr = self.sr.receptive_field, self.ssr.receptive_field_with_pooling(window)
        return max(sr, ssr) + self.fusion.receptive_field + self._reach_of_post

    @property
    def n_global_poolings(self) -> int:
        """Number of global poolings."""
        return self.ssr.n_global_poolings

    @property
    def attention_window(self) -> int:
        """W of the post-processing; 0 without."""
        if self.post is None:
            return 0
        head = self.post.attention1.heads[0]
        assert isinstance(head, HeadAttention)
        return head.window

    @property
    def prepares(self) -> bool:
        """Whether centroids or operators have to be fitted before training."""
        return self.fits_operators or self.ssr.clusters.kind == "kmeans"
