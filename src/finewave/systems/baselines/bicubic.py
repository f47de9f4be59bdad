"""Bicubic interpolation: the floor of every table of spatial super-resolution."""

from __future__ import annotations

from torch import Tensor

from finewave.errors import InputError
from finewave.nn.sampling import bicubic
from finewave.systems.base import SRNetwork


class Bicubic(SRNetwork):
    """Cubic convolution on half-pixel centres (a = -0.75, as in PyTorch), band by band; no weights.

    Parameters
    ----------
    scale : int
        s >= 2.
    hs_bands : int
        C.

    Raises
    ------
    InputError
        A ``ValueError``, if a value is out of range.
    """

    task = "sr"
    receptive_field = 2
    band_by_band = True

    def __init__(self, scale: int = 4, hs_bands: int = 31) -> None:
        super().__init__()
        if scale < 2:
            raise InputError(f"bicubic: {scale=} is out of range; it must be an integer >= 2")
        if hs_bands < 1:
            raise InputError(f"bicubic: {hs_bands=} is out of range; it must be >= 1")
        self.scale, self.hs_bands = scale, hs_bands

    def forward(self, lr_hsi: Tensor) -> Tensor:
        """Return (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w)."""
        return bicubic(lr_hsi, (lr_hsi.shape[2] * self.scale, lr_hsi.shape[3] * self.scale))
