"""Window attention from standard operators against the operators that it stands for."""

from __future__ import annotations

import pytest
import torch

from finewave.nn.exporting import export_paths, exporting
from finewave.nn.kernels import window_attention_export as standard
from finewave.nn.kernels import window_attention_reference as plain
from finewave.nn.kernels.window_attention import HeadAttention, MultiHeadAttention


def channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1).contiguous()


@pytest.mark.parametrize(("height", "width", "window", "k"), [(6, 9, 5, 3), (2, 3, 7, 4), (1, 1, 3, 1), (12, 7, 3, 9)])
def test_attention_equals_the_plain_one(height: int, width: int, window: int, k: int) -> None:
    phi, theta = torch.randn(2, 4, height, width), torch.randn(2, 4, height, width)
    value = torch.rand(2, 5, height, width)
    expected, _, _ = plain.attention(*map(channels_last, (phi, theta, value)), window, k, False)
    given = standard.attention(phi, theta, value, window, k)
    torch.testing.assert_close(given, expected.permute(0, 3, 1, 2))


@pytest.mark.parametrize("heads", [1, 3])
def test_combination_equals_the_plain_one(heads: int) -> None:
    images = [torch.rand(2, 4, 5, 6) for _ in range(heads)]
    weights = (torch.randn(8, heads), torch.randn(8), torch.randn(1, 8), torch.randn(1))
    torch.testing.assert_close(standard.combination(images, *weights), plain.combination(images, *weights))


def test_modules_take_it_for_an_export() -> None:
    x = torch.rand(1, 6, 11, 8)
    module = MultiHeadAttention(6, heads=2, patch=3, window=5).eval()
    assert isinstance(module.heads[0], HeadAttention)
    with torch.no_grad():
        expected = module(x)
        assert not exporting()
        with export_paths():
            assert exporting()
            program = torch.export.export(module, (x,), strict=False)
    assert not any("finewave" in str(node.target) for node in program.graph.nodes)  # no operator of our own
    torch.testing.assert_close(program.module()(x), expected)
