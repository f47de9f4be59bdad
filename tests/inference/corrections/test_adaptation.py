"""The part of images without missing pixels by which a blur is judged."""

from __future__ import annotations

import numpy as np
import pytest

from finewave.inference.corrections.adaptation import _largest_rectangle


@pytest.mark.parametrize("part", [0.0, 0.05, 0.3, 0.7, 1.0])
def test_the_largest_rectangle_is_that_of_trying_all(part: float) -> None:
    generator = np.random.default_rng(18)
    for height, width in ((1, 1), (1, 7), (6, 1), (7, 9), (9, 6)):
        valid = generator.random((height, width)) >= part
        areas = [
            (bottom - top) * (right - left)
            for top in range(height)
            for bottom in range(top + 1, height + 1)
            for left in range(width)
            for right in range(left + 1, width + 1)
            if valid[top:bottom, left:right].all()
        ]
        found = _largest_rectangle(valid)
        assert found[0] * found[1] == max(areas, default=0)
        if all(found):
            assert np.lib.stride_tricks.sliding_window_view(valid, found).all(axis=(-2, -1)).any()
        else:
            assert not valid.any()
