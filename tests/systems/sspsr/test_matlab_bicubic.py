"""Enlargement against the kernel's formula, pixel by pixel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from finewave.systems.sspsr.matlab_bicubic import matlab_enlarge


def keys_kernel(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def naive_matrix(n: int, scale: int) -> Tensor:
    """Return (s n, n): output pixel i looks at (i + 1/2) / s - 1/2; what lies outside is the mirror image."""
    matrix = torch.zeros(scale * n, n, dtype=torch.float64)
    for i in range(scale * n):
        centre = (i + 0.5) / scale - 0.5
        for j in range(int(centre) - 3, int(centre) + 5):
            mirrored = j % (2 * n)
            mirrored = mirrored if mirrored < n else 2 * n - 1 - mirrored
            matrix[i, mirrored] += keys_kernel(centre - j)
    return matrix


@pytest.mark.parametrize("scale", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3), (7, 5)])
def test_against_the_formula(scale: int, size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size, dtype=torch.float64)
    rows, columns = (naive_matrix(n, scale) for n in size)
    expected = torch.einsum("ih,bchw,jw->bcij", rows, x, columns)
    torch.testing.assert_close(matlab_enlarge(x, scale), expected, rtol=0, atol=1e-12)


def test_half_precision_is_computed_in_single() -> None:
    x = torch.rand(1, 2, 5, 4).bfloat16()
    got = matlab_enlarge(x, 3)
    assert got.dtype == torch.bfloat16
    assert torch.equal(got, matlab_enlarge(x.float(), 3).bfloat16())


def test_gradient() -> None:
    x = torch.rand(1, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda image: matlab_enlarge(image, 2), (x,))
