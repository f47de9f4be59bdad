"""SSPSR: published sizes, equations written out, groups, loss, how it starts, how far it sees, public weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.nn.residual import ChannelAttention
from finewave.nn.upsampling import Upsampler
from finewave.systems.reference import from_reference
from finewave.systems.registry import create_model
from finewave.systems.sspsr import network as sspsr
from finewave.systems.sspsr.matlab_bicubic import matlab_enlarge
from finewave.systems.sspsr.network import (
    PRESETS,
    SSB,
    SSPN,
    SSPSR,
    BranchUnit,
    band_groups,
    spatial_tv,
    spectral_tv,
)
from tests.plain.attention import groups_one_by_one

TINY: dict[str, Any] = {
    "scale": 2,
    "hs_bands": 7,
    "group_size": 4,
    "overlap": 1,
    "features": 8,
    "blocks": 1,
    "reduction": 2,
}


def tiny(**options: Any) -> SSPSR:
    """Return a very small network with all of its parts."""
    return SSPSR(**{**TINY, **options})


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


# --- Size ---------------------------------------------------------------------------------------------------------

# Counted in the public code's layers: branch, trunk, skip, final, all.
SIZES = {
    ("chikusei", 2): (3_997_752, 6_616_112, 295_168, 295_040, 11_204_072),
    ("chikusei", 4): (6_358_072, 6_616_112, 295_168, 295_040, 13_564_392),
    ("chikusei", 8): (8_718_392, 6_616_112, 295_168, 295_040, 15_924_712),
    ("pavia-centre", 4): (6_358_072, 6_556_208, 235_264, 235_110, 13_384_654),
    ("pavia-centre", 8): (8_718_392, 6_556_208, 235_264, 235_110, 15_744_974),
    ("cave", 4): (12_940_676, 12_993_664, 71_680, 71_455, 26_077_475),
    ("cave", 8): (15_300_996, 12_993_664, 71_680, 71_455, 28_437_795),
}
GROUPS = {"chikusei": (21, 120), "pavia-centre": (17, 94), "cave": (10, 27)}  # how many; where the last starts


@pytest.mark.parametrize(("preset", "scale"), SIZES)
def test_published_sizes(preset: str, scale: int) -> None:
    with torch.device("meta"):
        net = create_model("sspsr", scale=scale, **PRESETS[preset], initialisation="framework")
    parts = (net.branches, net.trunk, net.skip, net.final, net)
    assert tuple(map(count, parts)) == SIZES[preset, scale]
    assert (len(net.groups), net.groups[-1]) == GROUPS[preset]


def test_size_of_a_block_and_of_branches_that_are_not_shared() -> None:
    with torch.device("meta"):
        assert count(SSB(256)) == 1_320_208
        assert count(SSPSR(4, **PRESETS["chikusei"], shared=False, initialisation="framework")) == 140_725_832


# --- Groups -------------------------------------------------------------------------------------------------------


def test_groups() -> None:
    assert band_groups(20, 8, 2) == [0, 6, 12]
    assert band_groups(12, 4, 1) == [0, 3, 6, 8]  # the last one is moved back
    assert band_groups(102, 8, 2)[-2:] == [90, 94]
    assert band_groups(6, 2, 0) == [0, 2, 4]
    assert band_groups(3, 8, 2) == [0]
    assert band_groups(1, 8, 2) == [0]


@pytest.mark.parametrize("bands", range(1, 30))
@pytest.mark.parametrize(("size", "overlap"), [(1, 0), (4, 1), (4, 3), (8, 2)])
def test_groups_cover_every_band_and_nothing_else(bands: int, size: int, overlap: int) -> None:
    groups = band_groups(bands, size, overlap)
    covered = {band for first in groups for band in range(first, first + min(size, bands))}
    assert covered == set(range(bands))
    assert sorted(set(groups)) == groups  # no group twice


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_an_image_narrower_than_a_group_is_one_group(bands: int) -> None:
    net = tiny(hs_bands=bands)
    assert (net.group_size, net.groups) == (bands, [0])
    assert net(torch.rand(1, bands, 3, 2)).shape == (1, bands, 6, 4)


# --- Equations ----------------------------------------------------------------------------------------------------


def attended(attention: ChannelAttention, v: Tensor) -> Tensor:
    mean = v.mean((2, 3), keepdim=True)
    return v * torch.sigmoid(attention.excite(torch.relu(attention.squeeze(mean))))


def block(ssb: SSB, t: Tensor, factor: float) -> Tensor:
    t = t + factor * ssb.spatial2(torch.relu(ssb.spatial1(t)))
    return t + factor * attended(ssb.attention, ssb.spectral2(torch.relu(ssb.spectral1(t))))


@pytest.mark.parametrize("factor", [0.1, 1.0])
def test_ssb_and_sspn(factor: float) -> None:
    net = SSPN(12, 2, factor, 3)
    t = torch.randn(2, 12, 5, 6)
    expected = block(net[1], block(net[0], t, factor), factor) + t
    torch.testing.assert_close(net(t), expected)
    assert net[0].attention.squeeze.out_channels == 4


def test_channel_attention_keeps_a_channel() -> None:
    assert SSB(8, reduction=16).attention.squeeze.out_channels == 1
    assert SSB(40, reduction=16).attention.squeeze.out_channels == 2


def test_upsampler_goes_by_its_factors() -> None:
    net = Upsampler(4, [2, 3])
    assert [layer.out_channels for layer in net] == [16, 36]
    x = torch.randn(1, 4, 3, 2)
    torch.testing.assert_close(net(x), F.pixel_shuffle(net[1](F.pixel_shuffle(net[0](x), 2)), 3))
    assert torch.equal(Upsampler(4, [])(x), x)


def test_branch_unit() -> None:
    unit = BranchUnit(3, 8, 1, [2])
    x = torch.randn(1, 3, 4, 5)
    assert unit.tail is not None
    torch.testing.assert_close(unit(x), unit.tail(unit.upsampler(unit.body(unit.head(x)))))
    assert BranchUnit(3, 8, 1, [2], tail=False)(x).shape == (1, 8, 8, 10)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("at_once", [1, 40, 10**6])
def test_network_averages_overlapping_groups(shared: bool, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Group by group, however many of them run at once."""
    monkeypatch.setattr(sspsr, "_PIXELS_AT_ONCE", at_once)
    net = tiny(scale=4, shared=shared, hs_bands=9).double()
    x = torch.rand(2, 9, 4, 5, dtype=torch.float64)
    sums, times = torch.zeros(2, 9, 8, 10, dtype=torch.float64), torch.zeros(9, 1, 1, dtype=torch.float64)
    for i, first in enumerate([0, 3, 5]):
        sums[:, first : first + 4] += net.branches[0 if shared else i](x[:, first : first + 4])
        times[first : first + 4] += 1
    torch.testing.assert_close(net.merged_branches(x), sums / times)
    torch.testing.assert_close(groups_one_by_one(net, x), sums / times)
    expected = net.final(net.trunk(sums / times) + net.skip(matlab_enlarge(x, 4)))
    torch.testing.assert_close(net(x), expected)


