"""RAFT's parts: closed forms, and the published size. The parity cases hold the rest."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch.nn import functional as F

from finewave.systems.sschsr import raft
from finewave.systems.sschsr.raft import RAFT, Correlation, Encoder, convex_upsample, sequence_loss


def test_published_size() -> None:
    net = RAFT()
    parts = (net, net.feature_encoder, net.context_encoder, net.update)
    assert [sum(p.numel() for p in part.parameters()) for part in parts] == [5257536, 1066848, 1069728, 3120960]


def test_lookup_reads_the_correlation_at_its_place() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(1, 4, 9, 10), torch.randn(1, 4, 9, 10)
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(10.0), indexing="ij")
    found = Correlation(a, b, levels=1, radius=1).lookup(torch.stack((x, y))[None])
    assert found.shape == (1, 9, 9, 10)
    torch.testing.assert_close(found[:, 4], (a * b).sum(1) / 2)  # / sqrt(4 channels)
    # second entry of the window: x one less, y the same
    torch.testing.assert_close(found[:, 1, :, 1:], (a[..., 1:] * b[..., :-1]).sum(1) / 2)
    assert not found[:, 1, :, 0].any()


def test_of_many_pixels_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 4, 9, 16), torch.randn(2, 4, 9, 16)
    places = 10 * torch.rand(2, 2, 9, 16)
    with torch.no_grad():
        kept = Correlation(a, b, radius=2)
        monkeypatch.setattr(raft, "STORED", 2 * 9 * 16 * 50)
        few = Correlation(a, b, radius=2)
        assert [len(range(9 * 16)[part]) for part in few.parts] == [50, 50, 44]
        made, before = few._pyramid, []

        def alone(part: slice) -> list[torch.Tensor]:
            assert not any(each() for each in before), "one part is in memory at a time"
            pyramid = made(part)
            before.append(weakref.ref(pyramid[0]))
            return pyramid

        monkeypatch.setattr(few, "_pyramid", alone)
        torch.testing.assert_close(few.lookup(places), kept.lookup(places), rtol=0, atol=1e-6)
        assert len(before) == 3
    assert len(Correlation(a, b).parts) == 1, "gradients need all of them"


def test_levels_down_to_one_pixel() -> None:
    found = Correlation(torch.rand(1, 4, 8, 8), torch.rand(1, 4, 8, 8)).lookup(torch.zeros(1, 2, 8, 8))
    assert torch.isfinite(found).all()


def test_equal_weights_average_the_neighbours() -> None:
    flow = torch.randn(1, 2, 4, 5)
    fine = convex_upsample(flow, torch.zeros(1, 576, 4, 5))
    mean = F.avg_pool2d(8 * flow, 3, 1, 1, count_include_pad=True)
    torch.testing.assert_close(fine, mean.repeat_interleave(8, 2).repeat_interleave(8, 3))


def test_a_frozen_network_keeps_its_statistics() -> None:
    net = RAFT(width=4, iterations=1)
    assert net.train().context_encoder.norm1.training
    net.requires_grad_(False)
    before = net.context_encoder.norm1.running_mean.clone()
    assert not net.train().context_encoder.norm1.training
    net(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    assert torch.equal(before, net.context_encoder.norm1.running_mean)


def test_sequence_loss() -> None:
    truth = torch.zeros(1, 2, 3, 3)
    flows = [truth + 4, truth + 1]
    assert sequence_loss(flows, truth, gamma=0.5).item() == pytest.approx(3.0)
    valid = torch.zeros(1, 1, 3, 3)
    valid[..., 0] = 1
    flows[1][..., 1:] = 100
    assert sequence_loss(flows, truth, valid, gamma=0.5).item() == pytest.approx(3.0)


def test_learns_a_constant_shift() -> None:
    """A few steps on one pair bring the flow nearer to the truth: the gradient points the right way."""
    torch.manual_seed(0)
    wide = F.interpolate(torch.rand(2, 3, 20, 20), size=(80, 80), mode="bicubic").clamp(0, 1)
    first, second = wide[..., 8:72, 8:72], wide[..., 8:72, 4:68]  # what is at x in the first is at x + 4 in the second
    truth = torch.zeros(2, 2, 64, 64)
    truth[:, 0] = 4
    net = RAFT(width=16, iterations=4).train()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(25):
        loss = sequence_loss(net.forward_all(first, second)[0], truth)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_texture_of_dark_images_survives_bfloat16() -> None:
    torch.manual_seed(0)
    encoder = Encoder(16, "instance", 8).eval()
    image = 2 * (0.004 * torch.rand(1, 3, 64, 64)) - 1  # all of it within a step of bfloat16 from -1
    with torch.no_grad():
        wanted = encoder(image)
        with torch.autocast("cpu", torch.bfloat16):
            found = encoder(image).float()
    assert (found - wanted).norm() < 0.03 * wanted.norm()
