"""The floor of every table: bicubic upsampling, then the best per-pixel quadratic map from MS to HS bands."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from finewave.data.crops import Sample
from finewave.nn.sampling import bicubic


class QuadraticRegression:
    """Least-squares fit of the HR-HSI to constant, linear and quadratic terms of the upsampled LR-MSI.

    Parameters
    ----------
    samples : iterable of Sample
        Training images; looked at once, one at a time.

    Attributes
    ----------
    coefficients : Tensor (1 + c + c (c + 1) / 2, C)
        float64.
    """

    def __init__(self, samples: Iterable[Sample]) -> None:
        gram: Tensor | float = 0.0
        moment: Tensor | float = 0.0
        for sample in samples:
            terms = _terms(_upsampled(sample["lr_msi"], sample["hr_hsi"]))
            gram = gram + terms.T @ terms
            moment = moment + terms.T @ sample["hr_hsi"].double().permute(0, 2, 3, 1).flatten(0, 2)
        assert isinstance(gram, Tensor)
        assert isinstance(moment, Tensor)
        self.coefficients = torch.linalg.lstsq(gram, moment).solution

    def __call__(self, sample: Sample) -> Tensor:
        """Return the estimate (B, C, H, W) of the HR-HSI."""
        B, _, H, W = sample["hr_hsi"].shape
        pixels = _terms(_upsampled(sample["lr_msi"], sample["hr_hsi"])) @ self.coefficients
        return pixels.view(B, H, W, -1).permute(0, 3, 1, 2).float()


def _upsampled(lr_msi: Tensor, hr: Tensor) -> Tensor:
    return bicubic(lr_msi, (hr.shape[2], hr.shape[3]))


def _terms(ms: Tensor) -> Tensor:
    """Return 1, x_i and x_i x_j (i <= j) of every pixel, float64, as rows."""
    x = ms.double().permute(0, 2, 3, 1).flatten(0, 2)
    i, j = torch.triu_indices(x.shape[1], x.shape[1])
    return torch.cat((torch.ones_like(x[:, :1]), x, x[:, i] * x[:, j]), 1)
