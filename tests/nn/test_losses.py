"""The fused losses against the framework's own, one term at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.nn import losses
from finewave.nn.losses import l1_terms
from finewave.systems.jssunet.loss import StageWeights, phase1_loss


def estimates_of(k: int, shape: tuple[int, ...], dtype: torch.dtype, layout: torch.memory_format) -> list[Tensor]:
    made = [torch.randn(shape, dtype=dtype).contiguous(memory_format=layout) for _ in range(k)]
    return [u.requires_grad_() for u in made]


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 3, 7), (3, 1, 1, 4)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("target_layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("chunk", [4, 1000])
def test_terms_and_gradients_are_the_plain_ones(
    shape: tuple, layout: torch.memory_format, target_layout: torch.memory_format, chunk: int, monkeypatch
) -> None:
    monkeypatch.setitem(losses.CHUNK_VALUES, "cpu", chunk)
    target = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=target_layout)
    estimates = estimates_of(3, shape, torch.float64, layout)
    with torch.no_grad():
        estimates[1][0, 0] = target[0, 0]  # where nothing is wrong there is no slope
    weights = torch.tensor([0.3, -2.0, 1.7], dtype=torch.float64)
    got = l1_terms(estimates, target)
    expected = torch.stack([F.l1_loss(u, target) for u in estimates])
    torch.testing.assert_close(got, expected, rtol=1e-13, atol=0)
    for ours, theirs in zip(
        torch.autograd.grad((got * weights).sum(), estimates),
        torch.autograd.grad((expected * weights).sum(), estimates),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=0)


def test_equal_values_have_no_gradient() -> None:
    u = torch.ones(2, 3, 4, 4, requires_grad=True)
    l1_terms([u], torch.ones(2, 3, 4, 4)).sum().backward()
    assert not u.grad.any()


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("target_dtype", [None, torch.float32])
def test_halves_are_summed_in_single_precision(low: torch.dtype, target_dtype: torch.dtype | None) -> None:
    """A million small differences: a sum in bfloat16 would stop growing after a few hundred."""
    target = torch.rand(1, 16, 256, 256).to(target_dtype or low)
    u = (target.float() + 1e-2 * torch.rand_like(target.float())).to(low).requires_grad_()
    got = l1_terms([u], target)
    exact = (u.detach().double() - target.double()).abs().mean()
    assert got.dtype == torch.float32
    torch.testing.assert_close(got[0].double(), exact, rtol=1e-6, atol=0)
    got.sum().backward()
    assert u.grad.dtype == low
    assert torch.equal(u.grad.sign(), (u.detach().double() - target.double()).sign().to(low))


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2, 3, 3\)"):
        l1_terms([torch.rand(1, 1, 3, 3)], torch.rand(1, 2, 3, 3))


def test_the_loss_of_phase_1_is_the_plain_sum() -> None:
    torch.manual_seed(2)
    shapes = {"sr": (2, 3, 8, 8), "ssr": (2, 6, 2, 2), "fusion": (2, 6, 8, 8)}
    stages = {key: estimates_of(4, shape, torch.float32, torch.channels_last) for key, shape in shapes.items()}
    targets = {key: torch.rand(shape) for key, shape in shapes.items()}
    weights = StageWeights(0.7, 0.9, 0.4)
    total, _ = phase1_loss(*stages.values(), *targets.values(), weights)
    expected = F.l1_loss(stages["fusion"][-1], targets["fusion"])
    for key, weight in weights._asdict().items():
        expected = expected + weight / 4 * sum(F.l1_loss(u, targets[key]) for u in stages[key])
    torch.testing.assert_close(total, expected, rtol=1e-6, atol=0)
    every = [u for each in stages.values() for u in each]
    for ours, theirs in zip(torch.autograd.grad(total, every), torch.autograd.grad(expected, every), strict=True):
        torch.testing.assert_close(ours, theirs)
