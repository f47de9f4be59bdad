"""Losses on images and on the stages of unfolded networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class StageWeights(NamedTuple):
    """alpha_SR, alpha_SSR, alpha_Fus of eq. (6)."""

    sr: float
    ssr: float
    fusion: float


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference, in float32 at least."""
    return F.l1_loss(prediction if prediction.dtype.itemsize >= 4 else prediction.float(), target)


def stages_l1(estimates: Sequence[Tensor], target: Tensor) -> Tensor:
    """Mean over the stages of the mean absolute difference; the sums of eq. (6) of arXiv 2505.24605."""
    return torch.stack([l1(u, target) for u in estimates]).mean()


def phase1_loss(
    sr: Sequence[Tensor],
    ssr: Sequence[Tensor],
    fusion: Sequence[Tensor],
    hr_msi: Tensor,
    lr_hsi: Tensor,
    hr_hsi: Tensor,
    weights: StageWeights,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Eq. (6) of arXiv 2505.24605, with G for the misprinted g in its first term.

    Parameters
    ----------
    sr, ssr, fusion : sequences of K Tensors
        Estimates u^1 ... u^K of the HR-MSI (B, c, H, W), LR-HSI (B, C, h, w) and HR-HSI (B, C, H, W).
    hr_msi, lr_hsi, hr_hsi : Tensor
        F, g and G.
    weights : StageWeights
        A branch with weight 0 is not evaluated.

    Returns
    -------
    total : Tensor
        The loss.
    parts : dict of Tensor
        The unweighted terms, detached: ``output``, ``sr``, ``ssr``, ``fusion``.
    """
    terms = [l1(u, hr_hsi) for u in fusion]
    parts = {"output": terms[-1], "fusion": torch.stack(terms).mean()}
    total = parts["output"] + weights.fusion * parts["fusion"]
    if weights.sr:
        parts["sr"] = stages_l1(sr, hr_msi)
        total = total + weights.sr * parts["sr"]
    if weights.ssr:
        parts["ssr"] = stages_l1(ssr, lr_hsi)
        total = total + weights.ssr * parts["ssr"]
    return total, {name: part.detach() for name, part in parts.items()}


def squared(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference, in float32 at least.

    Where the input leaves the answer open (red light that the camera hardly sees), the least absolute error is at
    the median of what is possible, the least squared error, which PSNR asks for, at the mean.
    """
    return F.mse_loss(prediction if prediction.dtype.itemsize >= 4 else prediction.float(), target)


def spectral_angle(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of 1 - cos of the angle between spectra (B, C, H, W); dark pixels count as much as bright ones.

    One pixel in four is looked at: neighbours say the same, and the mean is as good for a quarter of the time.
    """
    p, t = prediction[..., ::2, ::2].float(), target[..., ::2, ::2]
    return 1 - F.cosine_similarity(p, t, dim=1, eps=1e-6).mean()
