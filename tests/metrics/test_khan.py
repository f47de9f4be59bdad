"""Khan's distortion and Q2n against closed forms and multiplication of hypercomplex numbers in full."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from finewave.errors import InputError
from finewave.metrics.khan import Khan, _products_with_conjugate, q2n
from finewave.metrics.qnr import blocks_of


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multiply two numbers of 2^n components, by the recursive definition."""
    if len(a) == 1:
        return a * b
    half = len(a) // 2
    (x, y), (u, v) = (a[:half], a[half:]), (b[:half], b[half:])
    return np.concatenate([product(x, u) - product(conjugate(v), y), product(v, x) + product(y, conjugate(u))])


def conjugate(a: np.ndarray) -> np.ndarray:
    return np.concatenate([a[:1], -a[1:]])


def test_quaternions_multiply_as_hamilton_wrote() -> None:
    one, i, j, k = np.eye(4)
    np.testing.assert_array_equal(product(i, j), k)
    np.testing.assert_array_equal(product(j, i), -k)
    np.testing.assert_array_equal(product(i, i), -one)


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16])
def test_table_is_that_of_the_definition(count: int) -> None:
    target, sign = _products_with_conjugate(count)
    basis = np.eye(count)
    for i in range(count):
        for j in range(count):
            expected = product(basis[i], conjugate(basis[j]))
            assert expected[target[i, j]] == sign[i, j], (i, j)


@pytest.mark.parametrize("bands", [1, 3, 4, 7])
def test_q2n_is_its_formula(bands: int) -> None:
    random = np.random.default_rng(bands)
    a, b = random.random((2, bands, 20))
    padded = 1 << (bands - 1).bit_length()
    x, y = (np.concatenate([each, np.zeros((padded - bands, 20))]).T for each in (a, b))
    mean = [each.mean(0) for each in (x, y)]
    covariance = np.mean([product(p, conjugate(q)) for p, q in zip(x, y, strict=True)], 0)
    covariance -= product(mean[0], conjugate(mean[1]))
    variance = [np.square(each - m).sum(1).mean() for each, m in zip((x, y), mean, strict=True)]
    norms = [np.linalg.norm(each) for each in mean]
    expected = 4 * np.linalg.norm(covariance) * norms[0] * norms[1]
    expected /= sum(variance) * (norms[0] ** 2 + norms[1] ** 2)
    found = q2n(torch.from_numpy(a)[None], torch.from_numpy(b)[None])
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_of_one_band_it_is_the_universal_index_and_of_a_gain_it_is_closed() -> None:
    image = torch.rand(5, 40, 36, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    same, gain = Khan(), Khan()
    same.add(image, image)
    assert same.compute() == pytest.approx(0, abs=1e-12)
    gain.add(2 * image, image)
    # covariance 2 v of variances 4 v + v, means 2 m and m: (2 * 2 / 5)²
    assert gain.compute() == pytest.approx(1 - 0.8**2)


def test_parts_add_up_and_pixels_without_a_value_are_left_out() -> None:
    a, b = torch.rand(2, 3, 64, 32, generator=torch.Generator().manual_seed(2))
    whole, parts, holes = Khan(), Khan(), Khan()
    whole.add(a, b)
    for rows in (slice(0, 32), slice(32, 64)):
        parts.add(a[:, rows], b[:, rows])
    assert whole.compute() == pytest.approx(parts.compute())
    a[:, 3, 3] = float("nan")
    holes.add(a, b)
    assert holes.blocks == 1
    assert holes.compute() == pytest.approx(1 - float(q2n(*(blocks_of(x[:, 32:], 32) for x in (a, b)))[0]))
    assert Khan().compute() is None
    with pytest.raises(InputError, match="not alike"):
        holes.add(a, b[:, 1:])
