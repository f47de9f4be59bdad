"""EDSR: super-resolution by residual blocks without normalisation, of all bands together.

B. Lim, S. Son, H. Kim, S. Nah, K. M. Lee, "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPR
Workshops 2017, arXiv 1707.02921. The article treats photographs of three bands; tables of hyperspectral systems use it
with all bands of the image. Differences: the mean of the training images is not subtracted; any scale, by its prime
factors; with ``initialisation="interpolation"`` the untrained network is a quadratic interpolation.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.residual import conv
from finewave.nn.sampling import prime_factors
from finewave.nn.upsampling import Upsampler
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least


class EDSRBlock(nn.Module):
    """x + r conv(ReLU(conv(x))), r the residual scale; (B, F, H, W) to the same shape. Figure 2c of the article."""

    def __init__(self, features: int, residual_scale: float) -> None:
        super().__init__()
        self.residual_scale = residual_scale
        self.conv1, self.conv2 = conv(features, features), conv(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return x + self.residual_scale * self.conv2(F.relu(self.conv1(x), inplace=True))


class EDSR(SRNetwork):
    """LR-HSI to HR-HSI: (B, C, h, w) to (B, C, s h, s w). Figure 3 of the article.

    Parameters
    ----------
    scale : int
        s, any integer >= 2; published with 2, 3 and 4.
    hs_bands : int
        C.
    features, blocks : int
        256 and 32, as published; the article's baseline has 64 and 16.
    residual_scale : float
        0.1 as published, 1 in its baseline.
    initialisation : {"interpolation", "framework"}
        Weight initialisation: so that the network returns the interpolated image (needs ``features >= hs_bands``,
        otherwise no effect), or PyTorch's default, as published.
    """

    task = "sr"

    def __init__(
        self,
        scale: int = 4,
        hs_bands: int = 31,
        *,
        features: int = 256,
        blocks: int = 32,
        residual_scale: float = 0.1,
        initialisation: Literal["interpolation", "framework"] = "interpolation",
    ) -> None:
        super().__init__()
        at_least("edsr", 2, scale=scale)
        at_least("edsr", 1, hs_bands=hs_bands, features=features, blocks=blocks)
        self.scale, self.hs_bands = scale, hs_bands
        self.head = conv(hs_bands, features)
        self.blocks = nn.Sequential(*(EDSRBlock(features, residual_scale) for _ in range(blocks)))
        self.last = conv(features, features)
        self.upsampler = Upsampler(features, prime_factors(scale))
        self.tail = conv(features, hs_bands)
        if initialisation == "interpolation" and features >= hs_bands:
            _start_at_interpolation(self)

    @property
    def receptive_field(self) -> int:
        """Distance in LR pixels up to which an input pixel acts on an output pixel."""
        reach = 1  # in pixels of the current level, from the output back to the input; here the last convolution
        for p in reversed(self.upsampler.factors):
            reach = -(-reach // p) + 1
        return reach + 2 + 2 * len(self.blocks)

    def forward(self, lr_hsi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w)."""
        x = self.head(lr_hsi)
        return self.tail(self.upsampler(x + self.last(self.blocks(x))))


@torch.no_grad()
def _start_at_interpolation(net: EDSR) -> None:
    """Initialise: each band in one feature, blocks that add little, an upsampler that interpolates by parabolas."""
    C = net.hs_bands
    for layer in (net.head, net.last, *net.upsampler, net.tail):
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        layer.weight.mul_(0.01)
        nn.init.zeros_(layer.bias)
    for layer in (net.head, net.tail):
        layer.weight[:C, :C, 1, 1] += torch.eye(C)
    for layer, p in zip(net.upsampler, net.upsampler.factors, strict=True):
        assert isinstance(layer, nn.Conv2d)
        taps = torch.tensor([_quadratic((i + 0.5) / p - 0.5) for i in range(p)])
        kernels = torch.einsum("ih,jw->ijhw", taps, taps).flatten(
            0, 1
        )  # (p^2, 3, 3), in the order of the pixel shuffle
        for feature in range(C):
            layer.weight[feature * p * p : (feature + 1) * p * p, feature] += kernels


def _quadratic(offset: float) -> tuple[float, float, float]:
    """Return the weights of three neighbouring pixels in the value, at an offset from the middle, of their parabola."""
    return offset * (offset - 1) / 2, 1 - offset**2, offset * (offset + 1) / 2
