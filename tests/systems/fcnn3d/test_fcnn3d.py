from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from finewave.nn import convolutions3d
from finewave.nn.convolutions3d import Convolutions3D
from finewave.nn.sampling import bicubic
from finewave.systems.registry import create_model


def test_published_size() -> None:
    """64 filters of 9 x 9 x 7 with biases, 32 and 9 of one voxel, one of 5 x 5 x 3."""
    parameters = sum(p.numel() for p in create_model("3d-fcnn").parameters())
    assert parameters == (64 * 567 + 64) + (32 * 64 + 32) + (9 * 32 + 9) + (9 * 75 + 1) == 39_405


def test_the_convolutions_see_no_padding() -> None:
    """A patch of 33 x 33 keeps the inner 21 x 21, and four bands are lost at each end, as published."""
    torch.manual_seed(0)
    net = Convolutions3D(8)
    volume = torch.rand(2, 1, 12, 33, 33)
    weights = [(layer.weight, layer.bias) for layer in net.layers]
    with torch.no_grad():
        expected = volume
        for i, (weight, bias) in enumerate(weights):
            expected = F.conv3d(expected, weight, bias)
            expected = expected if i == 3 else expected.clamp(min=0)
        assert expected.shape == (2, 1, 4, 21, 21)
        whole = net(volume[:, 0])
    assert whole.shape == (2, 12, 33, 33)
    torch.testing.assert_close(whole[:, 4:-4, 6:-6, 6:-6], expected[:, 0])


def test_bands_in_parts_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net, image = Convolutions3D(4), torch.rand(2, 11, 6, 7)
    whole = net(image).detach()
    monkeypatch.setattr(convolutions3d, "_VOXELS_AT_ONCE", 2 * 6 * 7 * 3)
    calls = []
    net.layers[-1].register_forward_hook(lambda _, inputs, output: calls.append(output.shape[2]))
    with torch.no_grad():
        torch.testing.assert_close(net(image), whole)
    assert calls == [3, 3, 3, 2]


def test_it_begins_near_bicubic_interpolation() -> None:
    torch.manual_seed(0)
    lr_hsi = bicubic(torch.rand(1, 9, 4, 4), (12, 12)).clamp(0, 1)
    floor = bicubic(lr_hsi, (48, 48)).clamp(min=0)
    with torch.no_grad():
        begun = create_model("3d-fcnn", hs_bands=9)(lr_hsi)
        random = create_model("3d-fcnn", hs_bands=9, initialisation="framework")(lr_hsi)
    assert F.mse_loss(begun, floor).sqrt() < 0.02 < 0.2 < F.mse_loss(random, floor).sqrt()
