"""Fused convolutions against PyTorch's own, one after the other; weights that are converted once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.kernels import fused_conv as module
from finewave.nn.kernels.fused_conv import as_features, fused_conv, fused_resblock

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 2e-2}


@pytest.fixture(params=["onednn", "pytorch"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pytorch":
        monkeypatch.setattr(module, "_HAS_ONEDNN", False)
    elif not module._HAS_ONEDNN:
        pytest.skip("this PyTorch has no oneDNN")
    return request.param


def plain(x: Tensor, conv: nn.Conv2d, residual: Tensor | None, relu: bool) -> Tensor:
    y = F.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding)
    y = y if residual is None else y + residual
    return y.clamp(min=0) if relu else y


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("with_residual", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 8)])
def test_values_and_gradients(
    implementation: str, dtype: torch.dtype, relu: bool, with_residual: bool, bias: bool, size: tuple[int, int]
) -> None:
    conv = nn.Conv2d(5, 7, 3, padding=1, bias=bias).to(dtype)
    x = torch.randn(2, 5, *size).to(dtype).requires_grad_()
    residual = torch.randn(2, 7, *size).to(dtype).requires_grad_() if with_residual else None
    with torch.no_grad():
        without = fused_conv(x, conv, residual=residual, relu=relu)
    kept = None if residual is None else residual.detach().clone()
    y, expected = fused_conv(x, conv, residual=residual, relu=relu), plain(x, conv, residual, relu)
    options = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    assert y.dtype == dtype
    torch.testing.assert_close(y, expected, **options)
    torch.testing.assert_close(without, expected, **options)
    assert residual is None or torch.equal(residual, kept)
    variables = [v for v in (x, residual, *conv.parameters()) if v is not None]
    g = torch.randn_like(y)
    g = torch.where(expected.abs() < 0.05, 0, g)  # rounding may decide which side of the ReLU such values are on
    for got, want in zip(
        torch.autograd.grad(y, variables, g), torch.autograd.grad(expected, variables, g), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=3 * TOLERANCE[dtype], atol=20 * TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_resblock(implementation: str, dtype: torch.dtype) -> None:
    convs = [nn.Conv2d(6, 6, 3, padding=1, bias=False).to(dtype) for _ in range(3)]
    x = torch.randn(2, 6, 7, 5, dtype=dtype, requires_grad=True)

    def expected(x: Tensor) -> Tensor:
        y = plain(plain(x, convs[0], None, True), convs[1], None, True)
        return plain(y, convs[2], x, True)

    y = fused_resblock(x, *convs)
    options = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    torch.testing.assert_close(y, expected(x), **options)
    with torch.no_grad():
        torch.testing.assert_close(fused_resblock(x, *convs), expected(x), **options)
    variables = [x, *(c.weight for c in convs)]
    g = torch.randn_like(y)
    kept = g.clone()
    gradients = torch.autograd.grad(y, variables, g), torch.autograd.grad(expected(x), variables, g)
    assert torch.equal(g, kept), "the gradient from outside is not ours to change"
    for got, want in zip(*gradients, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_only_wanted_gradients() -> None:
    convs = [nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(3)]
    convs[1].requires_grad_(False)
    x = torch.randn(1, 4, 5, 5)
    fused_resblock(x, *convs).sum().backward()
    assert [c.weight.grad is not None for c in convs] == [True, False, True]
    for c in convs:
        c.requires_grad_(False)
    assert not fused_resblock(x, *convs).requires_grad


def test_mixed_precision_decides_the_number_type() -> None:
    conv, x = nn.Conv2d(3, 4, 3, padding=1), torch.randn(1, 3, 6, 6)
    assert as_features(x) is x
    with torch.autocast("cpu", torch.bfloat16):
        y = fused_conv(x, conv)
        assert y.dtype == torch.bfloat16
        assert as_features(x.double()).dtype == torch.float64
        with torch.autocast("cpu", enabled=False):
            assert fused_conv(x, conv).dtype == torch.float32
    y.float().sum().backward()
    assert conv.weight.grad.dtype == torch.float32
    torch.testing.assert_close(y.float(), conv(x), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("how", [{"fused": True}, {"foreach": True}, {}])
def test_steps_of_an_optimiser_are_seen_in_mixed_precision(how: dict[str, bool]) -> None:
    conv, x = nn.Conv2d(3, 4, 3, padding=1), torch.rand(1, 3, 6, 6)
    optimiser = torch.optim.Adam(conv.parameters(), lr=0.1, **how)
    for _ in range(3):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            y = fused_conv(x, conv).float()
        torch.testing.assert_close(y, conv(x), rtol=2e-2, atol=2e-2)
        conv(x).sum().backward()
        optimiser.step()  # a fused one leaves the counter of versions as it is


@torch.no_grad()
def test_converted_weights_follow_the_weights() -> None:
    conv, x = nn.Conv2d(3, 4, 3, padding=1, bias=False), torch.rand(1, 3, 6, 6)

    def mixed(conv: nn.Conv2d) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return fused_conv(x, conv).float()

    first = mixed(conv)
    conv.weight.mul_(2)
    torch.testing.assert_close(mixed(conv), 2 * first)
    conv.load_state_dict({"weight": torch.zeros(4, 3, 3, 3)})
    assert not mixed(conv).any()
    conv.weight = nn.Parameter(torch.ones(4, 3, 3, 3))
    assert mixed(conv).all()
    conv.weight.data = torch.zeros(4, 3, 3, 3)
    assert not mixed(conv).any()
    with torch.inference_mode():
        inside = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        assert mixed(inside).any()
