"""Learned upsampling."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.residual import conv


class Upsampler(nn.Sequential):
    """Progressive upsampling: for each factor p a 3 x 3 convolution to p^2 F channels and a pixel shuffle."""

    def __init__(self, features: int, factors: list[int]) -> None:
        super().__init__(*(conv(features, p * p * features) for p in factors))
        self.factors = list(factors)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge (B, F, h, w) by the product of the factors."""
        for layer, p in zip(self, self.factors, strict=True):
            x = F.pixel_shuffle(layer(x), p)
        return x
