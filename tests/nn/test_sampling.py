"""Resampling operators: sizes for every scale, what they reproduce exactly, and equation (4) written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from finewave.nn.sampling import BPUp, Down, Up, bicubic, prime_factors

SCALES = range(2, 14)


def cubic_convolution(n: int, size: int) -> torch.Tensor:
    """Return the matrix (size, n) of cubic convolution with a = -0.75; outside the border pixel is repeated."""
    a = -0.75
    matrix = torch.zeros(size, n, dtype=torch.float64)
    for i in range(size):
        position = (i + 0.5) * n / size - 0.5
        for j in range(math.floor(position) - 1, math.floor(position) + 3):
            t = abs(position - j)
            near = (a + 2) * t**3 - (a + 3) * t**2 + 1
            far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
            matrix[i, min(max(j, 0), n - 1)] += near if t <= 1 else far
    return matrix


def cleared(module: nn.Module) -> nn.Module:
    """Set all weights to zero, so that a reset leaves nothing random."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def test_prime_factors() -> None:
    assert prime_factors(2) == [2]
    assert prime_factors(12) == [2, 2, 3]
    assert prime_factors(13) == [13]
    assert prime_factors(49) == [7, 7]
    assert prime_factors(2 * 3 * 5 * 7 * 11) == [2, 3, 5, 7, 11]
    assert prime_factors(1) == []


def test_prime_factors_are_ascending_primes_whose_product_is_the_number() -> None:
    for n in range(2, 300):
        factors = prime_factors(n)
        assert torch.tensor(factors).prod() == n
        assert factors == sorted(factors)
        assert all(p % d for p in factors for d in range(2, p))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("progressive", [True, False])
def test_sizes(scale: int, progressive: bool) -> None:
    factors = prime_factors(scale) if progressive else [scale]
    down, up, back_projection = Down(2, factors), Up(2, factors), BPUp(2, factors)
    for n, m in ((1, 1), (1, 3), (4, 5)):
        small, large = torch.rand(1, 2, n, m), torch.rand(1, 2, n * scale, m * scale)
        assert down(large).shape == small.shape
        assert up(small).shape == large.shape
        assert back_projection(small).shape == large.shape


def test_kernels_are_those_of_the_tables() -> None:
    down, up = Down(3, [2, 3, 5], groups=3), Up(3, [2, 3, 5])
    assert [tuple(layer.weight.shape) for layer in down] == [(3, 1, 5, 5), (3, 1, 7, 7), (3, 1, 11, 11)]
    assert [tuple(layer.weight.shape) for layer in up] == [
        (3, 3, k, k) for k in (3, 5, 5, 7, 7, 11)
    ]  # transposed, plain, transposed, plain, ...
    assert [layer.stride[0] for layer in up] == [2, 1, 3, 1, 5, 1]
    assert all(layer.bias is None for layer in (*down, *up))


def test_band_by_band_operator_keeps_bands_apart() -> None:
    x = torch.zeros(1, 3, 8, 8)
    x[:, 1] = torch.rand(8, 8)
    apart, mixed = Down(3, [2, 2], groups=3)(x), Down(3, [2, 2])(x)
    assert apart[:, 1].any()
    assert not apart[:, [0, 2]].any()
    assert mixed[:, [0, 2]].any()


