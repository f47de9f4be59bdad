"""Quality of a fusion without a reference: QNR and its two distortions.

L. Alparone, B. Aiazzi, S. Baronti, A. Garzelli, F. Nencini, M. Selva, "Multispectral and panchromatic data fusion
assessment without reference", Photogrammetric Engineering & Remote Sensing 74(2), 2008, with p = q = alpha = beta = 1.
The similarity of two bands is Q, by Z. Wang, A. C. Bovik, "A universal image quality index", IEEE Signal Processing
Letters 9(3), 2002, its mean over blocks that do not overlap. torchmetrics has Q in sliding Gaussian windows of 11 x 11
pixels at either resolution, which cover different parts of the ground, and D_S for guides of as many bands as the
image; here blocks cover the same ground at both resolutions, and every band is compared with all bands of the guide.
"""

from __future__ import annotations

import torch
from torch import Tensor

from finewave.errors import InputError

BLOCK = 32
"""Side of a block in pixels of the fused image, rounded to a multiple of the scale."""
_SMALLEST_BLOCK = 4


class QNR:
    """D_lambda, D_S and QNR of one image that is added in parts.

    With Q(a, b) the mean similarity over all blocks of all parts, fused bands G_k, low-resolution bands Y_k, bands M_j
    of the guide, and m_j of the guide at low resolution:

    - D_lambda = mean over k != l of |Q(G_k, G_l) - Q(Y_k, Y_l)|: how much the similarity between bands has changed;
    - D_S = mean over k, j of |Q(G_k, M_j) - Q(Y_k, m_j)|: how much the similarity to the guide has changed;
    - QNR = (1 - D_lambda)(1 - D_S), 1 at best.

    Blocks with a NaN or infinite pixel are excluded, and so are pixels at the ends of a part that do not fill a block;
    a part smaller than a block is one block.

    Parameters
    ----------
    scale : int
        s.
    """

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.low_block = max(_SMALLEST_BLOCK, round(BLOCK / scale))
        self.blocks = 0
        self._bands = 0
        self._change = torch.zeros(1, dtype=torch.float64)

    def add(self, fused: Tensor, low: Tensor, guide: Tensor, guide_low: Tensor) -> None:
        """Add a part.

        Parameters
        ----------
        fused : (C, s h, s w) tensor
        low : (C, h, w) tensor
        guide : (c, s h, s w) tensor
        guide_low : (c, h, w) tensor

        Raises
        ------
        InputError
            If sizes or bands do not belong together.
        """
        s = self.scale
        high = (low.shape[1] * s, low.shape[2] * s)
        if fused.shape != (low.shape[0], *high) or guide.shape[1:] != high or guide_low.shape[1:] != low.shape[1:]:
            shapes = ", ".join(str(tuple(x.shape)) for x in (fused, low, guide, guide_low))
            raise InputError(f"qnr: images of shapes {shapes} do not belong together at scale {s}")
        if guide.shape[0] != guide_low.shape[0]:
            raise InputError(f"qnr: the guide has {guide.shape[0]} bands, at low resolution {guide_low.shape[0]}")
        sharp = blocks_of(torch.cat((fused, guide)), self.low_block * s)
        coarse = blocks_of(torch.cat((low, guide_low)), self.low_block)
        whole = torch.isfinite(sharp).all(2).all(1) & torch.isfinite(coarse).all(2).all(1)
        self.blocks += int(whole.sum())
        self._bands = fused.shape[0]
        self._change = self._change + (_similarities(sharp[whole]) - _similarities(coarse[whole])).sum(0)

    def compute(self) -> dict[str, float] | None:
        """Return ``d_lambda``, ``d_s`` and ``qnr``; None if there is no block."""
        if not self.blocks:
            return None
        C = self._bands
        change = (self._change / self.blocks).abs()
        pairs = C * (C - 1)
        d_lambda = float((change[:C, :C].sum() - change[:C, :C].trace()) / pairs) if pairs else 0.0
        d_s = float(change[:C, C:].mean())
        return {"d_lambda": d_lambda, "d_s": d_s, "qnr": (1 - d_lambda) * (1 - d_s)}


def qnr(fused: Tensor, low: Tensor, guide: Tensor, guide_low: Tensor, scale: int) -> dict[str, float] | None:
    """Return D_lambda, D_S and QNR of an image in one piece; see `QNR` for parameters, formulas and errors."""
    scores = QNR(scale)
    scores.add(fused, low, guide, guide_low)
    return scores.compute()


def blocks_of(image: Tensor, side: int) -> Tensor:
    """Return an image (n, h, w) as blocks (b, n, pixels), float64."""
    rows, columns = (min(side, length) for length in image.shape[1:])
    cut = image.double().unfold(1, rows, rows).unfold(2, columns, columns)
    return cut.permute(1, 2, 0, 3, 4).flatten(3).flatten(0, 1)


def _similarities(blocks: Tensor) -> Tensor:
    """Return Q between all bands of blocks (b, n, pixels), (b, n, n); constant bands differ in their means only."""
    mean = blocks.mean(2, keepdim=True)
    centred = blocks - mean
    covariance = centred @ centred.mT / blocks.shape[2]
    variance = covariance.diagonal(dim1=1, dim2=2)[:, :, None]
    contrast = _ratio(2 * covariance, variance + variance.mT)
    luminance = _ratio(2 * mean @ mean.mT, mean.square() + mean.square().mT)
    return contrast * luminance


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return a quotient, 1 for 0 / 0."""
    undefined = whole < 1e-16
    return torch.where(undefined, 1.0, part / whole.masked_fill(undefined, 1.0))
