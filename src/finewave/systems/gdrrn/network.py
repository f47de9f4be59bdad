"""GDRRN: spatial super-resolution by one recursive residual unit of grouped convolutions.

Y. Li, L. Zhang, C. Ding, W. Wei, Y. Zhang, "Single Hyperspectral Image Super-Resolution with Grouped Deep Recursive
Residual Network", IEEE International Conference on Multimedia Big Data (BigMM), 2018. Public code: Liyong8490/
HSI-SR-GDRRN. None of it is used here. Differences: any scale, width and number of groups; the bicubic upsampling is
part of the network; ``initialisation="interpolation"`` makes the untrained network return it.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.residual import conv
from finewave.nn.sampling import bicubic
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least, require


class GDRRN(SRNetwork):
    """LR-HSI to HR-HSI: (B, C, h, w) to (B, C, s h, s w), all at the size of the result.

        x   = bicubic enlargement
        t_0 = conv(ReLU(x))
        t_k = t_0 + conv_g(ReLU(conv_g(ReLU(t_(k-1)))))     k = 1 ... units; the same two grouped convolutions each time
        y   = x + conv(ReLU(t_units))

    Convolutions are 3 x 3, without bias.

    Parameters
    ----------
    scale : int
        s, any integer >= 2.
    hs_bands : int
        C.
    features : int
        Published is 128; a multiple of ``groups``.
    units : int
        Recursions; 9 in the public code.
    groups : int
        Of the recursive convolutions; 2 in the public code.
    initialisation : {"interpolation", "published"}
        Weight initialisation: normal with variance 2 / (9 outputs), as published; for ``"interpolation"`` the last
        convolution's weights are scaled by 1/100.
    """

    task = "sr"

    def __init__(
        self,
        scale: int = 4,
        hs_bands: int = 31,
        *,
        features: int = 128,
        units: int = 9,
        groups: int = 2,
        initialisation: Literal["interpolation", "published"] = "interpolation",
    ) -> None:
        super().__init__()
        at_least("gdrrn", 2, scale=scale)
        at_least("gdrrn", 1, hs_bands=hs_bands, features=features, units=units, groups=groups)
        require("gdrrn", features % groups == 0, f"a multiple of {groups=}", features=features)
        self.scale, self.hs_bands, self.units = scale, hs_bands, units
        self.head = conv(hs_bands, features, bias=False)
        self.recursive1 = nn.Conv2d(features, features, 3, padding=1, groups=groups, bias=False)
        self.recursive2 = nn.Conv2d(features, features, 3, padding=1, groups=groups, bias=False)
        self.tail = conv(features, hs_bands, bias=False)
        for layer in (self.head, self.recursive1, self.recursive2, self.tail):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / (9 * layer.out_channels)))
        if initialisation == "interpolation":
            with torch.no_grad():
                self.tail.weight.mul_(0.01)

    @property
    def receptive_field(self) -> int:
        """Largest distance in LR pixels at which an input pixel affects an output pixel; 2 of them by interpolation."""
        return -(-(2 + 2 * self.units) // self.scale) + 2

    def forward(self, lr_hsi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w)."""
        x = bicubic(lr_hsi, (self.scale * lr_hsi.shape[2], self.scale * lr_hsi.shape[3]))
        start = t = self.head(F.relu(x))
        for _ in range(self.units):
            t = start + self.recursive2(F.relu(self.recursive1(F.relu(t))))
        return x + self.tail(F.relu(t))
