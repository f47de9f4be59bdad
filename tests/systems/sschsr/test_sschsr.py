"""SSC-HSR beyond what every system must do: sizes, options, alignment, start."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import finewave as fw
from finewave.errors import InputError
from finewave.systems.sschsr import guided_attention
from finewave.systems.sschsr.matching import match
from finewave.systems.sschsr.network import SSCHSR

SMALL: dict[str, Any] = {
    "features": 8,
    "flow_features": 8,
    "flow_iterations": 2,
    "warp_features": 4,
    "blocks": [1, 1, 1],
}


def build(**options: Any) -> SSCHSR:
    torch.manual_seed(0)
    net = fw.create_model("ssc-hsr", **{"scale": 2, "hs_bands": 5, **SMALL, **options})
    assert isinstance(net, SSCHSR)
    return net.eval()


def count(part: nn.Module) -> int:
    return sum(p.numel() for p in part.parameters())


def test_published_sizes() -> None:
    with torch.device("meta"):
        net = SSCHSR(scale=8)
    assert count(net) == 27450743
    parts = (net.flow_network, net.warp_network, net.match_image, net.reference_features, net.hsi_encoder, net.decoder)
    assert [count(part) for part in parts] == [5257536, 144275, 555328, 555328, 3355776, 17027172]
    assert [count(part) for part in net.decoder.fusion] == [9719488, 2210184, 312724]
    assert net.rgb_bands == [15, 8, 3]


def test_stages_have_the_size_of_the_output() -> None:
    net = build()
    stages = net.forward_stages(torch.rand(2, 5, 9, 7), torch.rand(2, 3, 18, 14))
    assert stages.hr_hsi.shape == (2, 5, 18, 14)
    assert stages.refined.shape == stages.warped.shape == (2, 3, 18, 14)
    assert stages.flow.shape == (2, 2, 18, 14)


def test_a_reference_of_another_size_is_resampled() -> None:
    """A ramp from edge to edge stays that ramp, whatever the number of pixels."""
    net, lr_hsi = build(), torch.rand(1, 5, 32, 32)

    def ramp(pixels: int) -> torch.Tensor:
        return ((torch.arange(pixels) + 0.5) / pixels).expand(1, 3, pixels, pixels)

    for pixels in (50, 64, 99):
        reference = net.prepare(lr_hsi, ramp(pixels)).reference
        torch.testing.assert_close(reference[..., 6:-6], ramp(64)[..., 6:-6], rtol=0, atol=2e-3)


def test_pseudo_rgb_has_the_colours_of_the_reference() -> None:
    net = build(rgb_bands=[4, 2, 0])
    lr_hsi, reference = 0.3 * torch.rand(1, 5, 40, 40), 0.5 + 0.5 * torch.rand(1, 3, 80, 80)
    prepared = net.prepare(lr_hsi, reference)
    degraded = net.prepare(reference[:, :1, ::2, ::2].expand(-1, 5, -1, -1), reference)
    assert prepared.image.amin() >= 0.5
    assert prepared.image.mean() == pytest.approx(degraded.image.mean().item(), abs=0.02)
    plain = build(rgb_bands=[4, 2, 0], match_colours=False).prepare(lr_hsi, reference)
    assert torch.equal(plain.image, plain.hsi[:, [4, 2, 0]])


def test_what_the_target_looks_like_plays_no_part() -> None:
    """Published code takes statistics from the image that is sought; here brightness just passes through."""
    net = build(match_colours=False)
    lr_hsi = torch.rand(1, 5, 8, 8) * 0.5
    prepared = net.prepare(lr_hsi, torch.rand(1, 3, 16, 16))
    half = net.prepare(0.5 * lr_hsi, torch.rand(1, 3, 16, 16))
    torch.testing.assert_close(half.hsi, 0.5 * prepared.hsi)


def test_alignment_follows_the_flow() -> None:
    net = build()
    prepared = net.prepare(torch.rand(1, 5, 32, 32), torch.rand(1, 3, 64, 64))
    flow = torch.zeros(1, 2, 64, 64)
    assert torch.allclose(net.align(prepared, flow)[0], prepared.reference, atol=1e-5)
    flow[:, 0] = 3
    warped, refined = net.align(prepared, flow)
    torch.testing.assert_close(warped[..., :-3], prepared.reference[..., 3:])
    assert not torch.equal(warped, refined)


def test_centre_and_corner_of_matches_differ() -> None:
    """Reference features are warped by what the taps of the deformable convolution around a pixel say."""
    inputs = torch.rand(1, 5, 32, 32), torch.rand(1, 3, 64, 64)
    centre, corner = build(), build(match_anchor="corner")
    corner.load_state_dict(centre.state_dict())
    assert not torch.equal(centre(*inputs), corner(*inputs))
    features = torch.rand(1, 4, 8, 8)
    found = match(features, features)[0]
    assert not found.flow.any()


@pytest.mark.parametrize("option", [{"flow_grid": "published"}, {"encoder_skip": True}])
def test_options_change_the_output(option: dict[str, Any]) -> None:
    inputs = torch.rand(1, 5, 32, 32), torch.rand(1, 3, 64, 64)
    plain, other = build(), build(**option)
    other.load_state_dict(plain.state_dict())
    assert not torch.allclose(plain(*inputs), other(*inputs))


def test_the_reference_matters() -> None:
    net, lr_hsi = build(), torch.rand(1, 5, 32, 32)
    with torch.no_grad():
        assert not torch.allclose(net(lr_hsi, torch.rand(1, 3, 64, 64)), net(lr_hsi, torch.rand(1, 3, 64, 64)))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"features": 12}, "features"),
        ({"groups": 3}, "groups"),
        ({"flow_features": 3}, "flow_features"),
        ({"flow_iterations": 0}, "flow_iterations"),
        ({"blocks": [1, 1]}, "blocks"),
        ({"heads": [5, 4, 1]}, "heads"),
        ({"rgb_bands": [0, 1, 5]}, "rgb_bands"),
        ({"flow_grid": "aligne"}, "flow_grid"),
        ({"match_anchor": "middle"}, "match_anchor"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        build(**options)


@pytest.mark.parametrize(("height", "width"), [(9, 7), (16, 5), (1, 6)])
def test_strips_of_the_feed_forward_network_equal_the_whole(
    height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    part = guided_attention.FeedForward(8)
    x = torch.randn(2, 8, height, width)
    with torch.no_grad():
        whole = part(x)
        for rows in (1, 2, 4):
            monkeypatch.setattr(guided_attention, "STRIP", rows * 2 * part.project_in.out_channels * width)
            calls: list[int] = []
            handle = part.project_in.register_forward_hook(lambda m, i, o, calls=calls: calls.append(o.shape[2]))
            torch.testing.assert_close(part(x), whole)
            handle.remove()
            assert len(calls) == -(-height // rows)
            assert max(calls) <= rows + 2
