"""Histogram matching of one image to another."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def match_histograms(image: Tensor, reference: Tensor) -> Tensor:
    """Map the values of each band monotonically so that their distribution is that of the reference.

    A value at quantile q of ``image`` becomes the value at quantile q of ``reference``, with linear interpolation
    between the values that occur there.

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
    return torch.stack([_matched(values, target) for values, target in bands]).view(image.shape).to(image.dtype)


def _matched(values: Tensor, target: Tensor) -> Tensor:
    """Match one band, (n,), to the values (m,).

    Quantiles are integer counts, which avoids rounding; all operators can be exported.
    """
    n, m = len(values), len(target)
    _, run, reached = _levels(values)
    levels, _, target_cdf = _levels(target)
    # below[q]: number of levels of the reference whose cumulative count is below q of its m values
    ends = torch.zeros(m + 2, dtype=torch.long, device=values.device)
    below = ends.scatter_add(0, target_cdf + 1, torch.ones_like(target_cdf)).cumsum(0)
    above = below[(reached * m + n - 1) // n]
    under = (above - 1).clamp(min=0)
    share, shares = reached.double() / n, target_cdf.double() / m
    span = (shares[above] - shares[under]).clamp(min=1e-12)
    part = ((share - shares[under]) / span).clamp(0, 1).to(values.dtype)
    return torch.where(above == 0, levels[0], torch.lerp(levels[under], levels[above], part))[run]


def _levels(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the distinct values in ascending order, each value's index among them, and cumulative counts.

    All have as many elements as there are values, so that shapes do not depend on values: beyond the last level, levels
    are 0 and counts are the number of values.
    """
    ascending, order = values.sort()
    starts = torch.cat((torch.zeros_like(order[:1]), (ascending[1:] != ascending[:-1]).long()))
    number = starts.cumsum(0)
    nothing = torch.zeros_like(order)
    levels = torch.zeros_like(values).scatter(0, number, ascending)
    reached = nothing.scatter_add(0, number, torch.ones_like(number)).cumsum(0)
    return levels, nothing.scatter(0, order, number), reached
