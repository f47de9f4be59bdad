from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.systems.mulsr import network as mulsr
from finewave.systems.mulsr.network import RDE, CrossFusion, MulSR, Scan, _sources
from finewave.systems.reference import from_reference
from finewave.systems.registry import create_model
from finewave.zoo.model import Model

SMALL = {"features": 8, "modules": 1}


def small(**options) -> MulSR:
    torch.manual_seed(0)
    net = create_model("mulsr", **{**SMALL, "hs_bands": 5, **options})
    assert isinstance(net, MulSR)
    return net


def size(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize(("modules", "parameters"), list(enumerate([1_446_218, 2_509_328, 3_572_438, 4_635_548], 1)))
def test_published_sizes(modules: int, parameters: int) -> None:
    """1446K, 2509K, 3572K and 4636K in the published ablation."""
    assert size(create_model("mulsr", modules=modules, both_scales=False)) == parameters


@pytest.mark.parametrize(
    ("without", "published", "more"),
    [("dsca", 2452, 0), ("lfcc", 2381, 0), ("half-scale", 1187, 0), (None, 2509, 0), ("mii", 2427, 36_928)],
)
def test_published_sizes_of_the_ablations(without: str | None, published: int, more: int) -> None:
    """In thousands; without MII the published network has one strided convolution more than what is left here."""
    net = create_model("mulsr", both_scales=False, without=without)
    assert round((size(net) + more) / 1000) == published


@pytest.mark.parametrize("without", ["dsca", "lfcc", "half-scale", "mii"])
@pytest.mark.parametrize("both_scales", [True, False])
def test_ablated_networks_learn_with_all_that_is_left(without: str, both_scales: bool) -> None:
    net = small(without=without, both_scales=both_scales).train()
    one = without == "half-scale" or not both_scales
    assert net.scales == ((4,) if one else (4, 2))
    outputs = net(torch.rand(1, 5, 3, 5), torch.rand(1, 3, 12, 20))
    assert isinstance(outputs, Tensor) == one
    outputs = (outputs,) if one else outputs
    assert [tuple(x.shape) for x in outputs] == [(1, 5, 12, 20), (1, 5, 6, 10)][: len(outputs)]
    sum((x * torch.randn_like(x)).sum() for x in outputs).backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(
    ("without", "closed"),
    [
        ("mii", ["interaction.up.conv", "interaction.reduce"]),
        ("lfcc", ["feedback.up.conv"]),
        ("half-scale", ["interaction.up.conv", "feedback.up.conv"]),
        ("dsca", ["interaction.context.0.conv", "interaction.context.1.conv"]),
    ],
)
def test_what_is_left_out_does_nothing_else(without: str, closed: list[str]) -> None:
    """With the same weights, the whole network is the ablated one when the part that lacks there gives only zeros."""
    whole, part = small().eval(), small(without=without).eval()
    part.load_state_dict({key: whole.state_dict()[key] for key in part.state_dict()})
    lr_hsi, hr_msi = torch.rand(1, 5, 3, 5), torch.rand(1, 3, 12, 20)
    with torch.no_grad():
        assert not torch.allclose(whole(lr_hsi, hr_msi), part(lr_hsi, hr_msi), rtol=0, atol=1e-5)
        for name in closed:
            for parameter in whole.get_submodule(name).parameters():
                parameter.zero_()
        if without == "mii":  # what the scan makes of zeros is its bias
            whole.get_submodule("interaction.context").forward = lambda x: x
        for module in whole.modules():  # a direction of length zero is not defined
            if hasattr(module, "parametrizations") and not any(p.any() for p in module.parameters()):
                module.forward = lambda x, m=module: x.new_zeros(*x.shape[:1], m.out_channels, *x.shape[2:])
        torch.testing.assert_close(whole(lr_hsi, hr_msi), part(lr_hsi, hr_msi))


def test_the_joint_loss_of_a_single_scale_has_its_term() -> None:
    """The recipe weighs both; of a part that is not there nothing is asked."""
    batch = {"lr_hsi": torch.rand(1, 5, 3, 5), "hr_msi": torch.rand(1, 3, 12, 20), "hr_hsi": torch.rand(1, 5, 12, 20)}
    _, terms = small(without="half-scale").train().training_loss(batch, 0.5)
    assert list(terms) == ["l1", "half_scale"]
    assert terms["l1"] > 0 == terms["half_scale"]


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'mii'"):
        small(without="miii")


def test_sizes_of_the_blocks() -> None:
    net = create_model("mulsr")
    assert size(RDE(64)) == 531_555
    assert size(CrossFusion(64)) == 235_619
    assert size(net.full_unit) == 73_984
    assert size(net.interaction.context) == 57_474 == 2 * size(Scan(64, vertical=True))
    assert size(net.full_encoder.rgb_head) == 1_856
    assert size(net.interaction.up) == size(net.feedback.up) == 16_896
    assert size(net.interaction.down) == 36_928
    assert size(net.feedback.down) == 36_992
    assert size(net.interaction.reduce) == size(net.full_encoder.reduce) == 8_320
    assert size(net.full_end) == size(net.half_end) == 37_570


@pytest.mark.parametrize("vertical", [True, False])
def test_scan_against_plain_loops(vertical: bool) -> None:
    scan = Scan(3, vertical).double()
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    expected = x.clone() if vertical else x.transpose(2, 3).clone()
    kernel = scan.conv.weight.detach().reshape(3, 3, 7)

    def passed_on(line: Tensor) -> Tensor:
        padded = F.pad(line, (3, 3))
        columns = [torch.einsum("ock,bck->bo", kernel, padded[..., j : j + 7]) for j in range(line.shape[2])]
        y = torch.stack(columns, 2) + scan.conv.bias.detach()[:, None]
        return torch.where(y > 0, y, 0.25 * y)

    for i in range(1, expected.shape[2]):
        expected[:, :, i] += passed_on(expected[:, :, i - 1])
    for i in reversed(range(expected.shape[2] - 1)):
        expected[:, :, i] += passed_on(expected[:, :, i + 1])
    with torch.no_grad():
        torch.testing.assert_close(scan(x), expected if vertical else expected.transpose(2, 3))


def test_cross_fusion_is_a_three_dimensional_convolution() -> None:
    block = CrossFusion(16).double()
    nn.init.normal_(block.factors)
    h, r = (torch.randn(2, 16, 5, 4, dtype=torch.float64) for _ in range(2))
    with torch.no_grad():
        d, q = block.difference(h - r), block.common(torch.cat((h, r), 1))
        slices = (q[:, :12], torch.cat((q[:, 12:], d[:, :6]), 1), d[:, 6:])
        stack = torch.stack([f * x for f, x in zip(block.factors, slices, strict=True)], 2)  # (B, F, depth, H, W)
        within = F.conv3d(stack, block.within.weight[:, :, None], block.within.bias, padding=(0, 1, 1))
        across = F.conv3d(within, block.across.weight[..., None], block.across.bias, padding=(1, 0, 0)) + stack
        expected = block.join(torch.cat(across.unbind(2), 1))
        torch.testing.assert_close(block(h, r), expected)


@pytest.mark.parametrize(
    ("bands", "sources"),
    [
        (1, [(0, 0, 0)]),
        (2, [(1, 1, 0), (0, 0, 1)]),
        (3, [(1, 2, 0), (0, 2, 1), (1, 0, 2)]),
        (5, [(1, 2, 0), (0, 2, 1), (1, 3, 2), (2, 4, 3), (3, 2, 4)]),
    ],
)
def test_neighbours(bands: int, sources: list[tuple[int, int, int]]) -> None:
    assert [_sources(i, bands) for i in range(bands)] == sources


def test_bands_go_through_one_by_one_with_the_same_weights(monkeypatch) -> None:
    net = small().eval()
    lr_hsi, hr_msi = torch.rand(2, 5, 3, 4), torch.rand(2, 3, 12, 16)
    with torch.no_grad():
        together = net(lr_hsi, hr_msi)
        single = [net.forward_bands(lr_hsi[:, list(_sources(i, 5))], hr_msi).full for i in range(5)]
        torch.testing.assert_close(together, torch.cat(single, 1), rtol=1e-4, atol=1e-5)
        monkeypatch.setattr(mulsr, "PIXELS_AT_ONCE", 2 * 12 * 16 * 2)
        calls = []
        net.full_end.register_forward_hook(lambda _, inputs, output: calls.append(len(output)))
        torch.testing.assert_close(net(lr_hsi, hr_msi), together, rtol=1e-4, atol=1e-5)
        assert calls == [4, 4, 2]  # two bands of two images, then the last


@pytest.mark.parametrize("scale", [2, 4, 6, 8])
def test_half_scale_architecture_sees_the_images_at_half_the_scale(scale: int) -> None:
    net = small(scale=scale).eval()
    seen: list[Tensor] = []
    net.half_encoder.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs))
    hsi3, rgb = torch.rand(1, 3, 3, 4), torch.rand(1, 3, 3 * scale, 4 * scale)
    with torch.no_grad():
        net.forward_bands(hsi3, rgb)
    assert torch.equal(seen[0], F.interpolate(hsi3, scale_factor=scale // 2, mode="nearest"))
    assert torch.equal(seen[1], F.interpolate(rgb, scale_factor=0.5, mode="nearest"))


def test_one_network_serves_both_scales() -> None:
    net = small(scale=8).eval()
    assert net.scales == (8, 4)
    lr_hsi = torch.rand(1, 5, 3, 2)
    with torch.no_grad():
        full, half = net(lr_hsi, torch.rand(1, 3, 24, 16)), net(lr_hsi, torch.rand(1, 3, 12, 8))
    assert (full.shape, half.shape) == ((1, 5, 24, 16), (1, 5, 12, 8))
    twin = net.at_half_scale()
    assert (twin.scale, twin.scales) == (4, (4, 8))
    assert all(ours is its for ours, its in zip(net.parameters(), twin.parameters(), strict=True))
    hr_msi = torch.rand(1, 3, 12, 8)
    with torch.no_grad():
        torch.testing.assert_close(Model(twin).predict(lr_hsi=lr_hsi, hr_msi=hr_msi), net(lr_hsi, hr_msi))


def test_half_scale_result_of_training_and_use_agree_where_the_rgb_image_is_smooth() -> None:
    """From a constant HR-RGB image both ways to the half scale see the same."""
    net = small()
    lr_hsi, rgb = torch.rand(1, 5, 4, 4), torch.full((1, 3, 16, 16), 0.4)
    with torch.no_grad():
        trained = net.train()(lr_hsi, rgb).half_scale
        torch.testing.assert_close(net.eval()(lr_hsi, rgb[..., :8, :8]), trained, rtol=1e-4, atol=1e-5)


def test_a_model_takes_either_size_of_the_rgb_image() -> None:
    model = Model(small(scale=4))
    lr_hsi = torch.rand(1, 5, 3, 2)
    assert model.predict(lr_hsi=lr_hsi, hr_msi=torch.rand(1, 3, 12, 8)).shape == (1, 5, 12, 8)
    assert model.predict(lr_hsi=lr_hsi, hr_msi=torch.rand(1, 3, 6, 4)).shape == (1, 5, 6, 4)
    with pytest.raises(InputError, match="3 x 2 and scale 4 or 2, 12 x 8 or 6 x 4 are expected"):
        model.predict(lr_hsi=lr_hsi, hr_msi=torch.rand(1, 3, 9, 6))


@pytest.mark.parametrize("options", [{"scale": 3}, {"scale": 2}, {"scale": 4, "both_scales": False}])
def test_networks_that_serve_one_scale(options: dict) -> None:
    net = small(**options).eval()
    assert net.scales == (options["scale"],)
    with pytest.raises(InputError, match="supports that scale only"):
        net.at_half_scale()
    with pytest.raises(InputError, match="hr_msi has 1 times the rows"):
        net(torch.rand(1, 5, 4, 4), torch.rand(1, 3, 4, 4))


def test_joint_loss_of_some_bands() -> None:
    net = small(bands_per_step=2)
    batch = {
        "lr_hsi": torch.rand(2, 5, 3, 4),
        "hr_msi": torch.rand(2, 3, 12, 16),
        "hr_hsi": torch.rand(2, 5, 12, 16),
    }
    output, terms = net.training_loss(batch, 0.25)
    assert output is None
    images = net(batch["lr_hsi"], batch["hr_msi"])
    errors = {
        "l1": (images.hr_hsi - batch["hr_hsi"]).abs().mean((0, 2, 3)),
        "half_scale": (images.half_scale - batch["hr_hsi"][..., ::2, ::2]).abs().mean((0, 2, 3)),
    }
    pairs = [(i, j) for i in range(5) for j in range(i)]
    fitting = [
        pair
        for pair in pairs
        if all(torch.isclose(terms[name], errors[name][list(pair)].mean(), rtol=1e-4) for name in errors)
    ]
    assert len(fitting) == 1
    again = net.training_loss(batch, 0.25)[1]
    torch.testing.assert_close(again["l1"], terms["l1"])
    others = {round(net.training_loss(batch, done)[1]["l1"].item(), 6) for done in torch.linspace(0, 1, 12).tolist()}
    assert len(others) > 3
    net.bands_per_step = None
    torch.testing.assert_close(net.training_loss(batch, 0.5)[1]["l1"], errors["l1"].mean())


def test_loss_without_the_half_scale_end() -> None:
    net = small(both_scales=False)
    images = {"lr_hsi": torch.rand(1, 5, 3, 3), "hr_msi": torch.rand(1, 3, 12, 12), "hr_hsi": torch.rand(1, 5, 12, 12)}
    assert set(net.training_loss(images, 0.0)[1]) == {"l1"}


def public_weights(net: MulSR) -> dict[str, Tensor]:
    """Weights under the public code's names, written out the other way round."""
    parts = {
        "half_encoder.hsi_head": "hsi_head",
        "half_encoder.rgb_head": "rgb_head",
        "half_encoder.reduce": "reduce",
        "full_encoder.hsi_head": "hsi_head_x2",
        "full_encoder.rgb_head": "rgb_head_x2",
        "full_encoder.reduce": "reduce_x2",
        "interaction.down": "down",
        "interaction.reduce": "cross_reduce",
        "interaction.up.conv": "up.0",
        "feedback.down": "optimize_down",
        "feedback.up.conv": "optimize_up.0",
        "half_unit.conv1": "uint.m.0",
        "half_unit.conv2": "uint.m.2",
        "full_unit.conv1": "uint_x2.m.0",
        "full_unit.conv2": "uint_x2.m.2",
        "full_end.0": "end_x2.0",
        "full_end.1": "end_x2.1",
    }
    for i in range(2):
        parts[f"interaction.context.{i}.conv"] = f"DULR.{i}.conv.0"
    inner = {
        "difference": "conv_diff",
        "common": "reduce_D",
        "within": "conv3D.0",
        "across": "conv3D.1",
        "join": "conv",
    }
    inner = {f"cross_fusion.{ours}": f"crossFusion.{theirs}" for ours, theirs in inner.items()}
    for unit in ("hsi_first", "rgb_first", "hsi_end", "rgb_end"):
        inner |= {f"{unit}.conv1": f"{unit}.m.0", f"{unit}.conv2": f"{unit}.m.2"}
    for ours, theirs in (("half_encoder", "inter_body"), ("full_encoder", "inter_body_x2")):
        for i in range(len(net.half_encoder.stages)):
            parts |= {f"{ours}.stages.{i}.{mine}": f"{theirs}.{i}.{its}" for mine, its in inner.items()}
    kinds = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    result = {}
    for key, value in net.state_dict().items():
        if key.endswith(".slope"):
            result[f"DULR.{key[20]}.conv.1.weight"] = value
        elif key.endswith(".factors"):
            branch, _, i, _, _ = key.split(".")
            result[f"{'inter_body' if branch.startswith('half') else 'inter_body_x2'}.{i}.crossFusion.gamma"] = value
        else:
            name = next(n for n in parts if key.startswith(f"{n}."))
            kind = key.removeprefix(f"{name}.")
            if name.endswith(("within", "across")) and kind != "bias":
                value = value.unsqueeze(2 if name.endswith("within") else 4)  # three-dimensional there
            result[f"{parts[name]}.{kinds.get(kind, kind)}"] = value
    return result


def test_public_weights() -> None:
    net = small(both_scales=False, modules=2, ms_bands=4).eval()
    for p in net.parameters():
        nn.init.normal_(p, std=0.3)
    weights = {f"module.{key}": value for key, value in public_weights(net).items()}
    twin = from_reference("mulsr", weights, scale=4, hs_bands=5)
    assert (twin.ms_bands, twin.config["features"], twin.config["modules"]) == (4, 8, 2)
    inputs = torch.rand(1, 5, 3, 3), torch.rand(1, 4, 12, 12)
    with torch.no_grad():
        assert torch.equal(net(*inputs), twin(*inputs))


@pytest.mark.parametrize(
    ("change", "config", "message"),
    [
        (lambda w: w.pop("down.bias"), {}, "lacks MulSR's 'interaction.down.bias'"),
        (lambda w: w.update({"up.7.bias": torch.ones(1)}), {}, "'up.7.bias' of the state dict does not fit"),
        (lambda w: w.clear(), {}, "the state dict is not a mulsr's"),
        (lambda w: None, {"modulus": 2}, "did you mean 'modules'"),
        (lambda w: None, {"module": "Units"}, "did you mean 'Unit'"),
        (lambda w: None, {"module": "RDE"}, "needs the hyper-parameter 'features'"),
    ],
)
def test_what_does_not_fit_is_named(change, config: dict, message: str) -> None:
    weights = public_weights(small(both_scales=False))
    change(weights)
    with pytest.raises(InputError, match=message):
        from_reference("mulsr", weights, **config)


@pytest.mark.parametrize("options", [{"features": 12}, {"features": 0}, {"modules": 0}, {"bands_per_step": 0}])
def test_values_out_of_range(options: dict) -> None:
    with pytest.raises(InputError, match="{}={}".format(*next(iter(options.items())))):
        create_model("mulsr", **options)
