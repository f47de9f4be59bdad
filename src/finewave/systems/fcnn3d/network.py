"""3D-FCNN: spatial super-resolution of a hyperspectral image by four 3-D convolutions.

S. Mei, X. Yuan, J. Ji, Y. Zhang, S. Wan, Q. Du, "Hyperspectral Image Spatial Super-Resolution via 3D Full Convolutional
Neural Network", Remote Sensing 9(11), 1139, 2017. Public code: MeiShaohui/Hyperspectral-Image-Spatial-Super-Resolution-
via-3D-Full-Convolutional-Neural-Network. None of it is used here. Layers and widths are those of both; differences:

- the result has the size of the scene: rows, columns and bands at the ends are repeated before the convolutions, where
  the public code mirrors the image for the rows and columns, and loses four bands at each end;
- ``initialisation="interpolation"`` lets the untrained network begin at the bicubic image.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from finewave.nn.convolutions3d import Convolutions3D, reach_after_enlarging
from finewave.nn.sampling import bicubic
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least


class FCNN3D(SRNetwork):
    """LR-HSI to HR-HSI: (B, C, h, w) to (B, C, s h, s w): bicubic enlargement, then `Convolutions3D`.

    Parameters
    ----------
    scale : int
        s, any integer >= 2; published with 2, 4 in tables of others.
    hs_bands : int
        C; the weights do not depend on it.
    features : int
        Width of the first convolution; 64 as published, then 32 and 9.
    initialisation : {"interpolation", "framework"}
        How weights start: so that the network returns about the bicubic image, or PyTorch's default.
    """

    task = "sr"

    def __init__(
        self,
        scale: int = 4,
        hs_bands: int = 31,
        *,
        features: int = 64,
        initialisation: Literal["interpolation", "framework"] = "interpolation",
    ) -> None:
        super().__init__()
        at_least("3d-fcnn", 2, scale=scale)
        at_least("3d-fcnn", 1, hs_bands=hs_bands, features=features)
        self.scale, self.hs_bands = scale, hs_bands
        self.convolutions = Convolutions3D(features)
        if initialisation == "interpolation":
            self.convolutions.start_at_identity()

    @property
    def receptive_field(self) -> int:
        """Largest distance in LR pixels at which an input pixel affects an output pixel."""
        return reach_after_enlarging(self.scale)

    def forward(self, lr_hsi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w)."""
        return self.convolutions(bicubic(lr_hsi, (self.scale * lr_hsi.shape[2], self.scale * lr_hsi.shape[3])))
