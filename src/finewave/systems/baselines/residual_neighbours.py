"""A linear regression, and what it left over at the training pixels that are nearest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.systems.baselines.nearest_neighbours import tree_of
from finewave.systems.baselines.pixel_regression import RidgeRegression

AT_ONCE = 1 << 16
"""Pixels that are looked up together, which bounds memory."""


class ResidualNeighbours(RidgeRegression):
    """HS bands as an affine map of the MS bands, plus the mean of its residuals at the nearest training pixels.

    Pixels are as near as their MS bands, each divided by its standard deviation over the training pixels.

    Parameters
    ----------
    ms_bands, hs_bands : int
        c and C.
    penalty : float
        Of the affine map, see `RidgeRegression`.
    neighbours, pixels : int
        How many training pixels are averaged, of how many that are kept, drawn at random; >= 1.

    Raises
    ------
    InputError
        A ``ValueError``, if a value is out of range.
    """

    name = "ridge-knn"
    export_lacks: ClassVar = dict.fromkeys(("onnx", "pt2"), "it looks up neighbours among the training pixels")
    known: Tensor
    residuals: Tensor
    spread: Tensor

    def __init__(
        self,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        penalty: float = 0.0,
        neighbours: int = 16,
        pixels: int = 20_000,
    ) -> None:
        super().__init__(ms_bands, hs_bands, penalty=penalty)
        for key, value in (("neighbours", neighbours), ("pixels", pixels)):
            if value < 1:
                raise InputError(f"ridge-knn: {key}={value} is out of range; it must be >= 1")
        self.neighbours = neighbours
        self.register_buffer("spread", torch.ones(ms_bands))
        self.register_buffer("known", torch.rand(pixels, ms_bands))
        # of small numbers two digits are enough; of weights they are the largest part
        self.register_buffer("residuals", (0.01 * torch.randn(pixels, hs_bands)).bfloat16())

    def forward(self, hr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, H, W) of ``hr_msi`` (B, c, H, W)."""
        affine = super().forward(hr_msi)
        B, _, H, W = hr_msi.shape
        wide = hr_msi.to(torch.promote_types(hr_msi.dtype, torch.float32))
        pixels = wide.permute(0, 2, 3, 1).flatten(0, 2) / self.spread.to(wide)
        known, residuals = self.known.to(wide), self.residuals.to(wide)
        tree = tree_of(known.detach().cpu().double().numpy())
        ranks = np.arange(1, min(self.neighbours, tree.n) + 1)
        means = []
        for some in pixels.split(AT_ONCE):
            points = some.detach().cpu().double().numpy()
            _, places = tree.query(points, k=ranks, workers=torch.get_num_threads())
            nearest = torch.from_numpy(places).to(residuals.device)
            means.append(F.embedding_bag(nearest, residuals, mode="mean"))
        return affine + torch.cat(means).to(hr_msi.dtype).view(B, H, W, -1).permute(0, 3, 1, 2)

    @torch.no_grad()
    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int = 0) -> None:
        """Fit the affine map and keep training pixels with its residuals; see `RidgeRegression`.

        Parameters
        ----------
        samples : iterable of mappings
            Images ``hr_msi`` (B, c, H, W) and ``hr_hsi`` (B, C, H, W); held in memory.
        seed : int
            Of the draw of pixels. Those that are zero in every band are not kept; fewer than `pixels` are repeated.
        """
        images = list(samples)
        super().prepare_from(images, seed)
        ms = torch.cat([each["hr_msi"].permute(0, 2, 3, 1).flatten(0, 2) for each in images]).double()
        hs = torch.cat([each["hr_hsi"].permute(0, 2, 3, 1).flatten(0, 2) for each in images]).double()
        used = torch.nonzero((hs != 0).any(1))[:, 0]
        if not len(used):
            raise InputError("ridge-knn needs training images to look up pixels in; theirs are zero in every band")
        random = torch.Generator().manual_seed(seed)
        used = used[torch.randperm(len(used), generator=random)]
        chosen = used[torch.arange(len(self.known)) % len(used)]
        affine = self.terms(ms[chosen].T[None, :, :, None]) @ self.coefficients.double()
        self.spread.copy_(ms.std(0).clamp(min=1e-6))
        self.known.copy_(ms[chosen] / self.spread)
        self.residuals.copy_(hs[chosen] - affine)
