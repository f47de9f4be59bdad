"""Softmax attention over many positions of few channels, in time linear in the number of positions.

With scores s = q . k bounded by R, exp(s) is its Taylor polynomial of degree p up to a relative error of
R^(p+1) / (p+1)! e^R, and a polynomial of q . k is a scalar product of monomials of q and of k:

    exp(q . k) = sum over a of q^a k^a / a!,    |a| <= p,    x^a = prod_i x_i^(a_i).

So the sums over all keys are computed once per monomial. Adding a constant vector to all keys does not change the
softmax, so they are centred first, which makes R small.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

VALUES_AT_ONCE = 2**21  # of monomials: 16 MB
HIGHEST_DEGREE = 40


def polynomial_attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor | None:
    """Return softmax(scale query key^T) value, or None if computing all pairs costs less.

    Parameters
    ----------
    query, key : Tensor (B, N, k), (B, M, k)
        No gradient flows to them.
    value : Tensor (B, M, v)
        No gradient flows to it.
    scale : float
        Of the scores.

    Returns
    -------
    Tensor (B, N, v) or None
        In the type of ``value``; computed in float64, equal to the softmax up to the rounding of that type.
    """
    tolerance = torch.finfo(value.dtype).eps
    results = []
    for q, K, v in zip(query.detach().double() * scale, key.detach().double(), value.detach().double(), strict=True):
        centred = K - (K.amin(0) + K.amax(0)) / 2
        degree = _degree(float(q.norm(dim=1).max() * centred.norm(dim=1).max()), tolerance)
        k = q.shape[1]
        if degree is None or 16 * math.comb(degree + k, k) > len(K):
            return None
        results.append(_attend(q, centred, v, degree))
    return torch.stack(results).to(value.dtype)


def _degree(bound: float, tolerance: float) -> int | None:
    """Return the smallest degree whose Taylor polynomial approximates exp within ``tolerance`` up to ``bound``."""
    term = math.exp(min(bound, 100.0))
    for degree in range(HIGHEST_DEGREE + 1):
        term *= bound / (degree + 1)
        if term <= tolerance:
            return degree
    return None


def _attend(q: Tensor, k: Tensor, v: Tensor, degree: int) -> Tensor:
    monomials = _monomials(k.shape[1], degree)
    rows = max(VALUES_AT_ONCE // monomials.number, 1)
    with_ones = torch.cat((v, torch.ones_like(v[:, :1])), 1)
    sums = torch.zeros(monomials.number, with_ones.shape[1], dtype=v.dtype, device=v.device)
    for some, values in zip(k.split(rows), with_ones.split(rows), strict=True):
        sums.addmm_(_evaluate(monomials, some), values)
    sums *= torch.tensor(monomials.weights, dtype=v.dtype, device=v.device)[:, None]
    result = torch.cat([_evaluate(monomials, some).T @ sums for some in q.split(rows)])
    return result[:, :-1] / result[:, -1:]


class _Monomials(NamedTuple):
    """Monomials sorted by degree, within a degree by last channel.

    Channel i times the first ``prefixes[degree][i]`` monomials of the previous degree, those whose last channel is at
    most i, gives the monomials that end in i. ``weights`` are the products of 1 / a_i!.
    """

    prefixes: list[list[int]]
    weights: list[float]

    @property
    def number(self) -> int:
        return len(self.weights)


@lru_cache(maxsize=32)
def _monomials(channels: int, degree: int) -> _Monomials:
    exponents = [(0,) * channels]  # of one degree
    ends = [1] * channels  # how many of them have a last channel of at most i
    prefixes, every = [], list(exponents)
    for _ in range(degree):
        prefixes.append(ends)
        exponents, before, ends = [], exponents, []
        for i, prefix in enumerate(prefixes[-1]):
            exponents += [(*a[:i], a[i] + 1, *a[i + 1 :]) for a in before[:prefix]]
            ends.append(len(exponents))
        every += exponents
    return _Monomials(prefixes, [1 / math.prod(map(math.factorial, a)) for a in every])


def _evaluate(monomials: _Monomials, x: Tensor) -> Tensor:
    """Return the monomials of each row of ``x`` (rows, k): (monomials, rows)."""
    values = torch.empty(monomials.number, len(x), dtype=x.dtype, device=x.device)
    values[0] = 1
    before, first = values[:1], 1
    for prefix in monomials.prefixes:
        start = first
        for channel, n in zip(x.T.contiguous(), prefix, strict=True):
            torch.mul(before[:n], channel, out=values[first : first + n])
            first += n
        before = values[start:first]
    return values
