"""Histogram matching: the colours of one image with the distribution of another's."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def match_histograms(image: Tensor, reference: Tensor) -> Tensor:
    """Map the values of each band monotonically so that their distribution is that of the reference.

    A value with the cumulative share q in ``image`` becomes the value with that share in ``reference``, with linear
    interpolation between the values that occur there.

    Parameters
    ----------
    image : Tensor (B, C, H, W)
    reference : Tensor (B, C, n, m)

    Returns
    -------
    Tensor (B, C, H, W)
        In the dtype of ``image``; no gradient.
    """
    wide = torch.promote_types(image.dtype, torch.float32)
    bands = zip(image.to(wide).flatten(2).flatten(0, 1), reference.to(wide).flatten(2).flatten(0, 1), strict=True)
    return torch.stack([_matched(values, wanted) for values, wanted in bands]).view(image.shape).to(image.dtype)


def _matched(values: Tensor, wanted: Tensor) -> Tensor:
    """Match one band, (n,), to the values (m,)."""
    _, place, count = torch.unique(values, return_inverse=True, return_counts=True)
    levels, often = torch.unique(wanted, return_counts=True)
    share = count.cumsum(0).double() / len(values)
    reached = often.cumsum(0).double() / len(wanted)
    above = torch.searchsorted(reached, share).clamp(max=len(levels) - 1)
    below = (above - 1).clamp(min=0)
    span = (reached[above] - reached[below]).clamp(min=1e-12)
    part = ((share - reached[below]) / span).clamp(0, 1).to(values.dtype)
    return torch.where(above == 0, levels[0], torch.lerp(levels[below], levels[above], part))[place]
