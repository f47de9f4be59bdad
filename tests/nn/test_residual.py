"""Residual blocks against their tables, and what the in-place operations must leave alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.residual import RCAB, ChannelAttention, ResBlock, ResBlockBN, conv


def image(features: int = 6) -> Tensor:
    return torch.randn(2, features, 5, 4, dtype=torch.float64)


def plain(x: Tensor, layer: nn.Conv2d) -> Tensor:
    return F.conv2d(x, layer.weight, layer.bias, padding=1)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_conv_keeps_the_size(kernel_size: int) -> None:
    assert conv(2, 3, kernel_size)(torch.rand(1, 2, 4, 7)).shape == (1, 3, 4, 7)
    assert conv(2, 3, bias=False).bias is None


def test_resblock_is_its_table() -> None:
    block, x = ResBlock(6).double(), image()
    y = plain(x, block.conv1).clamp(min=0)
    y = plain(y, block.conv2).clamp(min=0)
    torch.testing.assert_close(block(x), (plain(y, block.conv3) + x).clamp(min=0))
    assert all(layer.bias is None for layer in (block.conv1, block.conv2, block.conv3))


def test_resblock_with_batch_norm_is_its_table() -> None:
    block, x = ResBlockBN(6).double(), image()
    for norm in (block.norm1, block.norm2):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.3, 0.3)
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 1.5)

    def normalised(y: Tensor, norm: nn.BatchNorm2d, training: bool) -> Tensor:
        mean = y.mean((0, 2, 3)) if training else norm.running_mean
        var = y.var((0, 2, 3), unbiased=False) if training else norm.running_var
        y = (y - mean.view(-1, 1, 1)) / (var.view(-1, 1, 1) + norm.eps).sqrt()
        return y * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)

    def expected(training: bool) -> Tensor:
        y = normalised(plain(x, block.conv1).clamp(min=0), block.norm1, training)
        y = normalised(plain(y, block.conv2).clamp(min=0), block.norm2, training)
        return (plain(y, block.conv3) + x).clamp(min=0)

    torch.testing.assert_close(block.eval()(x), expected(training=False))
    torch.testing.assert_close(block.train()(x), expected(training=True))


@pytest.mark.parametrize("reduction", [1, 2, 3])
def test_channel_attention_scales_channels_by_their_means(reduction: int) -> None:
    attention, x = ChannelAttention(6, reduction).double(), image()
    assert attention.squeeze.out_channels == 6 // reduction
    mean = x.mean((2, 3))
    hidden = (mean @ attention.squeeze.weight[:, :, 0, 0].T + attention.squeeze.bias).clamp(min=0)
    weight = torch.sigmoid(hidden @ attention.excite.weight[:, :, 0, 0].T + attention.excite.bias)
    torch.testing.assert_close(attention(x), x * weight[:, :, None, None])


def test_channel_means_of_a_large_bfloat16_image_keep_their_digits() -> None:
    """A sum kept in bfloat16 stops growing at 256 times its summand; the mean would come out far too small."""
    attention = ChannelAttention(2)
    x = torch.full((1, 2, 128, 128), 0.75)
    halves = attention.bfloat16()(x.bfloat16())
    assert halves.dtype == torch.bfloat16
    torch.testing.assert_close(halves.float(), attention.float()(x), rtol=0.02, atol=0)


def test_rcab_is_its_table_without_a_final_activation() -> None:
    block, x = RCAB(6, reduction=2).double(), image()
    y = plain(plain(x, block.conv1).clamp(min=0), block.conv2)
    expected = x + block.attention(y)
    torch.testing.assert_close(block(x), expected)
    assert (expected < 0).any()


@pytest.mark.parametrize("block", [ResBlock(4), ResBlockBN(4), RCAB(4)], ids=["ResBlock", "ResBlockBN", "RCAB"])
def test_input_is_left_alone_and_gradients_are_right(block: nn.Module) -> None:
    """The blocks work in place on what they made themselves: neither input nor backward pass may notice."""
    block = block.double()
    x = torch.randn(1, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    before = x.detach().clone()
    block(x)
    assert torch.equal(x, before)
    assert torch.autograd.gradcheck(block, (x,), atol=1e-6)