def test_gradient_in_double_precision() -> None:
    net = tiny(features=4, hs_bands=5).double()
    x = torch.rand(1, 5, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(net, (x,), fast_mode=True)


# --- Scales -------------------------------------------------------------------------------------------------------

FACTORS = {2: ([], [2]), 3: ([], [3]), 4: ([2], [2]), 5: ([], [5]), 6: ([3], [2]), 8: ([2, 2], [2]), 9: ([3], [3])}


@pytest.mark.parametrize("scale", FACTORS)
def test_scales(scale: int) -> None:
    net = tiny(scale=scale).eval()
    assert (net.branches[0].upsampler.factors, net.trunk.upsampler.factors) == FACTORS[scale]
    for height, width in ((1, 1), (3, 5)):
        with torch.no_grad():
            output = net(torch.rand(1, 7, height, width))
        assert output.shape == (1, 7, height * scale, width * scale)
        assert torch.isfinite(output).all()
        assert output.std() > 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", 1),
        ("hs_bands", 0),
        ("group_size", 0),
        ("overlap", -1),
        ("overlap", 4),
        ("features", 0),
        ("blocks", 0),
        ("reduction", 0),
        ("residual_scale", float("nan")),
        ("initialisation", "zeros"),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"{name}={value!r} "):
        tiny(**{name: value})


