from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.nn.sampling import bicubic
from finewave.systems.registry import create_model


def test_published_size() -> None:
    """Recursions share their weights: the number of units does not count."""
    for units in (1, 9):
        net = create_model("gdrrn", units=units)
        assert sum(p.numel() for p in net.parameters()) == 2 * 31 * 128 * 9 + 2 * 128 * 64 * 9 == 218_880


def test_against_plain_formulas() -> None:
    torch.manual_seed(0)
    net = create_model("gdrrn", scale=3, hs_bands=5, features=6, units=4, groups=3, initialisation="published").double()
    lr_hsi = torch.randn(2, 5, 4, 3, dtype=torch.float64)
    x = F.interpolate(lr_hsi, scale_factor=3, mode="bicubic")
    with torch.no_grad():
        start = t = F.conv2d(x.clamp(min=0), net.head.weight, padding=1)
        for _ in range(4):
            u = F.conv2d(t.clamp(min=0), net.recursive1.weight, padding=1, groups=3)
            t = start + F.conv2d(u.clamp(min=0), net.recursive2.weight, padding=1, groups=3)
        torch.testing.assert_close(net(lr_hsi), x + F.conv2d(t.clamp(min=0), net.tail.weight, padding=1))


def test_it_begins_near_bicubic_interpolation() -> None:
    torch.manual_seed(0)
    lr_hsi = torch.rand(1, 31, 6, 6)
    floor = bicubic(lr_hsi, (24, 24))
    with torch.no_grad():
        begun = create_model("gdrrn")(lr_hsi)
        random = create_model("gdrrn", initialisation="published")(lr_hsi)
    ratio = F.mse_loss(begun, floor).sqrt() / F.mse_loss(random, floor).sqrt()
    assert 0.003 < ratio < 0.03  # a hundredth of what random weights add


def test_groups_divide_the_features() -> None:
    with pytest.raises(InputError, match=r"features=7 .* multiple of groups=2"):
        create_model("gdrrn", features=7)
