"""Validation blocks and training rectangles: as large as can be, valid, apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finewave.datasets import rectangle_split
from finewave.datasets.rectangle_split import GAP, LEAST, Rectangle, cut_scene, largest_rectangle
from finewave.errors import InputError


def brute_force(mask: np.ndarray, side: int) -> int:
    """Area of the largest rectangle, by trying all."""
    height, width = mask.shape
    sums = np.zeros((height + 1, width + 1), int)
    sums[1:, 1:] = mask.cumsum(0).cumsum(1)
    best = 0
    for top in range(height):
        for bottom in range(top + side, height + 1):
            for left in range(width):
                for right in range(left + side, width + 1):
                    area = (bottom - top) * (right - left)
                    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
                    best = max(best, area if inside == area else 0)
    return best


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.8, 1.0]), st.integers(1, 3)
)
def test_it_is_the_largest_rectangle(height: int, width: int, seed: int, share: float, side: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    found = largest_rectangle(mask, side)
    area = 0 if found is None else found.height * found.width
    assert area == brute_force(mask, side)
    if found is not None:
        assert mask[found.top : found.bottom, found.left : found.right].all()
        assert min(found.height, found.width) >= side


def test_large_masks_are_looked_at_in_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rectangle_split, "FINE", 10)
    mask = np.ones((40, 30), bool)
    mask[0, 0] = False
    assert largest_rectangle(mask, 5) == Rectangle(4, 40, 0, 28)  # cells of 4 pixels; what is left at the end is lost


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("shape", [(120, 90), (90, 120)])
def test_parts_are_valid_and_apart(shape: tuple[int, int], scale: int) -> None:
    valid = np.ones(shape, bool)
    valid[30:36, 40:50] = False  # an island without values
    valid[:, -3:] = False
    crop = 4 * scale
    block, training = cut_scene("scene", valid, scale, crop)
    count = np.zeros(shape, int)
    for each in (block, *training):
        count[each.top : each.bottom, each.left : each.right] += 1
    assert count.max() == 1
    assert not count[~valid].any()
    gap = max(GAP, 2 * scale)
    rim = np.zeros(shape, bool)
    rim[max(0, block.top - gap) : block.bottom + gap, max(0, block.left - gap) : block.right + gap] = True
    for each in training:
        assert not rim[each.top : each.bottom, each.left : each.right].any()
        assert min(each.height, each.width) >= crop
    assert min(block.height, block.width) >= LEAST
    assert sum(each.height * each.width for each in training) > 0.4 * valid.sum()


def test_the_block_is_the_end_of_the_longer_side() -> None:
    block, training = cut_scene("scene", np.ones((150, 150), bool), 2, 32)
    assert block == (120, 150, 0, 150)
    assert training == [(0, 112, 0, 150)]


@pytest.mark.parametrize(("height", "width", "scale"), [(20, 20, 2), (150, 150, 64), (200, 15, 2)])
def test_too_small_a_scene_is_refused(height: int, width: int, scale: int) -> None:
    with pytest.raises(InputError, match=f"'tiny' of {height} x {width} pixels is too small for a validation block"):
        cut_scene("tiny", np.ones((height, width), bool), scale, max(32, scale))


def test_a_scene_that_is_all_holes_is_refused() -> None:
    with pytest.raises(InputError, match=r"100\.0% of them without values"):
        cut_scene("dark", np.zeros((100, 100), bool), 2, 32)
