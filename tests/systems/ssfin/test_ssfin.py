from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.systems.reference import from_reference
from finewave.systems.registry import create_model
from finewave.systems.ssfin.network import SSFIN, SpatialAttention, auxiliary_weight

SMALL = {"features": 12, "blocks": 2, "reduction": 3}


@pytest.mark.parametrize(("ms_bands", "hs_bands", "parameters"), [(3, 31, 5_629_353), (4, 102, 5_712_584)])
def test_published_size(ms_bands: int, hs_bands: int, parameters: int) -> None:
    net = create_model("ssfin", ms_bands=ms_bands, hs_bands=hs_bands)
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_published_sizes_of_the_parts() -> None:
    net = create_model("ssfin")

    def size(*modules: torch.nn.Module) -> int:
        return sum(p.numel() for module in modules for p in module.parameters())

    assert size(net.spatial_head) == size(net.spectral_head) == 1_792
    assert [size(group) for group in net.spatial] == [406_298] * 3
    assert [size(group) for group in net.spectral] == [409_108] * 3
    assert [size(part) for part in net.interactions] == [332_160, 553_408, 848_384]
    assert size(net.hr_msi_up, net.hr_msi_tail) == 37_363
    assert size(net.lr_hsi_tail) == size(net.tail) == 17_887
    assert size(net.fusion_group) == 450_478
    assert size(net.fusion_join) == 147_520
    assert size(net.fusion_up, net.fusion_entry) == 774_464


def test_spatial_attention_against_the_formula() -> None:
    attention = SpatialAttention().double()
    x = torch.randn(2, 5, 4, 3, dtype=torch.float64)
    kernel = attention.conv.weight.detach()[0]
    with torch.no_grad():
        got = attention(x)
    padded = F.pad(torch.stack((x.max(1).values, x.mean(1)), 1), (1, 1, 1, 1))
    for i in range(4):
        for j in range(3):
            weight = torch.sigmoid((padded[:, :, i : i + 3, j : j + 3] * kernel).sum((1, 2, 3)))
            torch.testing.assert_close(got[:, :, i, j], x[:, :, i, j] * weight[:, None])


@pytest.mark.parametrize("scale", [2, 3, 4, 6])
def test_three_images_in_training_one_in_evaluation(scale: int) -> None:
    net = create_model("ssfin", scale=scale, ms_bands=4, hs_bands=6, **SMALL)
    lr_msi = torch.rand(2, 4, 5, 3)
    outputs = net(lr_msi)
    assert outputs.hr_hsi.shape == (2, 6, 5 * scale, 3 * scale)
    assert outputs.hr_msi.shape == (2, 4, 5 * scale, 3 * scale)
    assert outputs.lr_hsi.shape == (2, 6, 5, 3)
    torch.testing.assert_close(net.eval()(lr_msi), outputs.hr_hsi)


def test_the_fusion_body_is_one_group_applied_four_times() -> None:
    net = create_model("ssfin", **SMALL).eval()
    seen = []
    net.fusion_group.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    with torch.no_grad():
        net(torch.rand(1, 3, 4, 4))
    assert len(seen) == 4
    for before, after in pairwise(seen):
        assert torch.equal(before[1], after[0])


@pytest.mark.parametrize(
    ("epoch", "weight"),
    [(1, 0.5), (10, 0.5), (50, 0.5 * math.cos(math.pi / 4)), (89, 0.0098), (90, 0.0), (100, 0.0)],
)
def test_auxiliary_weight(epoch: int, weight: float) -> None:
    assert auxiliary_weight(epoch) == pytest.approx(weight, abs=5e-5)


@pytest.mark.parametrize("done", [0.0, 0.5, 0.95])
def test_training_loss_is_the_published_one(done: float) -> None:
    net = create_model("ssfin", hs_bands=6, **SMALL)
    sizes = {"lr_msi": (3, 4), "hr_msi": (3, 8), "lr_hsi": (6, 4), "hr_hsi": (6, 8)}
    batch = {name: torch.rand(2, bands, side, side) for name, (bands, side) in sizes.items()}
    output, terms = net.training_loss(batch, done)
    outputs = net.forward_tasks(batch["lr_msi"])
    torch.testing.assert_close(output, outputs.hr_hsi)
    expected = sum((getattr(outputs, name) - batch[name]).abs().mean() for name in ("lr_hsi", "hr_msi"))
    torch.testing.assert_close(terms["auxiliary"], auxiliary_weight(1 + round(100 * done)) * expected)