# --- Loss ---------------------------------------------------------------------------------------------------------


def test_total_variation_in_closed_form() -> None:
    b, y, x = torch.meshgrid(torch.arange(3.0), torch.arange(4.0), torch.arange(5.0), indexing="ij")
    image = (5 * b + 2 * y + 3 * x)[None].repeat(2, 1, 1, 1)
    assert spatial_tv(image) == pytest.approx(2**2 + 3**2)
    assert spectral_tv(image) == pytest.approx(2 * 5**2)


def test_total_variation_of_a_single_pixel_or_band_is_zero() -> None:
    assert spatial_tv(torch.rand(1, 3, 1, 1)) == 0
    assert spectral_tv(torch.rand(1, 1, 3, 4)) == 0
    assert spatial_tv(torch.rand(1, 1, 1, 4)) > 0


def test_training_loss_gives_output_and_terms() -> None:
    net, x = tiny(), torch.rand(2, 7, 4, 3)
    output, terms = net.training_loss({"lr_hsi": x}, 0.5)
    assert torch.equal(output, net(x))
    assert terms == {"spatial_tv": spatial_tv(output), "spectral_tv": spectral_tv(output)}


# --- How it starts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_starts_at_the_bicubic_image(scale: int) -> None:
    y, x = torch.meshgrid(*2 * (torch.linspace(0, 3, 12),), indexing="ij")
    lr = torch.stack([0.5 + 0.4 * torch.sin((1 + b / 8) * y + x) for b in range(7)])[None]
    enlarged = matlab_enlarge(lr, scale)
    decibels = {}
    for kind in ("interpolation", "framework"):
        torch.manual_seed(2)
        with torch.no_grad():
            output = tiny(scale=scale, features=32, initialisation=kind)(lr)
        decibels[kind] = float(-10 * (output - enlarged).square().mean().log10())
    assert decibels["interpolation"] > 40
    assert decibels["framework"] < 20


def test_narrow_networks_start_too() -> None:
    """With fewer features than bands nothing can be passed through."""
    torch.manual_seed(1)
    ours = tiny(features=4)
    torch.manual_seed(1)
    assert torch.equal(ours.final.weight, tiny(features=4, initialisation="framework").final.weight)


# --- Precision ----------------------------------------------------------------------------------------------------


def test_mixed_precision_keeps_the_image() -> None:
    """Features may lose digits; what the image is made of may not."""
    net, x = tiny().eval(), torch.rand(1, 7, 6, 5)
    nn.init.zeros_(net.trunk.upsampler[0].weight)  # nothing is left that may lose digits
    nn.init.zeros_(net.trunk.upsampler[0].bias)
    with torch.no_grad():
        single = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = net(x)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, single)


