"""AWAN: adaptive weighted attention network, from RGB (or multispectral) to hyperspectral at the same size.

J. Li, C. Wu, R. Song, Y. Li, F. Liu, "Adaptive Weighted Attention Network with Camera Spectral Sensitivity Prior for
Spectral Reconstruction from RGB Images", CVPR Workshops 2020, arXiv 2005.09305. Public code: Deep-imagelab/AWAN, no
licence file. Names of modules are the paper's.

Known differences (``docs/models/awan.md`` has the full list): the second-order attention is never stored as a matrix of
all pairs; fewer than 8 bands, fewer than 16 features and images of one pixel work; the camera term of the loss has a
gradient by default (`camera_discrepancy`).

Symbols: c and C the bands of input and output, f the features, n the blocks.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.exporting import exporting
from finewave.nn.full_precision import full_precision
from finewave.nn.padding import ReflectConv2d
from finewave.systems.awan.polynomial_attention import polynomial_attention
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, one_of

SCORES_AT_ONCE = 2**24  # above it the attention kernel builds the full matrix in parts: 64 MB of float32


class AWCA(nn.Module):
    """Adaptive weighted channel attention: each channel scaled by a sigmoid of weighted spatial means.

    The weights of the mean are a softmax over all pixels of a learned combination of the channels, so the result
    depends on the whole image.
    """

    def __init__(self, features: int, reduction: int = 16) -> None:
        super().__init__()
        inner = max(features // reduction, 1)
        self.weigh = nn.Conv2d(features, 1, 1, bias=False)
        self.squeeze = nn.Linear(features, inner, bias=False)
        self.activation = nn.PReLU()
        self.excite = nn.Linear(inner, features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (B, f, H, W) with its channels scaled."""
        digits = torch.promote_types(x.dtype, torch.float32)  # thousands of small weights that sum to 1
        weights = self.weigh(x).flatten(2).softmax(2, dtype=digits).to(x.dtype)
        means = (x.flatten(2) @ weights.mT)[..., 0]
        scales = self.excite(self.activation(self.squeeze(means))).sigmoid()
        return x * scales[:, :, None, None].to(x.dtype)


class SecondOrderNonLocal(nn.Module):
    """Non-local block whose similarities are covariances between positions.

    With theta the N positions by k channels of the embedding and m the mean of each position over its channels,

        y = softmax((theta - m) theta^T / k) g,    output = x + W y.

    Only the left factor is centred, as in the public code. W is initialised to zero, so the block starts as the
    identity.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        inner = max(channels // reduction, 1)
        self.g = nn.Conv2d(channels, inner, 1, bias=False)
        self.theta = nn.Conv2d(channels, inner, 1, bias=False)
        self.W = nn.Conv2d(inner, channels, 1, bias=False)
        nn.init.zeros_(self.W.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) from ``x`` of the same shape; memory is linear in the number of pixels.

        So is time, in evaluation on a processor, as long as scores are small enough for `polynomial_attention`.
        """
        theta, g = (part.flatten(2).mT for part in (self.theta(x), self.g(x)))
        k = theta.shape[2]
        y = _attention(theta - theta.mean(2, keepdim=True), theta, g, 1 / k)
        return x + self.W(y.mT.unflatten(2, x.shape[2:]))


