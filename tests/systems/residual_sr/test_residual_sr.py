"""The residual network: where it starts, what it keeps, and what it learns."""

from __future__ import annotations

import pytest
import torch

import finewave as fw
from finewave.errors import InputError
from finewave.nn.sampling import bicubic
from finewave.systems.residual_sr.network import ResidualSR


def build(scale: int = 2, bands: int = 3, **options: object) -> ResidualSR:
    torch.manual_seed(1)
    return ResidualSR(scale, bands, **{"features": 8, "blocks": 1, **options})  # type: ignore[arg-type]


def image(height: int, width: int, bands: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, bands, height, width, generator=torch.Generator().manual_seed(seed))


def stirred(net: ResidualSR) -> ResidualSR:
    """Return the network with a last layer that does something."""
    torch.nn.init.normal_(net.tail.weight, std=0.05, generator=torch.Generator().manual_seed(2))
    return net.eval()


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_it_starts_at_back_projection(scale: int) -> None:
    lr = image(7, 9)
    limit = fw.create_model("ibp", scale=scale, hs_bands=3, iterations=400).double().eval()(lr_hsi=lr.double())
    with torch.no_grad():
        start = build(scale).eval()(lr)
    assert start.shape == (1, 3, 7 * scale, 9 * scale)
    interpolated = bicubic(lr, (7 * scale, 9 * scale))
    assert (start - limit).square().mean() < 0.05 * (interpolated - limit).square().mean()


@pytest.mark.parametrize(("scale", "height", "width"), [(2, 1, 1), (2, 11, 6), (3, 5, 8), (4, 9, 7)])
@pytest.mark.parametrize("kernel", ["gaussian", "bicubic"])
def test_its_results_are_observed_as_the_input(scale: int, height: int, width: int, kernel: str) -> None:
    lr = image(height, width)
    with torch.no_grad():
        result = stirred(build(scale, degradation={"kernel": kernel}))(lr)
    untouched = bicubic(lr, (height * scale, width * scale))
    assert (result - untouched).abs().max() > 0.01
    torch.testing.assert_close(fw.degrade(result, scale, kernel=kernel), lr, rtol=0, atol=2e-5)


def test_twice_as_bright_is_twice_as_bright() -> None:
    net, lr = stirred(build()), image(6, 7)
    with torch.no_grad():
        torch.testing.assert_close(net(0.01 * lr), 0.01 * net(lr), rtol=1e-4, atol=1e-7)


def test_no_pixel_acts_beyond_its_receptive_field() -> None:
    net = stirred(build(2, 1)).double()
    reach = net.receptive_field
    lr = image(2 * reach + 9, 3, bands=1).double().requires_grad_()
    row = 2 * (reach + 4)
    (gradient,) = torch.autograd.grad(net(lr)[0, 0, row].square().sum(), lr)
    acting = gradient[0, 0].abs().sum(1)
    assert acting[reach + 4 - reach : reach + 4 + reach + 1].max() > 0
    assert acting[:4].max() <= 1e-5 * acting.max()
    assert acting[2 * reach + 5 :].max() <= 1e-5 * acting.max()


def test_it_learns_edges_that_interpolation_blurs() -> None:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(24, 2, 6, 6, generator=generator).repeat_interleave(5, 2).repeat_interleave(5, 3)
    hr = coarse[..., :28, :28]
    lr = fw.degrade(hr, 2)
    net = build(2, 2, features=16, blocks=2).train()
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)

    def error() -> float:
        with torch.no_grad():
            return float((net(lr[:4]) - hr[:4]).square().mean())

    start = error()
    for step in range(120):
        some = slice(4 + 5 * (step % 4), 9 + 5 * (step % 4))
        optimiser.zero_grad()
        (net(lr[some]) - hr[some]).square().mean().backward()
        optimiser.step()
    assert error() < 0.8 * start


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="features=0 is out of range"):
        build(features=0)
    with pytest.raises(InputError, match="separable and symmetric"):
        build(degradation={"kernel": "anisotropic-gaussian", "variances": (1.0, 0.4), "angle": 0.5})
