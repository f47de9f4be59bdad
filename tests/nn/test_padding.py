"""Reflection against PyTorch's own and, where that refuses, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from finewave.nn.padding import ReflectConv2d, reflect_pad


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3), (3, 2), (5, 6)])
@pytest.mark.parametrize("border", [(0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 2), (0, 7, 0, 3), (9, 0, 4, 11)])
def test_against_numpy(size: tuple[int, int], border: tuple[int, int, int, int]) -> None:
    x = torch.rand(2, 3, *size, dtype=torch.float64)
    left, right, top, bottom = border
    # NumPy repeats the only pixel of an axis, too
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (top, bottom), (left, right)), mode="reflect")
    assert torch.equal(reflect_pad(x, *border), torch.from_numpy(expected))


def test_convolution_of_usual_sizes_is_pytorchs() -> None:
    for kernel_size in (1, 3, 5):
        conv = ReflectConv2d(3, 4, kernel_size)
        x = torch.rand(2, 3, 6, 5)
        border = (kernel_size // 2,) * 4
        padded = F.pad(x, border, mode="reflect") if kernel_size > 1 else x
        torch.testing.assert_close(conv(x), F.conv2d(padded, conv.weight))


def test_gradient_of_a_border_wider_than_the_image() -> None:
    x = torch.rand(1, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda image: reflect_pad(image, 4, 5, 3, 2), x)
