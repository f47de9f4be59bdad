"""The non-local block against all pairs at once: values, gradients, and how large a tensor it ever makes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from finewave.systems.us3rn import nonlocal_attention
from finewave.systems.us3rn.nonlocal_attention import NonLocalBlock
from tests.plain.attention import all_pairs


def plain(block: NonLocalBlock, x: Tensor) -> Tensor:
    """Pixel by pixel, without attention to memory."""
    B, _, h, w = x.shape
    theta, phi, g = block.theta(x).flatten(2), block.phi(x).flatten(2), block.g(x).flatten(2)
    y = torch.zeros_like(theta)
    for b in range(B):
        for i in range(h * w):
            weights = torch.softmax((theta[b, :, i, None] * phi[b]).sum(0), 0)
            y[b, :, i] = (weights * g[b]).sum(1)
    return x + block.norm(block.w(y.view(B, -1, h, w)))


class Largest(TorchDispatchMode):
    """Remembers the most numbers that any operation returned in one tensor."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return result


def block_of(channels: int, **options: Any) -> NonLocalBlock:
    torch.manual_seed(4)
    return NonLocalBlock(channels, **options).double()


@pytest.mark.parametrize("at_once", [1, 70, 2**22])
@pytest.mark.parametrize("training", [True, False])
def test_against_all_pairs(at_once: int, training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonlocal_attention, "_AT_ONCE", at_once)
    block = block_of(5).train(training)
    x = torch.randn(2, 5, 4, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randn_like(x)
    results = []
    for forward in (block, lambda image: plain(block, image), lambda image: all_pairs(block, image)):
        loss = (forward(x) * target).sum()
        results.append([loss, *torch.autograd.grad(loss, [x, *block.parameters()], allow_unused=True)])
    for got, expected, in_one in zip(*results, strict=True):
        torch.testing.assert_close(got, expected)
        torch.testing.assert_close(in_one, expected)


def test_memory_grows_with_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonlocal_attention, "_AT_ONCE", 3000)
    block = block_of(4)
    for training in (False, True):
        x = torch.randn(1, 4, 30, 40, dtype=torch.float64, requires_grad=training)
        with torch.set_grad_enabled(training), Largest() as largest:
            output = block(x)
            if training:
                output.sum().backward()
        assert largest.numbers <= max(3000, x.numel())  # all pairs would be 1,440,000


def test_biases_without_effect() -> None:
    block = block_of(4).train()
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    before = block(x)
    with torch.no_grad():
        for layer in (block.phi, block.g, block.w):
            assert layer.bias is not None
            layer.bias += 1
        torch.testing.assert_close(block(x), before)
        assert block.theta.bias is not None
        block.theta.bias += 1
        assert not torch.allclose(block(x), before)


def test_inner_channels() -> None:
    assert [NonLocalBlock(c).theta.out_channels for c in (1, 2, 3, 4)] == [1, 1, 1, 2]
    assert NonLocalBlock(4, 3).g.out_channels == 3
