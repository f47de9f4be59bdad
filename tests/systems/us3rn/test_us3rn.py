"""US3RN: published sizes, equations written out, scales, loss, how it starts, public weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.systems.reference import from_reference
from finewave.systems.us3rn import nonlocal_attention
from finewave.systems.us3rn.network import (
    US3RN,
    CorrectionBlock,
    Decimation,
    DecimationAdjoint,
    Estimates,
    FirstBlock,
    LastBlock,
    MiddleBlock,
)
from finewave.systems.us3rn.nonlocal_attention import NonLocalBlock

TINY: dict[str, Any] = {"scale": 2, "ms_bands": 2, "hs_bands": 5, "corrections": 1}


def tiny(**options: Any) -> US3RN:
    """Return a very small network with all of its parts."""
    return US3RN(**{**TINY, **options})


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


# --- Size ---------------------------------------------------------------------------------------------------------

SIZES = {
    (3, 31, 2): 249_226,
    (3, 31, 4): 295_164,
    (3, 31, 8): 341_102,
    (4, 102, 2): 2_666_271,
    (4, 102, 4): 3_142_237,
    (4, 102, 8): 3_618_203,
}


@pytest.mark.parametrize(("ms_bands", "hs_bands", "scale"), SIZES)
def test_published_sizes(ms_bands: int, hs_bands: int, scale: int) -> None:
    assert count(US3RN(scale, ms_bands, hs_bands)) == SIZES[ms_bands, hs_bands, scale]


def test_published_sizes_of_the_parts() -> None:
    net = US3RN()
    parts = (net.opening, net.middle, net.closing, net.merge, net.final)
    assert tuple(map(count, parts)) == (71_661, 90_262, 89_642, 34_627, 8_680)
    assert count(net.skip_up) + count(net.skip) == 292


# --- Layers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factors", [[2], [3], [5], [7], [2, 2], [2, 3]])
@pytest.mark.parametrize("size", [(1, 1), (3, 4)])
def test_sampling_layers_multiply_and_divide_the_size(factors: list[int], size: tuple[int, int]) -> None:
    large = tuple(n * int(torch.tensor(factors).prod()) for n in size)
    x = torch.rand(1, 3, *size)
    assert DecimationAdjoint(3, factors)(x).shape == (1, 3, *large)
    assert Decimation(3, factors)(torch.rand(1, 3, *large)).shape == x.shape


@pytest.mark.parametrize("p", [2, 3, 5, 7])
def test_every_fine_pixel_is_reached(p: int) -> None:
    up, down = DecimationAdjoint(1, [p]), Decimation(1, [p])
    with torch.no_grad():
        up[0].weight.fill_(1)
        assert ((up(torch.ones(1, 1, 3, 3)) - up[0].bias) > 0.5).all()
    x = torch.rand(1, 1, 3 * p, 3 * p, requires_grad=True)
    down(x).sum().backward()
    assert (x.grad != 0).all()


def test_down_keeps_bands_apart_and_up_does_not() -> None:
    x, moved = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    moved[:, 0] = 1
    down, up = Decimation(3, [2]), DecimationAdjoint(3, [2])
    assert ((down(moved) - down(x)).abs().amax((0, 2, 3)) > 0).tolist() == [True, False, False]
    assert ((up(moved) - up(x)).abs().amax((0, 2, 3)) > 0).all()


@pytest.mark.parametrize("p", [2, 3, 5])
def test_sampling_layers_start_as_what_they_stand_for(p: int) -> None:
    torch.manual_seed(1)
    y, x = torch.meshgrid(*2 * (torch.linspace(0, 1, 12),), indexing="ij")
    f = torch.stack([0.5 + 0.3 * torch.sin(3 * y + b * x) for b in range(3)])[None]
    up, down = DecimationAdjoint(3, [p]), Decimation(3, [p])
    up.reset_to_interpolation()
    down.reset_to_average()
    large = F.interpolate(f, scale_factor=p, mode="bilinear")
    with torch.no_grad():
        assert (up(f) - large)[..., p:-p, p:-p].abs().mean() < 0.06
        assert (down(large) - F.avg_pool2d(large, p))[..., 1:-1, 1:-1].abs().mean() < 0.03
    for layer in (up[0], down[0]):  # without the random tenth
        assert layer.bias.abs().max() == 0


def test_res_block() -> None:
    block, x = CorrectionBlock(4), torch.randn(1, 4, 5, 3)
    torch.testing.assert_close(block(x), torch.relu(x + block.conv2(torch.relu(block.conv1(x)))))


# --- Equations ----------------------------------------------------------------------------------------------------


def inc(block: Any, x: Tensor) -> Tensor:
    return torch.einsum("Cc,bchw->bChw", block.inc_weight[..., 0, 0], x)


def dec(block: Any, x: Tensor) -> Tensor:
    return torch.einsum("cC,bChw->bchw", block.dec_weight[..., 0, 0], x)


def opening(b: FirstBlock, w: Tensor) -> tuple[Tensor, ...]:
    q = 2 * b.alpha * b.up1(w)
    r = b.up2(b.inverse(b.down1(q)))
    y = torch.relu((q - (2 * b.alpha / b.beta) * r) / b.beta)
    g = inc(b, -y)
    z = torch.relu(b.mix(2 * (1 - b.alpha) * inc(b, w)))
    h = b.up3(-z)
    x = torch.relu(b.correct(b.beta * g + b.gamma * h))
    return x, y, z, dec(b, x) - y, b.down2(x) - z


def middle(b: LastBlock, w: Tensor, x: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, ...]:
    q = 2 * b.alpha * b.up1(w) + b.beta * (u + dec(b, x))
    r = b.up2(b.inverse(b.down1(q)))
    y = torch.relu((q - (2 * b.alpha / b.beta) * r) / b.beta)
    g = inc(b, u - y)
    t, p = b.up3(b.down2(x)), inc(b, dec(b, x))
    z = torch.relu(b.mix(b.gamma * (b.down3(x) + v) + 2 * (1 - b.alpha) * inc(b, w)))
    h = b.up4(v - z)
    return (
        torch.relu(b.correct(x - torch.relu(b.eta) * ((b.beta * g + b.gamma * t) + (b.beta * p + b.gamma * h)))),
        y,
        z,
    )


@pytest.mark.parametrize("initialisation", ["operators", "published"])
def test_network_against_its_equations(initialisation: str) -> None:
    torch.manual_seed(8)
    net = tiny(initialisation=initialisation).double().eval()
    w = torch.rand(2, 2, 4, 3, dtype=torch.float64)
    x, y, z, u, v = opening(net.opening, w)
    expected = [(x, y, z)]
    for _ in range(2):
        m = net.middle
        assert isinstance(m, MiddleBlock)
        x, y, z = middle(m, w, x, u, v)
        u, v = u + dec(m, x) - y, v + m.down4(x) - z
        expected.append((x, y, z))
    expected.append(middle(net.closing, w, x, u, v))
    output, estimates = net.forward_stages(w)
    for got, want in zip(estimates, expected, strict=True):
        for a, b in zip(got[:3], want, strict=True):
            torch.testing.assert_close(a, b)
    merged = net.merge(torch.cat([stage[0] for stage in expected], 1))
    torch.testing.assert_close(output, net.final(merged + net.skip(net.skip_up(w))))
    assert torch.equal(net(w), output)


@pytest.mark.parametrize("stages", [3, 4, 6])
def test_blocks_between_share_their_weights(stages: int) -> None:
    net = tiny(stages=stages)
    assert count(net) - count(net.merge) == count(tiny()) - count(tiny().merge)
    assert len(net.forward_stages(torch.rand(1, 2, 3, 4))[1]) == stages


def test_step_length_below_zero_turns_the_step_off() -> None:
    block = LastBlock(2, 5, [2], 1)
    nn.init.constant_(block.eta, -0.5)
    x, w = torch.rand(1, 5, 6, 4), torch.rand(1, 2, 3, 2)
    before = Estimates(x, x, x, torch.rand(1, 2, 6, 4), torch.rand(1, 5, 3, 2))
    block.eval()
    torch.testing.assert_close(block(w, before).x, torch.relu(block.correct(x)))


def test_gradient_in_double_precision() -> None:
    torch.manual_seed(2)
    net = tiny(hs_bands=3).double().eval()
    w = torch.rand(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(net, (w,), fast_mode=True)


@pytest.mark.parametrize("scale", range(2, 8))
def test_scales(scale: int) -> None:
    net = tiny(scale=scale).eval()
    for height, width in ((1, 1), (3, 5)):
        with torch.no_grad():
            output = net(torch.rand(1, 2, height, width))
        assert output.shape == (1, 5, height * scale, width * scale)
        assert torch.isfinite(output).all()
        assert output.std() > 0


def test_same_image_however_many_pixels_are_compared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net, w = tiny().double().eval(), torch.rand(2, 2, 7, 6, dtype=torch.float64)
    with torch.no_grad():
        whole = net(w)
        monkeypatch.setattr(nonlocal_attention, "_AT_ONCE", 100)
        torch.testing.assert_close(net(w), whole)


@pytest.mark.parametrize(
    ("name", "value"),
    [("scale", 1), ("ms_bands", 0), ("hs_bands", 0), ("stages", 2), ("corrections", 0), ("initialisation", "zeros")],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"{name}={value!r} "):
        tiny(**{name: value})


# --- Loss ---------------------------------------------------------------------------------------------------------


def test_terms_of_the_loss() -> None:
    net = tiny().eval()
    batch = {
        "lr_msi": torch.rand(2, 2, 3, 4),
        "hr_msi": torch.rand(2, 2, 6, 8),
        "lr_hsi": torch.rand(2, 5, 3, 4),
        "hr_hsi": torch.rand(2, 5, 6, 8),
    }
    output, terms = net.training_loss(batch, 0.3)
    assert torch.equal(output, net(batch["lr_msi"]))
    _, estimates = net.forward_stages(batch["lr_msi"])
    means = [
        [(e - batch[name]).abs().mean().item() for e, name in zip(s[:3], ("hr_hsi", "hr_msi", "lr_hsi"), strict=True)]
        for s in estimates
    ]
    assert terms["hr_msi"].item() == pytest.approx(means[3][1])
    assert terms["lr_hsi"].item() == pytest.approx(means[3][2])
    assert terms["stages"].item() == pytest.approx(sum(map(sum, means[:3])))
    assert set(terms) == {"hr_msi", "lr_hsi", "stages"}


# --- How it starts ------------------------------------------------------------------------------------------------


def smooth_image(bands: int, size: int) -> Tensor:
    y, x = torch.meshgrid(*2 * (torch.linspace(0, 1, size),), indexing="ij")
    return torch.stack([0.5 + 0.3 * torch.sin((3 + b) * y + (5 - b) * x + b) for b in range(bands)])[None]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_estimates_start_near_the_grey_image(scale: int) -> None:
    hr = smooth_image(3, 48)
    grey = hr.mean(1, keepdim=True).expand(-1, 8, -1, -1)
    errors = {}
    for kind in ("operators", "published"):
        errors[kind] = []
        for seed in range(4):
            torch.manual_seed(seed)
            net = US3RN(scale, 3, 8, initialisation=kind).eval()
            with torch.no_grad():
                output, estimates = net.forward_stages(F.avg_pool2d(hr, scale))
            errors[kind].append([float((x - grey).abs().mean()) for x in (output, *(e.x for e in estimates))])
    ours, published = (torch.tensor(errors[kind]) for kind in ("operators", "published"))
    assert ours.max() < 0.35
    assert ours.mean() < 0.2
    assert published.mean() > 1.5 * ours.mean()


def test_prepared_from_scenes_spectra_start_at_the_linear_fit() -> None:
    torch.manual_seed(5)
    mixing = torch.rand(8, 3)
    response = torch.tensor([[3.0, 3, 1, 0, 0, 0, 0, 0], [0, 0, 2, 3, 2, 0, 0, 0], [0, 0, 0, 0, 0, 2, 3, 2]]) / 7
    spectra = torch.einsum("Cm,bmhw->bChw", mixing, torch.rand(2, 3, 12, 12))
    samples = [{"lr_hsi": s[None], "lr_msi": torch.einsum("cC,bChw->bchw", response, s[None])} for s in spectra]
    net, untouched = US3RN(2, 3, 8), US3RN(2, 3, 8, initialisation="published")
    before = untouched.middle.inc_weight.clone()
    net.prepare_from(iter(samples), 0)
    untouched.prepare_from(iter(samples), 0)
    assert torch.equal(untouched.middle.inc_weight, before)
    for block in (net.opening, net.middle, net.closing):
        for sample in samples:  # spectra of three dimensions are known from three bands, but for the ridge
            torch.testing.assert_close(block.inc(sample["lr_msi"]), sample["lr_hsi"], rtol=0, atol=0.02)
            torch.testing.assert_close(block.dec(sample["lr_hsi"]), sample["lr_msi"], rtol=0, atol=0.02)
    flat = [{name: torch.full_like(image, 0.5) for name, image in samples[0].items()}]
    net.prepare_from(flat)  # a scene of one colour leaves much open
    assert torch.isfinite(net.middle.inc_weight).all()
    net.eval()
    net.prepare_from(samples)
    smooth = F.avg_pool2d(samples[0]["lr_msi"], 5, 1, 2)
    with torch.no_grad():
        output, _ = net.forward_stages(smooth)
        target = F.interpolate(F.conv2d(smooth, net.middle.inc_weight), scale_factor=2, mode="bilinear")
    assert (output - target)[..., 2:-2, 2:-2].abs().mean() < 0.3 * target.mean()


def test_published_start() -> None:
    torch.manual_seed(0)
    nets = [tiny(initialisation="published") for _ in range(60)]
    norms = [m.weight for m in nets[0].modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 3
    assert all((weight == 0).all() for weight in norms)
    alphas = torch.cat([b.alpha.detach() for net in nets for b in (net.opening, net.middle, net.closing)])
    betas = torch.cat([b.beta.detach() for net in nets for b in (net.opening, net.middle, net.closing)])
    spectral = torch.cat([net.middle.inc_weight.detach().flatten() for net in nets])
    assert 0 <= alphas.min() < 0.1 < 0.9 < alphas.max() <= 1
    assert betas.std() == pytest.approx(1, abs=0.2)
    assert spectral.std() == pytest.approx(1, abs=0.2)


# --- Precision ----------------------------------------------------------------------------------------------------


def test_mixed_precision_keeps_the_images() -> None:
    """Features of the priors may lose digits; what is added up may not."""
    net, w = tiny().eval(), torch.rand(1, 2, 6, 5)
    with torch.no_grad():
        single = net(w)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = net(w)
        assert mixed.dtype == torch.float32
        assert not torch.equal(mixed, single)
        assert (mixed - single).abs().mean() < 0.01 * single.abs().mean()
        for block in (m for m in net.modules() if isinstance(m, CorrectionBlock)):
            nn.init.zeros_(block.conv2.weight)
            nn.init.zeros_(block.conv2.bias)
        single = net(w)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(net(w), single)


# --- Weights of the public code -----------------------------------------------------------------------------------


def public(net: US3RN) -> dict[str, Tensor]:
    """Return the state dict with the names of the public code, written out the other way round."""

    def layer(prefix: str, module: nn.Module) -> dict[str, Tensor]:
        return {f"{prefix}.{key}": value.clone() for key, value in module.state_dict().items()}

    result = layer("res_x.0.upsample", net.skip_up) | layer("res_x.1", net.skip)
    result |= layer("convx.0", net.merge) | layer("convxx", net.final)
    for i, block in enumerate((net.opening, net.middle, net.closing), 1):
        name = f"body{i}"
        result |= {
            f"{name}.alpha_hidden": block.alpha.detach(),
            f"{name}.channels_inc": block.inc_weight.detach(),
            f"{name}.channels_dec": block.dec_weight.detach(),
        }
        for scalar in ("beta", "gamma", "eta"):
            if hasattr(block, scalar):
                result[f"{name}.{scalar}"] = getattr(block, scalar).detach()
        for j in range(1, 5):
            for kind in ("up", "down"):
                if hasattr(block, f"{kind}{j}"):
                    result |= layer(f"{name}.{kind}sample{j}.{kind}sample", getattr(block, f"{kind}{j}"))
        assert isinstance(block.inverse, NonLocalBlock)
        for theirs, ours in (("theta", "theta"), ("phi", "phi"), ("g", "g"), ("W.0", "w"), ("W.1", "norm")):
            result |= layer(f"{name}.nl.{theirs}", getattr(block.inverse, ours))
        for j, correction in enumerate(block.correct):
            result |= layer(f"{name}.correct.{j}.body.0", correction.conv1)
            result |= layer(f"{name}.correct.{j}.body.2", correction.conv2)
        result |= layer(f"{name}.conv1x1_1", block.mix)
    return result


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_public_weights_load_with_what_shapes_tell(scale: int) -> None:
    net = tiny(scale=scale, corrections=3).eval()
    weights = {f"module.{key}": value for key, value in public(net).items()}
    w = torch.rand(1, 2, 3, 4)
    assert torch.equal(from_reference("us3rn", weights)(w), net(w))
    checkpoint: dict[str, Any] = {"param": weights, "adam": {}, "lr": 1e-4, "epoch": 152}
    same = from_reference("us3rn", checkpoint, in_channels=2, out_channels=5, ratio=scale)
    assert torch.equal(same(w), net(w))


def test_public_weights_that_do_not_fit_are_refused() -> None:
    weights = public(tiny(corrections=3))
    with pytest.raises(InputError, match=r"ratio=3 .* not a power of two; such a network enlarges by 2"):
        from_reference("us3rn", weights, ratio=3)
    with pytest.raises(InputError, match=r"ratio=6 .* enlarges by 4"):
        from_reference("us3rn", weights, module="Upsample", channels=3, ratio=6)
    with pytest.raises(InputError, match="'ratio'"):
        from_reference("us3rn", weights, ration=2)
    with pytest.raises(InputError, match=r"has no 'body1\.channels_inc'"):
        from_reference("us3rn", {"a": torch.zeros(1)})
    with pytest.raises(InputError, match="up1"):
        from_reference("us3rn", weights, ratio=4)
    with pytest.raises(InputError, match=r"lacks US3RN's 'closing\.eta'"):
        from_reference("us3rn", {k: v for k, v in weights.items() if k != "body3.eta"})
    with pytest.raises(InputError, match="'MidSSSRBlock'"):
        from_reference("us3rn", weights, module="MiddSSSRBlock")
    with pytest.raises(InputError, match="'channels'"):
        from_reference("us3rn", weights, module="resblock")