def test_local_reach() -> None:
    """With the channel attentions held at 1, no pixel acts farther than `receptive_field`."""
    net = create_model("ssfin", features=4, blocks=1, reduction=1, hs_bands=3).eval().double()
    for module in net.modules():
        if hasattr(module, "excite"):
            torch.nn.init.zeros_(module.excite.weight)
    reach = net.receptive_field
    lr_msi = torch.rand(1, 3, 1, reach + 20, dtype=torch.float64)
    changed = lr_msi.clone()
    changed[..., 0] += 1
    with torch.no_grad():
        difference = (net(lr_msi) - net(changed)).abs().amax((0, 1, 2)) > 0
    assert difference[:2].all()
    assert not difference[2 * (reach + 1) :].any()


def public_weights(net: SSFIN) -> dict[str, Tensor]:
    """Weights under the public code's names, written out the other way round."""
    part_names = {
        "spatial_head": "pre_spatial_layers.0",
        "spectral_head": "pre_spectral_layers.0",
        "hr_msi_up.0": "post_spatial_layers.0",
        "hr_msi_tail": "post_spatial_layers.2",
        "lr_hsi_tail": "post_spectral_layers.0",
        "fusion_up.0": "pre_fusion_layers.0",
        "fusion_entry": "pre_fusion_layers.3",
        "fusion_join": "conv1",
        "tail": "fusion_block.0",
        "fuse1": "fusion_layers.0",
        "fuse2": "fusion_layers.2",
        "fuse3": "fusion_layers.4",
        "to_spatial": "spatial_broadcast.0",
        "to_spectral": "spectral_broadcast.0",
    }
    inner = {
        "conv1": "body.0",
        "conv2": "body.2",
        "join": "conv1x1",
        "attention.conv": "sa.spatial.conv",
        "attention.squeeze": "ca.conv_du.0",
        "attention.excite": "ca.conv_du.2",
        "spatial_attention.conv": "SA.spatial.conv",
        "channel_attention.squeeze": "CA.conv_du.0",
        "channel_attention.excite": "CA.conv_du.2",
    }
    result = {}
    for key, value in net.state_dict().items():
        name, _, kind = key.rpartition(".")
        first, _, rest = name.partition(".")
        if name in part_names:
            public = part_names[name]
        elif first == "interactions":
            public = f"fusion{int(rest[0]) + 1}.{part_names[rest[2:]]}"
        elif first == "fusion_group":
            block = rest.split(".", 2)
            public = "fusion_net.0." + ("conv" if rest == "conv" else f"body.{block[1]}.{inner[block[2]]}")
        else:
            stream = {"spatial": "spa{}.spatial_layers.", "spectral": "spe{}.spectral_layers."}[first]
            block = rest[2:].split(".", 2)
            tail = "conv0" if rest[2:] == "conv" else f"body{int(block[1]) + 1}.{inner[block[2]]}"
            public = stream.format(int(rest[0]) + 1) + tail
        result[f"{public}.{kind}"] = value
    return result


def test_public_weights() -> None:
    net = create_model("ssfin", ms_bands=4, hs_bands=5, features=16).eval()
    twin = from_reference("ssfin", {f"module.{key}": value for key, value in public_weights(net).items()})
    assert (twin.ms_bands, twin.hs_bands, twin.config["features"]) == (4, 5, 16)
    lr_msi = torch.rand(1, 4, 6, 5)
    with torch.no_grad():
        for ours, theirs in zip(net.forward_tasks(lr_msi), twin.forward_tasks(lr_msi), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("change", "config", "message"),
    [
        (lambda w: w.pop("conv1.bias"), {}, "lacks SSFIN's 'fusion_join.bias'"),
        (lambda w: w.update({"conv9.weight": torch.ones(1)}), {}, "'conv9.weight' of the state dict does not fit"),
        (lambda w: w.clear(), {}, "the state dict is not a ssfin's"),
        (lambda w: None, {"scale": 4}, "scale 2 alone"),
        (lambda w: None, {"feature": 4}, "did you mean 'features'"),
        (lambda w: None, {"module": "RSABB"}, "did you mean 'RSAB'"),
        (lambda w: None, {"module": "DAB"}, "needs the hyper-parameter 'features'"),
    ],
)
def test_what_does_not_fit_is_named(change, config: dict, message: str) -> None:
    weights = public_weights(create_model("ssfin", features=16))
    change(weights)
    with pytest.raises(InputError, match=message):
        from_reference("ssfin", weights, **config)


@pytest.mark.parametrize("options", [{"features": 18}, {"features": 0}, {"blocks": 0}, {"reduction": 65}])
def test_values_out_of_range(options: dict) -> None:
    with pytest.raises(InputError, match="{}={}".format(*next(iter(options.items())))):
        create_model("ssfin", **options)
