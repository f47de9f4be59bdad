"""Attention by polynomials against the matrix of all pairs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from finewave.systems.awan import polynomial_attention as module
from finewave.systems.awan.polynomial_attention import polynomial_attention


def all_pairs(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    return (scale * query.double() @ key.double().mT).softmax(2) @ value.double()


@pytest.mark.parametrize("spread", [0.0, 0.1, 1.0, 2.0])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_equal_to_all_pairs(channels: int, spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VALUES_AT_ONCE", 20_000)  # several pieces, the last one shorter
    query, key = spread * torch.randn(2, 777, channels), spread * torch.randn(2, 16_001, channels)
    key[1] += 5  # a constant changes nothing
    value = torch.randn(2, 16_001, 4)
    scale = 0.02 if spread > 1 else 0.08
    result = polynomial_attention(query, key, value, scale)
    assert result is not None
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.double(), all_pairs(query, key, value, scale), rtol=1e-6, atol=1e-6)


def test_double_precision_is_met() -> None:
    query, key, value = torch.rand(3, 1, 20_000, 2, dtype=torch.float64).unbind(0)
    result = polynomial_attention(query[:, :100], key, value, 1.0)
    assert result is not None
    expected = all_pairs(query[:, :100], key, value, 1.0)
    torch.testing.assert_close(result, expected, rtol=1e-13, atol=1e-13)


def test_degree_keeps_its_promise() -> None:
    for bound in (0.0, 0.01, 0.3, 1.0, 4.0):
        for tolerance in (1e-3, 1e-7, 1e-12):
            degree = module._degree(bound, tolerance)
            assert degree is not None
            for score in (-bound, -bound / 3, 0.0, bound / 2, bound):
                series = math.fsum(score**n / math.factorial(n) for n in range(degree + 1))
                assert abs(series - math.exp(score)) <= 1.01 * tolerance * math.exp(score) + 1e-15


def test_monomials_are_all_there_once() -> None:
    for channels, degree in ((1, 5), (3, 4), (4, 3)):
        monomials = module._monomials(channels, degree)
        assert monomials.number == math.comb(channels + degree, degree)
        x = torch.rand(7, channels, dtype=torch.float64)
        y = torch.rand(7, channels, dtype=torch.float64)
        products = module._evaluate(monomials, x) * module._evaluate(monomials, y)
        sums = (products * torch.tensor(monomials.weights, dtype=torch.float64)[:, None]).sum(0)
        scores = (x * y).sum(1)
        expected = sum(scores**n / math.factorial(n) for n in range(degree + 1))
        torch.testing.assert_close(sums, expected)


def test_declined_where_all_pairs_cost_less() -> None:
    few, many = torch.rand(1, 50, 3), torch.rand(1, 20_000, 3)
    assert polynomial_attention(few, few, few, 1.0) is None
    assert polynomial_attention(many, many, many, 100.0) is None
    wide = torch.rand(1, 20_000, 12)
    assert polynomial_attention(wide, wide, wide, 1.0) is None
