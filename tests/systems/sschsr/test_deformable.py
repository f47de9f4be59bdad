"""Deformable convolution against its definition, pixel by pixel."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.systems.sschsr import network
from finewave.systems.sschsr.deformable import deformable_conv
from finewave.systems.sschsr.network import DeformableAggregation


def bilinear(image: Tensor, y: float, x: float) -> Tensor:
    """Value of ``image`` (C, H, W) between pixels; zero outside."""
    _, height, width = image.shape
    value = torch.zeros(image.shape[0], dtype=image.dtype)
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                value += (1 - abs(y - row)) * (1 - abs(x - column)) * image[:, row, column]
    return value


def naive(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The definition, with loops."""
    batch, channels, height, width = x.shape
    taps, size = weight[0, 0].numel(), weight.shape[-1]
    groups = mask.shape[1] // taps
    per = channels // groups
    out = bias.view(1, -1, 1, 1).repeat(batch, 1, height, width)
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                for g in range(groups):
                    for k in range(taps):
                        row, column = divmod(k, size)
                        n = g * taps + k
                        y = i + row - size // 2 + offset[b, 2 * n, i, j].item()
                        z = j + column - size // 2 + offset[b, 2 * n + 1, i, j].item()
                        part = slice(g * per, (g + 1) * per)
                        value = bilinear(x[b, part], y, z) * mask[b, n, i, j]
                        out[b, :, i, j] += weight[:, part, row, column] @ value
    return out


def test_agrees_with_the_definition() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    offset = 3 * torch.randn(2, 2 * 2 * 9, 5, 6, dtype=torch.float64)  # far enough to leave the image
    mask = torch.rand(2, 2 * 9, 5, 6, dtype=torch.float64)
    weight, bias = torch.randn(3, 4, 3, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    torch.testing.assert_close(deformable_conv(x, offset, mask, weight, bias), naive(x, offset, mask, weight, bias))


def test_without_offsets_it_is_a_convolution() -> None:
    x, weight = torch.randn(2, 8, 7, 5), torch.randn(6, 8, 3, 3)
    ones = torch.ones(2, 4 * 9, 7, 5)
    y = deformable_conv(x, torch.zeros(2, 2 * 4 * 9, 7, 5), ones, weight)
    torch.testing.assert_close(y, F.conv2d(x, weight, padding=1), rtol=1e-4, atol=1e-4)


def test_gradients() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    offset = (0.3 + 0.4 * torch.rand(1, 18, 3, 4, dtype=torch.float64)).requires_grad_()  # away from the kinks
    mask = torch.rand(1, 9, 3, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(deformable_conv, (x, offset, mask, weight))


@pytest.mark.parametrize(("height", "width"), [(9, 7), (16, 5), (1, 6)])
def test_strips_of_the_aggregation_equal_the_whole(height: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    part = DeformableAggregation(8, groups=2).double()
    part.offset_mask.weight.data.normal_(std=0.3)
    reference, guide = torch.randn(2, 2, 8, height, width, dtype=torch.float64)
    offsets = 3 * torch.randn(2, 9, 2, height, width, dtype=torch.float64)
    similarity = torch.rand(2, 1, height, width, dtype=torch.float64)
    whole = part(reference, guide, offsets, similarity)  # with gradient: in one piece
    with torch.no_grad():
        for rows in (1, 2, 4):
            monkeypatch.setattr(network, "STRIP", rows * 2 * 2 * 27 * width)
            calls: list[int] = []
            given = network.deformable_conv
            with monkeypatch.context() as patch:
                patch.setattr(
                    network,
                    "deformable_conv",
                    lambda x, offset, *rest, given=given, calls=calls: (
                        calls.append(offset.shape[2]),
                        given(x, offset, *rest),
                    )[1],
                )
                torch.testing.assert_close(part(reference, guide, offsets, similarity), whole)
            assert calls == [min(rows, height - top) for top in range(0, height, rows)]
