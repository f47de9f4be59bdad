"""Spectra from multispectral pixels by least squares: a baseline for spectral super-resolution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, combinations_with_replacement

import torch
from torch import Tensor, nn

from finewave.errors import InputError
from finewave.nn.least_squares import solve_normal
from finewave.systems.base import SRNetwork
from finewave.systems.option_checks import at_least

DARK_PRODUCT = 1e-12
"""Lower bound of products of two bands: a band of 1e-6 is dark in all units used here."""


class PixelRegression(SRNetwork):
    """HS bands as polynomials of the MS bands of the same pixel.

    The coefficients are fitted in one pass over the training images (`prepare_from`), by ridge regression: mean squared
    error plus ``penalty`` times the mean square of all coefficients but the constant.

    Parameters
    ----------
    ms_bands, hs_bands : int
        c and C.
    penalty : float
        >= 0.
    """

    task = "ssr"
    prepares = True
    receptive_field = 0
    scale = 1
    degree = 1
    name = "regression"

    def __init__(self, ms_bands: int, hs_bands: int, penalty: float) -> None:
        super().__init__()
        at_least(self.name, 1, ms_bands=ms_bands, hs_bands=hs_bands)
        at_least(self.name, 0, penalty=penalty)
        self.ms_bands, self.hs_bands, self.penalty = ms_bands, hs_bands, penalty
        self.monomials = self.choose_monomials()
        self.products = len(self.monomials) * (1 + hs_bands)
        self.coefficients = nn.Parameter(torch.empty(len(self.monomials), hs_bands))
        nn.init.normal_(self.coefficients, std=0.1)

    def choose_monomials(self) -> list[tuple[int, ...]]:
        """Return each monomial as the indices of its factors; () is the constant."""
        bands = range(self.ms_bands)
        return [each for n in range(self.degree + 1) for each in combinations_with_replacement(bands, n)]

    def terms(self, ms: Tensor) -> Tensor:
        """Return every monomial of every pixel of ``ms`` (B, c, H, W) as (pixels, terms)."""
        x = ms.permute(0, 2, 3, 1).flatten(0, 2)
        columns = []
        for factors in self.monomials:
            column = torch.ones_like(x[:, 0])
            for i in factors:
                column = column * x[:, i]
            columns.append(column)
        return torch.stack(columns, 1)

    def forward(self, hr_msi: Tensor) -> Tensor:
        """Return the HR-HSI (B, C, H, W) of ``hr_msi`` (B, c, H, W)."""
        B, _, H, W = hr_msi.shape
        wide = torch.promote_types(hr_msi.dtype, torch.float32)  # large terms may cancel
        pixels = self.terms(hr_msi.to(wide)) @ self.coefficients.to(wide)
        return pixels.to(hr_msi.dtype).view(B, H, W, -1).permute(0, 3, 1, 2)

    def prepare_from(self, samples: Iterable[Mapping[str, Tensor]], seed: int = 0) -> None:
        """Fit the coefficients.

        Parameters
        ----------
        samples : iterable of mappings
            Images ``hr_msi`` (B, c, H, W) and ``hr_hsi`` (B, C, H, W); read once, one at a time.
        seed : int
            Not used: nothing is random here.
        """
        gram: Tensor | float = 0.0
        moment: Tensor | float = 0.0
        count = 0
        for sample in samples:
            rows = self.terms(sample["hr_msi"].double())
            gram = gram + rows.T @ rows
            moment = moment + rows.T @ sample["hr_hsi"].double().permute(0, 2, 3, 1).flatten(0, 2)
            count += len(rows)
        if not isinstance(gram, Tensor) or not isinstance(moment, Tensor):
            raise InputError(f"{self.name} needs training images to be fitted; there are none")
        ridge = torch.diag(gram.new_tensor([self.penalty * bool(factors) for factors in self.monomials]))
        solution = solve_normal(gram / count + ridge, moment / count)
        with torch.no_grad():
            self.coefficients.copy_(solution)


class RidgeRegression(PixelRegression):
    """HS bands as affine maps of the MS bands; see `PixelRegression`."""

    name = "ridge"

    def __init__(self, ms_bands: int = 3, hs_bands: int = 31, *, penalty: float = 1e-4) -> None:
        super().__init__(ms_bands, hs_bands, penalty)


class QuadraticRegression(PixelRegression):
    """HS bands from constant, linear and quadratic terms of the MS bands; see `PixelRegression`."""

    degree = 2
    name = "quadratic"

    def __init__(self, ms_bands: int = 3, hs_bands: int = 31, *, penalty: float = 0.0) -> None:
        super().__init__(ms_bands, hs_bands, penalty)


class RootPolynomialRegression(PixelRegression):
    """HS bands from the MS bands and the geometric means of two of them; see `PixelRegression`.

    Scaling the input by k scales the HSI by k, as in a network without biases. G. D. Finlayson, M. Mackiewicz,
    A. Hurlbert, "Color Correction Using Root-Polynomial Regression", IEEE Transactions on Image Processing 24, 2015;
    for spectra Y.-T. Lin, G. D. Finlayson, "Exposure Invariance in Spectral Reconstruction from RGB Images", Color and
    Imaging Conference 2019. Negative values are set to zero in the means.
    """

    name = "root-polynomial"

    def __init__(self, ms_bands: int = 3, hs_bands: int = 31, *, penalty: float = 0.0) -> None:
        super().__init__(ms_bands, hs_bands, penalty)

    def choose_monomials(self) -> list[tuple[int, ...]]:
        """Return the bands and their pairs; the root of a square would be the band again."""
        return [each for n in (1, 2) for each in combinations(range(self.ms_bands), n)]

    def terms(self, ms: Tensor) -> Tensor:
        """Return all terms of every pixel, including roots of products of pairs; see `PixelRegression.terms`."""
        products = super().terms(ms.clamp(min=0))
        bands = ms.permute(0, 2, 3, 1).flatten(0, 2)
        # avoids the root of zero, whose slope is infinite
        return torch.cat([bands, products[:, self.ms_bands :].clamp(min=DARK_PRODUCT).sqrt()], 1)
