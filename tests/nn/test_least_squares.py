"""The same system has the same solution, whatever was in memory before."""

from __future__ import annotations

import numpy as np
import torch

from finewave.nn.least_squares import solve_normal


def _junk(number: int) -> None:
    """Leave other numbers in freed memory, as pivots of an earlier call would be."""
    for each in range(20):
        torch.full((64,), number * (each % 2), dtype=torch.int32)


def test_a_system_of_poor_condition_has_one_solution() -> None:
    random = torch.Generator().manual_seed(18)
    root = torch.rand(64, 64, generator=random, dtype=torch.float64)
    gram = root @ torch.logspace(0, -12, 64, dtype=torch.float64).diag() @ root.T
    moment = gram @ torch.rand(64, 3, generator=random, dtype=torch.float64)
    solutions = []
    for number in range(12):
        _junk(number % 3)
        solutions.append(solve_normal(gram, moment))
    assert all(torch.equal(each, solutions[0]) for each in solutions)
    assert torch.allclose(gram @ solutions[0], moment, atol=1e-5)


def test_a_singular_system_has_the_solution_of_least_norm() -> None:
    gram = torch.tensor([[4.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 3.0]], dtype=torch.float64)
    moment = gram @ torch.tensor([[1.0], [3.0], [2.0]], dtype=torch.float64)
    expected = np.linalg.pinv(gram.numpy()) @ moment.numpy()
    np.testing.assert_allclose(solve_normal(gram, moment).numpy(), expected, atol=1e-12)
