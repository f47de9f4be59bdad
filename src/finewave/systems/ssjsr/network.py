"""SSJSR: the first network for joint super-resolution, a sequence of 3-D convolutions; after the article.

S. Mei, R. Jiang, X. Li, Q. Du, "Spatial and Spectral Joint Super-Resolution Using Convolutional Neural Network", IEEE
Transactions on Geoscience and Remote Sensing 58(7), 4590-4603, 2020. Neither its text nor code was available. Publicly
known: it is a sequence of 3-D convolutions in an end-to-end network (arXiv 2505.24605, section II), and the sizes of
the same authors' `finewave.systems.fcnn3d`: four of them with ReLU, no padding, patches of 33 x 33. finewave's choices:

- bicubic interpolation in space, and an affine map of the MS bands to the HS bands, before the convolutions. The map is
  fitted to the training scenes by least squares, then trained with the rest;
- rows, columns and bands at the ends are repeated, so that the result has the size of the scene;
- ``initialisation="interpolation"``: the convolutions begin as the identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from finewave.errors import InputError
from finewave.nn.convolutions3d import Convolutions3D, reach_after_enlarging
from finewave.nn.least_squares import solve_normal
from finewave.nn.sampling import bicubic
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least

PENALTY = 1e-4
"""Ridge of the least squares, relative to the mean square of the MS bands: bands may be identical."""


class SSJSR(SRNetwork):
    """LR-MSI (B, c, h, w) to HR-HSI (B, C, s h, s w): enlargement in space and spectrum, then `Convolutions3D`.

    Parameters
    ----------
    scale : int
        s, any integer >= 2.
    ms_bands, hs_bands : int
        c and C.
    features : int
        Of the first convolution; 64, then 32 and 9, in the network of the same authors.
    initialisation : {"interpolation", "framework"}
        Initialisation of the convolutions: near the identity, or PyTorch's default.
    """

    task = "sssr"
    prepares = True

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        features: int = 64,
        initialisation: Literal["interpolation", "framework"] = "interpolation",
    ) -> None:
        super().__init__()
        at_least("ssjsr", 2, scale=scale)
        at_least("ssjsr", 1, ms_bands=ms_bands, hs_bands=hs_bands, features=features)
        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands
        self.spectra = nn.Conv2d(ms_bands, hs_bands, 1)
        self.convolutions = Convolutions3D(features)
        if initialisation == "interpolation":
            self.convolutions.start_at_identity()

    @property
    def receptive_field(self) -> int:
        """Largest distance in LR pixels at which an input pixel affects an output pixel."""
        return reach_after_enlarging(self.scale)

    def forward(self, lr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, s h, s w) of ``lr_msi`` (B, c, h, w)."""
        spectra = self.spectra(lr_msi)  # an affine map and interpolation commute; here there are fewer pixels
        return self.convolutions(bicubic(spectra, (self.scale * lr_msi.shape[2], self.scale * lr_msi.shape[3])))

    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int = 0) -> None:
        """Fit the affine map of the bands, by least squares over all pixels.

        Parameters
        ----------
        samples : iterable of mappings
            Images ``hr_msi`` (B, c, H, W) and ``hr_hsi`` (B, C, H, W); read once, one at a time.
        seed : int
            Not used: nothing is random here.
        """
        gram = torch.zeros(self.ms_bands + 1, self.ms_bands + 1, dtype=torch.float64)
        moment = torch.zeros(self.ms_bands + 1, self.hs_bands, dtype=torch.float64)
        count = 0
        for sample in samples:
            ms, hs = (sample[name].double().permute(0, 2, 3, 1).flatten(0, 2).cpu() for name in ("hr_msi", "hr_hsi"))
            rows = torch.cat((ms, torch.ones_like(ms[:, :1])), 1)
            gram, moment, count = gram + rows.T @ rows, moment + rows.T @ hs, count + len(rows)
        if not count:
            raise InputError("ssjsr needs training images to be fitted; there are none")
        ridge = PENALTY * gram.diagonal()[:-1].mean() * torch.eye(self.ms_bands + 1, dtype=torch.float64)
        ridge[-1, -1] = 0  # the constant is not penalised
        solution = solve_normal(gram + ridge, moment)
        assert self.spectra.bias is not None
        with torch.no_grad():
            self.spectra.weight.copy_(solution[:-1].T[..., None, None])
            self.spectra.bias.copy_(solution[-1])