def _attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Return softmax(scale query key^T) value for (B, N, k) each, without the N x N matrix."""
    learns = torch.is_grad_enabled() and (query.requires_grad or value.requires_grad)
    # reading the scores' size would synchronise a GPU, which is fast enough with all pairs
    if not learns and query.device.type == "cpu" and not exporting():
        result = polynomial_attention(query, key, value, scale)
        if result is not None:
            return result
    k = query.shape[2]
    # zeros change no product, and the kernels without a matrix want rows of 8
    q, K, v = (F.pad(part, (0, -k % 8))[:, None] for part in (query, key, value))
    if exporting():  # the number of parts depends on the image
        return F.scaled_dot_product_attention(q, K, v, scale=scale)[:, 0, :, :k]
    rows = max(SCORES_AT_ONCE // max(key.shape[0] * key.shape[1], 1), 1)
    parts = [F.scaled_dot_product_attention(some, K, v, scale=scale) for some in q.split(rows, 2)]
    return torch.cat(parts, 2)[:, 0, :, :k]


class PSNL(nn.Module):
    """Patch-level second-order non-local module: one shared block on each of the image's four quadrants.

    Cut at half of the height and width, rounded down. So the output depends on the image's size and, for a crop, on its
    position.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.non_local = SecondOrderNonLocal(channels, reduction)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) from ``x`` of the same shape."""
        H, W = x.shape[2:]
        # an image of one row or column has no upper or left half
        rows = [part for part in x.split((H // 2, H - H // 2), 2) if part.shape[2]]
        halves = [[part for part in row.split((W // 2, W - W // 2), 3) if part.shape[3]] for row in rows]
        return torch.cat([torch.cat([self.non_local(part) for part in row], 3) for row in halves], 2)


class DRAB(nn.Module):
    """Dual residual attention block: two streams, x and r, (B, f, H, W) each.

    t = PReLU(conv(PReLU(conv(x))) + x), r' = PReLU(conv_large(t) + r), x' = PReLU(conv_small(AWCA(r')) + x).
    """

    def __init__(self, features: int, large: int = 5, small: int = 3, reduction: int = 16) -> None:
        super().__init__()
        self.conv1 = ReflectConv2d(features, features, 3)
        self.relu1 = nn.PReLU()
        self.conv2 = ReflectConv2d(features, features, 3)
        self.relu2 = nn.PReLU()
        self.conv_large = ReflectConv2d(features, features, large)
        self.relu_large = nn.PReLU()
        self.attention = AWCA(features, reduction)
        self.conv_small = ReflectConv2d(features, features, small)
        self.relu_small = nn.PReLU()

    def forward(self, x: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """Return x' and r'."""
        t = self.relu1(self.conv1(x))
        t = self.relu2(self.conv2(t) + x)
        r = self.relu_large(self.conv_large(t) + r)
        return self.relu_small(self.conv_small(self.attention(r)) + x), r


class AWAN(SRNetwork):
    """HR-MSI to HR-HSI: (B, c, H, W) to (B, C, H, W), reflectance-like values in [0, 1]; the output is not clipped.

    Parameters
    ----------
    ms_bands, hs_bands : int
        c and C.
    features : int
        f. Published: 200 with 8 blocks; 128 with 20 and 180 with 10 in the challenge's ensembles; 96 with 8 in the
        comparison of MST++.
    blocks : int
        n.
    reduction : int
        f over the inner width of AWCA, rounded down, at least 1.
    nonlocal_reduction : int
        C over the inner width of PSNL, rounded down, at least 1.
    initialisation : {"published", "framework"}
        Weight initialisation: ``"published"`` sets the last convolution of PSNL to zero, so that PSNL starts as the
        identity; ``"framework"`` uses PyTorch's defaults.

    Notes
    -----
    Attention weighs whole quadrants and AWCA the whole image, so every pixel affects every other: `receptive_field` is
    None, and tiled prediction differs from that of the whole scene. Memory grows linearly with the number of pixels; so
    does time in evaluation on a CPU, otherwise it grows quadratically through PSNL.
    """

    task = "ssr"
    scale = 1
    receptive_field = None
    export_multiple = 2  # for halves of equal size
    export_largest_tile = 64  # with its halo, 52 MB for a number for each pair of pixels of a quadrant

    def __init__(
        self,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        features: int = 200,
        blocks: int = 8,
        reduction: int = 16,
        nonlocal_reduction: int = 8,
        initialisation: Literal["published", "framework"] = "published",
    ) -> None:
        super().__init__()
        at_least("awan", 1, ms_bands=ms_bands, hs_bands=hs_bands, features=features, blocks=blocks)
        at_least("awan", 1, reduction=reduction, nonlocal_reduction=nonlocal_reduction)
        one_of("awan", ("published", "framework"), initialisation=initialisation)
        self.ms_bands, self.hs_bands = ms_bands, hs_bands
        self.input = ReflectConv2d(ms_bands, features)
        self.input_relu = nn.PReLU()
        self.head = ReflectConv2d(features, features)
        self.blocks = nn.ModuleList(DRAB(features, reduction=reduction) for _ in range(blocks))
        self.tail = ReflectConv2d(features, features)
        self.tail_relu = nn.PReLU()
        self.output_conv = ReflectConv2d(features, hs_bands)
        self.psnl = PSNL(hs_bands, nonlocal_reduction)
        if initialisation == "framework":
            self.psnl.non_local.W.reset_parameters()

    def training_loss(self, batch: dict[str, Tensor], done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the output and the term ``camera`` of the published loss, MRAE + 10 camera.

        Parameters
        ----------
        batch : dict of Tensor
            ``hr_msi`` (B, c, H, W) and ``response`` (c, C).
        done : float
            Part of the training that is done; the terms do not depend on it.
        """
        output = self(batch["hr_msi"])
        return output, {"camera": camera_discrepancy(output, batch["hr_msi"], batch["response"])}

    def forward(self, hr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, H, W) of ``hr_msi`` (B, c, H, W)."""
        shallow = self.head(self.input_relu(self.input(hr_msi)))
        x = r = shallow
        for block in self.blocks:
            x, r = block(x, r)
        deep = self.tail_relu(self.tail(x) + shallow)
        with full_precision(hr_msi):
            return self.psnl(self.output_conv(deep.to(hr_msi.dtype)))


def camera_discrepancy(hr_hsi: Tensor, hr_msi: Tensor, response: Tensor, levels: int | None = None) -> Tensor:
    """Return the mean absolute difference between the camera's image simulated from ``hr_hsi`` and the observed one.

    Parameters
    ----------
    hr_hsi : Tensor (B, C, H, W)
        Predicted.
    hr_msi : Tensor (B, c, H, W)
        Observed, in [0, 1].
    response : Tensor (c, C)
        Of the camera; its rows sum to 1.
    levels : int, optional
        The projection is clipped to [0, 1] and truncated to multiples of 1 / ``levels``, 255 in the public code. Steps
        have no slope, so there is no gradient then. By default neither clipped nor truncated.

    Returns
    -------
    Tensor ()
    """
    seen = torch.einsum("kc,bchw->bkhw", response.to(hr_hsi.dtype), hr_hsi)
    if levels is not None:
        seen = (seen.detach().clamp(0, 1) * levels).trunc() / levels
    return (seen - hr_msi).abs().mean()