# --- How far it sees ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("blocks", [1, 3])
def test_receptive_field_is_an_upper_bound(scale: int, blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apart from the channel means over the whole image."""
    monkeypatch.setattr(ChannelAttention, "forward", lambda self, x: x)
    # with residuals of full weight, far pixels have an influence that shows
    net = tiny(scale=scale, blocks=blocks, hs_bands=3, initialisation="framework", residual_scale=1.0).double()
    bound = net.receptive_field
    width = 2 * bound + 5
    middle = width // 2
    x = torch.rand(1, 3, 2, width, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(x)[..., middle * scale : (middle + 1) * scale].sum(), x)
    reached = (gradient.abs().sum((0, 1, 2)).nonzero().flatten() - middle).abs().max()
    assert bound - 1 <= reached <= bound


def test_channel_means_see_the_whole_image() -> None:
    net = tiny(initialisation="framework").double()
    x = torch.rand(1, 7, 1, 80, dtype=torch.float64, requires_grad=True)
    net(x)[..., :2].sum().backward()
    assert x.grad is not None
    assert (x.grad[..., -1] != 0).any()


# --- Weights of the public code -----------------------------------------------------------------------------------


def public(net: SSPSR, shared: bool = True) -> dict[str, Tensor]:
    """Return the state dict with the names of the public code, written out the other way round."""

    def layer(prefix: str, module: nn.Module) -> dict[str, Tensor]:
        return {f"{prefix}.{key}": value.clone() for key, value in module.state_dict().items()}

    def unit(prefix: str, branch: BranchUnit) -> dict[str, Tensor]:
        result = layer(f"{prefix}.head", branch.head)
        for i, ssb in enumerate(branch.body):
            for name, part in (
                ("spa.body.0", ssb.spatial1),
                ("spa.body.2", ssb.spatial2),
                ("spc.body.0", ssb.spectral1),
                ("spc.body.2", ssb.spectral2),
                ("spc.body.3.conv_du.0", ssb.attention.squeeze),
                ("spc.body.3.conv_du.2", ssb.attention.excite),
            ):
                result |= layer(f"{prefix}.body.net.{i}.{name}", part)
        for i, convolution in enumerate(branch.upsampler):
            result |= layer(f"{prefix}.upsample.{2 * i}", convolution)
        return result if branch.tail is None else result | layer(f"{prefix}.tail", branch.tail)

    result = unit("trunk", net.trunk) | layer("skip_conv", net.skip) | layer("final", net.final)
    for i, branch in enumerate(net.branches):
        result |= unit("branch" if shared else f"branch.{i}", branch)
    return result


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("shared", [True, False])
def test_public_weights_load_with_what_shapes_tell(scale: int, shared: bool) -> None:
    net = tiny(scale=scale, shared=shared, blocks=2).eval()
    given = {f"module.{key}": value for key, value in public(net, shared).items()}
    same = from_reference("sspsr", given, overlap=1)
    x = torch.rand(1, 7, 3, 4)
    assert torch.equal(same(x), net(x))
    words = {"n_scale": scale, "n_colors": 7, "n_subs": 4, "n_ovls": 1, "n_feats": 8, "n_blocks": 2}
    assert torch.equal(from_reference("sspsr", given, **words, use_share=shared)(x), net(x))


def test_public_weights_that_do_not_fit_are_refused() -> None:
    weights = public(tiny())
    with pytest.raises(InputError, match="overlap"):
        from_reference("sspsr", weights)
    with pytest.raises(InputError, match="'n_ovls'"):
        from_reference("sspsr", weights, n_ovl=1)
    with pytest.raises(InputError, match="has no 'skip_conv"):
        from_reference("sspsr", {"a": torch.zeros(1)}, overlap=1)
    with pytest.raises(InputError, match=r"'branches\.0\.head\.weight' has shape"):
        from_reference("sspsr", weights, overlap=1, features=16)
    with pytest.raises(InputError, match=r"'extra' .* does not fit"):
        from_reference("sspsr", {**weights, "extra": torch.zeros(1)}, overlap=1)
    with pytest.raises(InputError, match=r"lacks SSPSR's 'final\.bias'"):
        from_reference("sspsr", {k: v for k, v in weights.items() if k != "final.bias"}, overlap=1)
    with pytest.raises(InputError, match="'BranchUnit'"):
        from_reference("sspsr", weights, module="BranchUnits")
    with pytest.raises(InputError, match="'features'"):
        from_reference("sspsr", weights, module="SSPN")
