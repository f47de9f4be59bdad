"""How many scenes a figure takes, by hand."""

from __future__ import annotations

import pytest

from benchmarks.bounds import SIZES, doubling, scenes_needed


def test_a_gain_for_every_doubling() -> None:
    sizes = [5, 10, 20, 40]
    assert doubling(sizes, [28.0, 28.5, 29.0, 29.5]) == pytest.approx(0.5)
    assert doubling(sizes, [12.0, 11.0, 10.0, 9.0]) == pytest.approx(-1.0)
    assert scenes_needed(31.0, 32.0, 0.5) == pytest.approx(4 * SIZES[-1])
    assert scenes_needed(9.5, 9.0, -0.25) == pytest.approx(4 * SIZES[-1])
    assert scenes_needed(9.5, 9.0, 0.25) == float("inf")  # more scenes lead away from it
