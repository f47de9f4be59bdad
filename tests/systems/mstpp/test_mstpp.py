"""MST++: its size against the published configurations, its equations written out plainly, what bounds its memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.systems.mstpp.network import FFN, SAB, SST, MSTPlusPlus, SpectralMSA
from finewave.systems.reference import from_reference
from finewave.systems.registry import create_model
from finewave.zoo.card import Card
from finewave.zoo.model import Model, load_model
from tests.plain.attention import spectral_attention, written_out
from tests.systems.largest import largest_tensor
from tests.systems.public_weights import Case, check_checkpoints, read_case, weights_of


def tiny(**options: Any) -> MSTPlusPlus:
    """Return a very small network with all of its parts."""
    return MSTPlusPlus(**{"ms_bands": 2, "hs_bands": 5, "stages": 2, **options})


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


# --- Size ---------------------------------------------------------------------------------------------------------


# counted in instances of the public code
@pytest.mark.parametrize(("stages", "size"), [(1, 546_199), (2, 1_082_912), (3, 1_619_625), (4, 2_156_338)])
def test_parameters_of_the_published_configurations(stages: int, size: int) -> None:
    assert count(MSTPlusPlus(stages=stages)) == size


def test_three_stages_are_the_default() -> None:
    assert count(MSTPlusPlus()) == 1_619_625


def test_initial_values() -> None:
    torch.manual_seed(0)
    net = MSTPlusPlus()
    linear = torch.cat([m.weight.flatten() for m in net.modules() if isinstance(m, nn.Linear)]).detach()
    assert float(linear.std()) == pytest.approx(0.02, rel=0.02)
    assert abs(float(linear.mean())) < 1e-3
    for module in net.modules():
        if isinstance(module, SpectralMSA):
            assert (module.sigma == 1).all()
            assert not module.proj.bias.any()
        if isinstance(module, nn.LayerNorm):
            assert (module.weight == 1).all()
            assert not module.bias.any()


# --- Equations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "heads"), [(5, 1), (6, 2), (12, 4)])
@pytest.mark.parametrize("size", [(1, 1), (4, 7)])
def test_attention_is_the_plain_formulation(channels: int, heads: int, size: tuple[int, int]) -> None:
    block = SpectralMSA(channels, heads).double()
    nn.init.uniform_(block.sigma, 1, 5)
    x = torch.randn(2, *size, channels, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(block(x), spectral_attention(block, x))
    weights = torch.randn_like(x)
    tensors = [x, *block.parameters()]
    ours = torch.autograd.grad((block(x) * weights).sum(), tensors)
    plain = torch.autograd.grad((spectral_attention(block, x) * weights).sum(), tensors)
    for gradient, expected in zip(ours, plain, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-9)


def test_the_network_with_plain_attention_is_the_same() -> None:
    net, x = tiny().eval(), torch.rand(1, 2, 16, 9)
    with torch.no_grad():
        torch.testing.assert_close(net(x), written_out(net)(x))


def test_attention_stays_within_heads() -> None:
    block = SpectralMSA(12, 4)
    weights = block.attention(torch.randn(2, 30, 12), torch.randn(2, 30, 12))
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 12))
    inside = torch.block_diag(*[torch.ones(3, 3)] * 4).bool()
    assert (weights[:, ~inside] == 0).all()
    assert (weights[:, inside] > 0).all()


def test_darkness_is_no_problem() -> None:
    net = tiny()
    output = net(torch.zeros(1, 2, 8, 8))
    output.sum().backward()
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_block_normalises_before_the_feed_forward_only() -> None:
    block = SAB(6, 2)
    nn.init.normal_(block.norm.weight)
    x = torch.randn(2, 6, 4, 5)
    y = x + block.attention(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    normal = F.layer_norm(y.permute(0, 2, 3, 1), (6,), block.norm.weight, block.norm.bias)
    expected = y + block.feed_forward(normal).permute(0, 3, 1, 2)
    torch.testing.assert_close(block(x), expected)


def test_feed_forward() -> None:
    block = FFN(3)
    x = torch.randn(1, 4, 5, 3)
    inner = F.gelu(x @ block.expand.weight[:, :, 0, 0].T).permute(0, 3, 1, 2)
    inner = F.gelu(F.conv2d(inner, block.depthwise.weight, padding=1, groups=12))
    torch.testing.assert_close(block(x), inner.permute(0, 2, 3, 1) @ block.reduce.weight[:, :, 0, 0].T)


def test_feed_forward_in_parts_is_the_same() -> None:
    """In evaluation, some inner channels at a time; where gradients are wanted, all at once."""
    torch.manual_seed(1)
    block = FFN(5, expansion=3)  # 15 inner channels: parts of 4, 4, 4 and 3
    x = torch.randn(2, 6, 7, 5)
    with torch.no_grad():
        in_parts = block(x)
    torch.testing.assert_close(in_parts, block(x).detach())


def test_memory_is_linear() -> None:
    net = tiny()
    for side in (16, 64):
        x = torch.rand(1, 2, side, side)
        # the widest map is that of the feed-forward, 4 C channels; the attention's is 4 C squared
        assert largest_tensor(lambda x=x: net(x).sum().backward()) <= max(20 * side**2, 400)


def test_sizes_are_padded_by_reflection_and_cropped() -> None:
    net = tiny().eval()
    x = torch.rand(1, 2, 13, 10)
    with torch.no_grad():
        whole = net(F.pad(x, (0, 6, 0, 3), mode="reflect"))
        torch.testing.assert_close(net(x), whole[:, :, :13, :10])


def test_width_follows_the_output_bands() -> None:
    net = MSTPlusPlus(4, 10, stages=1)
    stage = net.stages[0]
    assert isinstance(stage, SST)
    assert [decoder.up.out_channels for decoder in stage.decoders] == [20, 10]
    assert [block.width for block in net.modules() if isinstance(block, SpectralMSA)] == [10] * 5


def test_more_levels_than_published() -> None:
    net = tiny(blocks=(1, 1, 1, 1, 2), stages=1).eval()
    assert net.multiple == 16
    with torch.no_grad():
        assert net(torch.rand(1, 2, 3, 17)).shape == (1, 5, 3, 17)


def test_levels_survive_a_card(tmp_path: Path) -> None:
    model = Model(create_model("mst++", ms_bands=2, hs_bands=4, stages=1, blocks=(1, 2)))
    loaded = load_model(model.save(tmp_path / "weights"))
    x = torch.rand(1, 2, 5, 6)
    torch.testing.assert_close(loaded.predict(hr_msi=x), model.predict(hr_msi=x))
    assert isinstance(loaded.card, Card)


def test_mixed_precision_gives_full_precision_out() -> None:
    net = tiny().eval()
    x = torch.rand(1, 2, 12, 10)
    with torch.no_grad():
        single = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = net(x)
    assert mixed.dtype == torch.float32
    assert (mixed - single).abs().mean() < 0.02 * single.abs().mean()


@pytest.mark.parametrize("wrong", [{"stages": 0}, {"blocks": ()}, {"blocks": 2}, {"blocks": (1, 0)}, {"blocks": "111"}])
def test_options_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        tiny(**wrong)


# --- Weights of the public code -----------------------------------------------------------------------------------


PUBLIC = {
    "stages.": "body.",
    r"encoders\.(\d+)\.attention": r"encoder_layers.\1.0",
    r"encoders\.(\d+)\.down": r"encoder_layers.\1.1",
    r"decoders\.(\d+)\.up": r"decoder_layers.\1.0",
    r"decoders\.(\d+)\.fuse": r"decoder_layers.\1.1",
    r"decoders\.(\d+)\.attention": r"decoder_layers.\1.2",
    r"\.(\d+)\.attention\.": r".blocks.\1.0.",
    r"\.(\d+)\.norm\.": r".blocks.\1.1.norm.",
    r"\.(\d+)\.feed_forward\.": r".blocks.\1.1.fn.",
    "expand": "net.0",
    "depthwise": "net.2",
    "reduce": "net.4",
    "query": "to_q",
    "key": "to_k",
    "value": "to_v",
    "sigma": "rescale",
    "position": "pos_emb",
}


def public(net: MSTPlusPlus) -> dict[str, Tensor]:
    """Return the state dict with the names of the public code, written out the other way round."""
    result = {}
    for name, tensor in net.state_dict().items():
        for ours, theirs in PUBLIC.items():
            name = re.sub(ours, theirs, name)
        result[name] = tensor
    return result


def test_public_weights_load_with_what_shapes_tell() -> None:
    net = tiny(ms_bands=5).eval()
    x = torch.rand(1, 5, 8, 6)
    assert torch.equal(from_reference("mst++", public(net))(x), net(x))


@pytest.fixture(scope="module", params=["full_3to31_stage1_pad", "full_4to12_stage3"])
def case(shared_cases: Path, request: pytest.FixtureRequest) -> Case:
    """Return configuration and tensors of a whole network."""
    return read_case(shared_cases / "mstpp" / f"{request.param}.safetensors")


@pytest.mark.parity
def test_checkpoint_without_configuration(case: Case) -> None:
    check_checkpoints("mst++", case[1])


@pytest.mark.parity
def test_what_does_not_fit_is_named(case: Case) -> None:
    config, tensors = case
    weights = weights_of(tensors)
    for wrong, named in (
        ({"stages": config["stages"] + 1}, f"stages.{config['stages']}"),
        ({"out_channels": 9}, "conv_in.weight"),
        ({"in_channels": 9}, "conv_in.weight"),
        ({"module": "MSABB"}, "MSAB"),
        ({"module": "MSAB"}, "dim"),
        ({"stagez": 3}, "stage"),
    ):
        with pytest.raises(InputError, match=named):
            from_reference("mst++", weights, **wrong)
    for key in list(weights)[::23]:
        with pytest.raises(InputError):
            from_reference("mst++", {k: v for k, v in weights.items() if k != key})
        with pytest.raises(InputError):
            from_reference("mst++", {**weights, key: torch.cat((weights[key], weights[key]))})


def test_nothing_at_all() -> None:
    with pytest.raises(InputError, match="not a MST"):
        from_reference("mst++", {})