@pytest.mark.parametrize("size", [(12, 15), (4, 5), (2, 3), (5, 7)])
def test_bicubic_keeps_constants(size: tuple[int, int]) -> None:
    x = torch.full((2, 3, 4, 5), 0.3, dtype=torch.float64)
    result = bicubic(x, size)
    torch.testing.assert_close(result, torch.full((2, 3, *size), 0.3, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("n", "size"), [(5, 10), (5, 15), (4, 20), (12, 6), (12, 3), (15, 5), (7, 9), (1, 4), (4, 1)])
def test_bicubic_is_cubic_convolution_on_half_pixel_centres(n: int, size: int) -> None:
    weights = cubic_convolution(n, size)
    x = torch.rand(2, 3, n, 6, dtype=torch.float64)
    expected = weights @ x @ cubic_convolution(6, 11).T
    torch.testing.assert_close(bicubic(x, (size, 11)), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_treats_both_ends_alike(scale: int) -> None:
    x = torch.rand(1, 1, 6, 7, dtype=torch.float64)
    there, back = bicubic(x, (6 * scale, 7 * scale)), bicubic(x.flip(2, 3), (6 * scale, 7 * scale)).flip(2, 3)
    torch.testing.assert_close(there, back, rtol=1e-12, atol=1e-12)


def test_bicubic_of_halves_is_computed_in_full_precision() -> None:
    x = torch.rand(1, 2, 5, 6).bfloat16()
    result = bicubic(x, (10, 12))
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, bicubic(x.float(), (10, 12)).bfloat16())


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("factors", [[2], [3], [5], [2, 2], [2, 3], [8]], ids=str)
def test_down_starts_as_the_mean_of_the_pixels_that_each_covers(factors: list[int], groups: int) -> None:
    down, scale = Down(3, factors, groups), math.prod(factors)
    down.reset_to_average()
    x = torch.rand(2, 3, 4 * scale, 3 * scale)
    torch.testing.assert_close(down(x), torch.nn.functional.avg_pool2d(x, scale))  # at the border too


@pytest.mark.parametrize("factors", [[2], [3], [4], [5], [7], [8], [2, 2], [2, 3], [2, 2, 2]], ids=str)
def test_up_starts_as_an_interpolation_with_half_pixel_centres(factors: list[int]) -> None:
    up, scale = Up(2, factors), math.prod(factors)
    up.reset_to_interpolation()
    slope = torch.linspace(0, 1, 9 * scale).expand(9 * scale, -1)
    fine = torch.stack([slope, 1 - 0.5 * slope.T])[None]
    inside = (..., slice(3 * scale, -3 * scale), slice(3 * scale, -3 * scale))
    torch.testing.assert_close(up(torch.nn.functional.avg_pool2d(fine, scale))[inside], fine[inside])
    up.reset_to_interpolation(sign=-1.0)
    torch.testing.assert_close(up(torch.nn.functional.avg_pool2d(fine, scale))[inside], -fine[inside])


@pytest.mark.parametrize("p", [3, 5, 7])
def test_up_by_an_odd_factor_starts_as_linear_interpolation(p: int) -> None:
    up, x = Up(1, [p]), torch.rand(1, 1, 7, 8)
    up.reset_to_interpolation()
    linear = torch.nn.functional.interpolate(x, scale_factor=p, mode="bilinear")
    torch.testing.assert_close(up(x)[..., p:-p, p:-p], linear[..., p:-p, p:-p])


def test_up_by_two_starts_as_a_smooth_interpolation() -> None:
    up = Up(1, [2])
    up.reset_to_interpolation()
    row = up(torch.tensor([1.0, 2.0, 4.0, 4.0]).expand(1, 1, 4, 4))[0, 0, 4]
    torch.testing.assert_close(row[1:7], torch.tensor([1.25, 1.75, 2.5, 3.5, 4.0, 4.0]))  # 3/4 and 1/4 of neighbours


@pytest.mark.parametrize("iterations", [1, 3])
def test_back_projection_starts_with_the_sign_of_a_correction(iterations: int) -> None:
    """What (4) adds is there to bring the re-projection nearer to e, so it has the sign of e - D x."""
    net = BPUp(2, [2, 2], iterations)
    net.reset_to_back_projection()
    e = 0.1 + torch.rand(1, 2, 12, 12, generator=torch.Generator().manual_seed(3))
    x = net.first(e)
    correction = net(e) - x if iterations == 1 else net.up[0](net.down[0](x) - e)
    lacking = e - net.down[0](x)
    assert (net.down[0](correction) * lacking).mean() > 0.2 * lacking.square().mean()


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_back_projection_is_equation_4(iterations: int) -> None:
    net = BPUp(2, [2, 3], iterations).double()
    e = torch.randn(2, 2, 3, 4, dtype=torch.float64)

    def leaky(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, 0.01 * x)

    def transposed(x: torch.Tensor, layers: Up) -> torch.Tensor:
        weights = [layer.weight for layer in layers]
        for spread, smooth, p in zip(weights[::2], weights[1::2], (2, 3), strict=True):
            reach = spread.shape[-1] // 2
            x = F.conv_transpose2d(x, spread, stride=p, padding=reach, output_padding=p - 1)
            x = F.conv2d(x, smooth, padding=p)
        return x

    x, reference = leaky(transposed(e, net.first)), e
    for i in range(iterations):
        low = x
        for layer, p in zip(net.down[i], (2, 3), strict=True):
            low = F.conv2d(low, layer.weight, stride=p, padding=p)
        low = leaky(low)
        x = x + leaky(transposed(low - reference, net.up[i]))
        reference = low
    assert len(net.down) == len(net.up) == iterations
    torch.testing.assert_close(net(e), x, rtol=1e-12, atol=1e-12)
