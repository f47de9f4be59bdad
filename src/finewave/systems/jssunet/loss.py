"""The loss of JSSUNet's first phase, eq. (6) of arXiv 2505.24605, and the schedule of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from finewave.nn.losses import l1_terms


class StageWeights(NamedTuple):
    """alpha_SR, alpha_SSR, alpha_Fus of eq. (6)."""

    sr: float
    ssr: float
    fusion: float


def stepwise(table: Sequence[Sequence[Any]], progress: float) -> list[Any]:
    """Return the row that applies at ``progress``; each row starts with the fraction from which it applies.

    >>> stepwise([[0, 2, 1, 0.5], [0.3, 0.5, 1, 1]], 0.4)
    [0.5, 1, 1]
    """
    row = max((row for row in table if row[0] <= progress), key=lambda row: row[0])
    return list(row[1:])


def stages_l1(estimates: Sequence[Tensor], target: Tensor) -> Tensor:
    """Mean over the stages of the mean absolute difference; the sums of eq. (6) of arXiv 2505.24605."""
    return l1_terms(estimates, target).mean()


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
    terms = l1_terms(fusion, hr_hsi)
    parts = {"output": terms[-1], "fusion": terms.mean()}
    total = parts["output"] + weights.fusion * parts["fusion"]
    if weights.sr:
        parts["sr"] = stages_l1(sr, hr_msi)
        total = total + weights.sr * parts["sr"]
    if weights.ssr:
        parts["ssr"] = stages_l1(ssr, lr_hsi)
        total = total + weights.ssr * parts["ssr"]
    return total, {name: part.detach() for name, part in parts.items()}
