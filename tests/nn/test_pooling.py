"""Means over windows: by the definition, and as attention sees them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from finewave.nn.pooling import image_mean, local_pooling, window_mean
from finewave.nn.residual import ChannelAttention


def by_definition(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the means over windows moved into the image, pixel by pixel."""
    H, W = x.shape
    rows, columns = min(rows, H), min(columns, W)
    result = np.empty_like(x)
    for i in range(H):
        for j in range(W):
            top = min(max(i - (rows - 1) // 2, 0), H - rows)
            left = min(max(j - (columns - 1) // 2, 0), W - columns)
            result[i, j] = x[top : top + rows, left : left + columns].mean()
    return result


@pytest.mark.parametrize("window", [(1, 1), (2, 3), (7, 4), (12, 11), (11, 40), (13, 9)])
def test_window_mean_is_the_mean_over_a_window(window: tuple[int, int]) -> None:
    x = torch.rand(2, 3, 12, 9, dtype=torch.float64)
    means = window_mean(x, window)
    for image, expected in zip(means.flatten(0, 1), x.flatten(0, 1), strict=True):
        np.testing.assert_allclose(image, by_definition(expected.numpy(), *window), rtol=1e-12)


def test_sums_keep_their_digits_far_from_the_border() -> None:
    x = 1000 + torch.rand(1, 1, 40, 3000)
    exact = window_mean(x.double(), (31, 31))
    assert (window_mean(x, (31, 31)) - exact).abs().max() < 1e-3  # float32 has 6e-5 there; running sums lose 0.1


def test_windows_grow_with_the_features() -> None:
    x = torch.rand(1, 2, 24, 20)
    with local_pooling(4, (12, 10)):  # features of twice the size: windows of 8
        torch.testing.assert_close(image_mean(x), window_mean(x, (8, 8)))
    assert image_mean(x).shape == (1, 2, 1, 1)


def test_an_image_no_larger_than_the_window_is_one_window() -> None:
    attention, x = ChannelAttention(4), torch.rand(2, 4, 6, 5)
    expected = attention(x)
    with local_pooling(6, (6, 5)):
        torch.testing.assert_close(attention(x), expected, rtol=0, atol=0)
    with local_pooling(3, (6, 5)):
        assert not torch.allclose(attention(x), expected, atol=1e-4)


def test_bfloat16_is_added_up_in_float32() -> None:
    x = torch.rand(1, 1, 300, 300)
    with local_pooling(200, (300, 300)):
        assert (image_mean(x.bfloat16()) - image_mean(x)).abs().max() < 2e-4
