"""Bicubic interpolation: the floor of every table of spatial super-resolution."""

from __future__ import annotations

from torch import Tensor

from finewave.nn.sampling import bicubic
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least


class Bicubic(SRNetwork):
    """Cubic convolution on half-pixel centres (a = -0.75, as in PyTorch), band by band; no weights.

    Parameters
    ----------
    scale : int
        s >= 2.
    hs_bands : int
        C.
    """

    task = "sr"
    receptive_field = 2
    band_by_band = True

    def __init__(self, scale: int = 4, hs_bands: int = 31) -> None:
        super().__init__()
        at_least("bicubic", 2, scale=scale)
        at_least("bicubic", 1, hs_bands=hs_bands)
        self.scale, self.hs_bands = scale, hs_bands

    def forward(self, lr_hsi: Tensor) -> Tensor:
        """Return (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w)."""
        return bicubic(lr_hsi, (lr_hsi.shape[2] * self.scale, lr_hsi.shape[3] * self.scale))
