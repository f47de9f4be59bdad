"""Iterative back-projection: an image whose degraded version equals the observed one.

M. Irani, S. Peleg, "Improving resolution by image registration", CVGIP: Graphical Models and Image Processing 53(3),
1991, for a single image and a known blur.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from finewave.nn.sampling import bicubic
from finewave.physics.observation import Observation
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least


class BackProjection(SRNetwork):
    """Start from bicubic interpolation, then add the enlarged difference to the observation, again and again.

    ``x <- x + U (y - D x)`` with D the observation model and U, the back-projection kernel of the paper, bicubic
    interpolation. It converges to an image with D x = y.

    Parameters
    ----------
    scale : int
        s >= 2.
    hs_bands : int
        C.
    iterations : int
        >= 0.
    degradation : dict, optional
        D: keyword arguments of `degrade`; by default its Gaussian.
    """

    task = "sr"
    band_by_band = True

    def __init__(
        self,
        scale: int = 4,
        hs_bands: int = 31,
        *,
        iterations: int = 20,
        degradation: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.observation = Observation(scale, degradation, "ibp")
        at_least("ibp", 1, hs_bands=hs_bands)
        at_least("ibp", 0, iterations=iterations)
        self.scale, self.hs_bands, self.iterations = scale, hs_bands, iterations

    @property
    def receptive_field(self) -> int:
        """Distance in LR pixels up to which an input pixel acts on an output pixel."""
        return 2 + self.iterations * (2 + self.observation.reach)

    def forward(self, lr_hsi: Tensor) -> Tensor:
        """Return (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w)."""
        y = lr_hsi.to(torch.promote_types(lr_hsi.dtype, torch.float32))
        size = (y.shape[2] * self.scale, y.shape[3] * self.scale)
        x = bicubic(y, size)
        for _ in range(self.iterations):
            x = x + bicubic(y - self.observation(x), size)
        return x.to(lr_hsi.dtype)
