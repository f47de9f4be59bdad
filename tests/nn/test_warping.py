"""Sampling at pixel coordinates: closed forms."""

from __future__ import annotations

import pytest
import torch

from finewave.nn.warping import backward_warp, pixel_grid, sample_at


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (6, 7)])
def test_no_flow_is_the_identity(size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size)
    torch.testing.assert_close(backward_warp(x, torch.zeros(2, 2, *size)), x)


def test_whole_pixels_shift_and_the_border_repeats() -> None:
    x = torch.arange(20.0).view(1, 1, 4, 5)
    flow = torch.zeros(1, 2, 4, 5)
    flow[:, 0], flow[:, 1] = 2, -1
    rows, columns = [0, 0, 1, 2], [2, 3, 4, 4, 4]
    torch.testing.assert_close(backward_warp(x, flow)[0, 0], x[0, 0][rows][:, columns])
    outside = backward_warp(x, flow, padding="zeros")[0, 0]
    assert (outside[0] == 0).all()
    assert (outside[:, 3:] == 0).all()


def test_a_linear_ramp_is_sampled_exactly() -> None:
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    image = (2 * x - 3 * y)[None, None]
    where = torch.tensor([[[1.25, 5.5]], [[0.5, 4.75]]]).view(1, 2, 1, 2)
    expected = 2 * where[:, 0] - 3 * where[:, 1]
    torch.testing.assert_close(sample_at(image, where)[:, 0], expected)


def test_the_published_grid_is_half_a_pixel_off_at_the_border() -> None:
    x = torch.arange(8.0).expand(1, 1, 1, 8)
    warped = backward_warp(x, torch.zeros(1, 2, 1, 8), grid="published")[0, 0, 0]
    expected = (torch.arange(8.0) * 8 / 7 - 0.5).clamp(0, 7)
    torch.testing.assert_close(warped, expected)


def test_half_precision_keeps_its_coordinates() -> None:
    x = torch.arange(512.0).expand(1, 1, 1, 512).bfloat16()
    warped = backward_warp(x, torch.full((1, 2, 1, 512), 0.0, dtype=torch.bfloat16))
    assert warped.dtype == torch.bfloat16
    assert torch.equal(warped, x)
    assert pixel_grid(1, 512, x).dtype == torch.float32


def test_gradients() -> None:
    x = torch.rand(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    flow = (torch.rand(1, 2, 4, 5, dtype=torch.float64) * 0.6 + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: backward_warp(a, b, padding="zeros"), (x, flow))
