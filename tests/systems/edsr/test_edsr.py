from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from finewave.systems.registry import create_model


@pytest.mark.parametrize(
    ("scale", "options", "parameters"),
    [
        (2, {}, 40_729_603),
        (3, {}, 43_680_003),
        (4, {}, 43_089_923),
        (2, {"features": 64, "blocks": 16, "residual_scale": 1.0}, 1_369_859),
        (4, {"features": 64, "blocks": 16, "residual_scale": 1.0}, 1_517_571),
    ],
)
def test_published_sizes(scale: int, options: dict[str, Any], parameters: int) -> None:
    """43M for the network and 1.5M for its baseline (table 1 of the article), for photographs of three bands."""
    with torch.device("meta"):
        net = create_model("edsr", scale=scale, hs_bands=3, initialisation="framework", **options)
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_against_plain_formulas() -> None:
    torch.manual_seed(0)
    net = create_model("edsr", scale=2, hs_bands=3, features=4, blocks=2, residual_scale=0.3).double()
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)

    def layer(name: str, image: torch.Tensor) -> torch.Tensor:
        module = net.get_submodule(name)
        return F.conv2d(image, module.weight, module.bias, padding=1)

    with torch.no_grad():
        head = t = layer("head", x)
        for i in range(2):
            t = t + 0.3 * layer(f"blocks.{i}.conv2", layer(f"blocks.{i}.conv1", t).clamp(min=0))
        up = F.pixel_shuffle(layer("upsampler.0", head + layer("last", t)), 2)
        torch.testing.assert_close(net(x), layer("tail", up))


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
def test_it_begins_near_interpolation(scale: int) -> None:
    """By parabolas, which a parabolic image goes through exactly."""
    torch.manual_seed(0)
    coefficients = torch.rand(1, 5, 1, 1)

    def image(step: float) -> torch.Tensor:
        x = torch.arange(step / 2, 10, step)  # pixel centres
        return coefficients * (x[:, None] - 4) ** 2 / 20 + (1 - coefficients) * (x - 5) ** 2 / 20

    lr_hsi, expected = image(1), image(1 / scale)
    with torch.no_grad():
        begun = create_model("edsr", scale=scale, hs_bands=5, features=16, blocks=2)(lr_hsi)
        random = create_model("edsr", scale=scale, hs_bands=5, features=4, blocks=2)(lr_hsi)  # too narrow to begin so
    inner = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))  # zeros are padded
    assert F.mse_loss(begun[inner], expected[inner]).sqrt() < 0.02
    assert F.mse_loss(random[inner], expected[inner]).sqrt() > 0.1
