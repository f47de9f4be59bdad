"""Weights of the public code: names written out the other way round, what shapes tell, and what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from finewave.errors import InputError
from finewave.nn.sampling import BPUp, Down, Up
from finewave.systems.jssunet.clusters import ClusterMLP
from finewave.systems.jssunet.network import JSSUNet
from finewave.systems.reference import from_reference
from finewave.zoo.model import Model

Tensors = dict[str, Tensor]


def joined(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}.{key}": value for key, value in tensors.items()}


def layer(prefix: str, module: nn.Module) -> Tensors:
    return joined(prefix, dict(module.state_dict()))


def public_down(down: Down) -> Tensors:
    return {k: v for i, conv in enumerate(down) for k, v in layer(f"conv.{i}", conv).items()}


def public_up(up: Up) -> Tensors:
    return {k: v for i, conv in enumerate(up) for k, v in layer(f"up.{i}", conv).items()}


def public_bpup(bpup: BPUp) -> Tensors:
    result = joined("Up0", public_up(bpup.first))
    for i, (down, up) in enumerate(zip(bpup.down, bpup.up, strict=True)):
        result |= joined(f"Down.{i}", public_down(down)) | joined(f"Up.{i}", public_up(up))
    return result


def public_mlps(mlp: ClusterMLP) -> Tensors:
    """One module per cluster, with the activations counted between the layers."""
    result = {}
    for m in range(mlp.n_clusters):
        for i, (w, b) in enumerate(zip(mlp.weight, mlp.bias, strict=True)):
            result[f"mlps.{m}.{2 * i}.weight"], result[f"mlps.{m}.{2 * i}.bias"] = w[m].detach(), b[m].detach()
    return result


def public_residual_net(prox: nn.Module) -> Tensors:
    result = layer("ResNet.0.conv.0", prox.head)
    for i, block in enumerate(prox.blocks, 1):
        result |= layer(f"ResNet.{i}.cnn.0.conv.0", block.conv1) | layer(f"ResNet.{i}.cnn.1.conv.0", block.conv2)
        result |= layer(f"ResNet.{i}.cnn.2", block.conv3)
    return result | layer(f"ResNet.{len(prox.blocks) + 1}", prox.tail)


def public_prox_ssr(prox: nn.Module) -> Tensors:
    result = layer("pre", prox.head)
    for i, block in enumerate(prox.blocks):
        for name, part in (
            ("0", block.conv1),
            ("2", block.conv2),
            ("3.conv_du.0", block.attention.squeeze),
            ("3.conv_du.2", block.attention.excite),
        ):
            result |= layer(f"module.{i}.module.{name}", part)
    return result | layer(f"module.{len(prox.blocks)}", prox.tail)


def public_post(post: nn.Module) -> Tensors:
    result = {}
    for n, attention in enumerate((post.attention1, post.attention2), 1):
        for i, head in enumerate(attention.heads, 1):
            weight = head.embed.weight.detach()
            result[f"NL{n}.head{i}.emb_conv.weight"] = weight.flatten(1)[:, :, None, None]
            for name, conv in (("phi", head.phi), ("theta", head.theta), ("g", head.value)):
                result |= layer(f"NL{n}.head{i}.{name}", conv)
        result |= layer(f"NL{n}.mlp", attention.mlp)
    block = post.block
    parts = ("0.conv.0", block.conv1), ("1", block.norm1), ("2.conv.0", block.conv2), ("3", block.norm2)
    for name, part in (*parts, ("4", block.conv3)):
        result |= layer(f"residual.1.cnn.{name}", part)
    return result | layer("residual.0", post.head) | layer("residual.2", post.tail)


def public_network(net: JSSUNet) -> Tensors:
    """Return the network's tensors under the names and in the shapes of the public code."""
    result: Tensors = layer("SSR.clustering_cnn", net.ssr.clusters.net)
    result |= joined("SSR.spectral_inter", public_mlps(net.ssr.initial))
    for k, stage in enumerate(net.sr.stages):
        result |= joined(f"SR.Down.{k}", public_down(stage.down)) | joined(f"SR.Up.{k}", public_bpup(stage.up))
        result |= joined(f"SR.Prox.{k}", public_residual_net(stage.prox))
    for k, stage in enumerate(net.ssr.stages):
        result |= joined(f"SSR.Down.{k}", public_mlps(stage.spec_down))
        result |= joined(f"SSR.Up.{k}", public_mlps(stage.spec_up))
        result |= joined(f"SSR.Prox.{k}", public_prox_ssr(stage.prox))
    for name, lfe in (("ms", net.fusion.low_ms), ("hs", net.fusion.low_hs)):
        for i, conv in enumerate((lfe.conv1, lfe.conv2)):
            result |= layer(f"Fusion.get_lf_from_{name}.get_lf.{i}", conv)
    for name, hfi in (("get_hf_from_ms", net.fusion.high), ("init", net.fusion.initial)):
        for i, conv in enumerate((hfi.conv1, hfi.conv2, hfi.conv3)):
            result |= layer(f"Fusion.{name}.get_hf.{i}", conv)
    for k, stage in enumerate(net.fusion.stages):
        result[f"Fusion.alpha.{k}.weight"] = stage.step_size.detach().unsqueeze(-1)
        result |= joined(f"Fusion.Prox.{k}", public_residual_net(stage.prox))
    if net.post is not None:
        result |= joined("post", public_post(net.post))
    return result


SMALL: dict[str, Any] = {
    "scale": 4,
    "ms_bands": 2,
    "hs_bands": 5,
    "stages": 2,
    "features": 8,
    "n_clusters": 3,
    "patch": 3,
    "heads": 2,
    "embedding": 3,
    "sr_initial": "nearest",
    "initialisation": "framework",
}


def small(**options: Any) -> JSSUNet:
    """Return a small network that the public code could have made."""
    return JSSUNet(**{**SMALL, **options}).eval()


def assert_same(one: nn.Module, other: nn.Module) -> None:
    one_state, other_state = one.state_dict(), other.state_dict()
    assert one_state.keys() == other_state.keys()
    for key, value in one_state.items():
        assert torch.equal(value, other_state[key]), key


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 6, "stages": 1, "n_clusters": 12},  # two primes, clusters with two digits
        {"scale": 7, "ms_bands": 4, "hs_bands": 3, "stages": 11, "post": False},
        {"back_projections": 3},
        {"sr_blocks": 1, "ssr_blocks": 3, "fusion_blocks": 4, "reduction": 4},
        {"patch": 7, "heads": 3, "embedding": 8},
    ],
    ids=str,
)
def test_shapes_tell_the_configuration(options: dict[str, Any]) -> None:
    net = small(**options)
    loaded = from_reference("jssunet", public_network(net))
    assert_same(loaded, net)
    f = torch.rand(1, net.ms_bands, 3, 4)
    with torch.no_grad():
        assert torch.equal(loaded(f), net(f))
    assert not loaded.training


def test_what_shapes_do_not_tell() -> None:
    public = public_network(small())
    loaded = from_reference("jssunet", public)
    assert (loaded.post.shift, loaded.post.attention1.heads[0].k, loaded.sr.initial) == (5, 12, "nearest")
    loaded = from_reference("jssunet", public, window_size=7, k_percent=50, sr_init="bicubic")
    assert (loaded.post.shift, loaded.post.attention1.heads[0].k, loaded.sr.initial) == (3, 24, "bicubic")
    net = small(window=7, top_percent=50, sr_initial="bicubic")
    net.load_state_dict(loaded.state_dict())
    f = torch.rand(1, 2, 3, 4)
    with torch.no_grad():
        assert torch.equal(loaded(f), net(f))


def test_prefix_and_batch_counters_do_not_matter() -> None:
    net = small()
    public = public_network(net)
    without_counters = {key: value for key, value in public.items() if not key.endswith("num_batches_tracked")}
    assert len(without_counters) == len(public) - 2
    assert_same(from_reference("jssunet", joined("param", public)), net)
    assert_same(from_reference("jssunet", without_counters), net)


def test_loaded_weights_are_copies() -> None:
    public = public_network(small())
    before = {key: value.clone() for key, value in public.items()}
    with torch.no_grad():
        for tensor in from_reference("jssunet", public).state_dict().values():
            tensor.add_(1)
    assert all(torch.equal(public[key], value) for key, value in before.items())


def small_of(public: Tensors) -> JSSUNet:
    """Return the network with these tensors."""
    net = from_reference("jssunet", public)
    assert isinstance(net, JSSUNet)
    return net


def test_public_spec_down_without_all_clusters() -> None:
    """It has 5 MLPs whatever the number of clusters: pixels of the others are projected to zero, so f - 0 remains."""
    net = small(n_clusters=7)
    public = {
        key: value
        for key, value in public_network(net).items()
        if not key.startswith(("SSR.Down.0.mlps.5", "SSR.Down.0.mlps.6", "SSR.Down.1.mlps.5", "SSR.Down.1.mlps.6"))
    }
    assert len(public) == len(public_network(net)) - 8
    loaded = small_of(public)
    for before, after in zip(net.ssr.stages, loaded.ssr.stages, strict=True):
        for name in ("weight", "bias"):
            want, got = getattr(before.spec_down, name)[0], getattr(after.spec_down, name)[0]
            assert torch.equal(got[:5], want[:5])
            assert not got[5:].any()
        assert torch.equal(after.spec_up.weight[1], before.spec_up.weight[1])
    u, labels = torch.rand(1, 5, 1, 7), torch.eye(7).view(1, 7, 1, 7)
    projected = loaded.ssr.stages[0].spec_down(u, labels)
    assert not projected[..., 5:].any()


def test_spec_down_alone_without_all_clusters() -> None:
    mlp = ClusterMLP(5, (6, 2))
    config = {"module": "SpecDown", "hs_channels": 6, "ms_channels": 2}
    loaded = from_reference("jssunet", public_mlps(mlp), classes=10, **config)
    assert torch.equal(loaded.weight[0][:5], mlp.weight[0])
    assert not loaded.weight[0][5:].any()
    refused("4 clusters are expected", public_mlps(mlp), classes=4, **config)
    up = {"module": "SpecUp", "hs_channels": 2, "ms_channels": 6, "features": 3, "classes": 10}
    refused("10 clusters are expected", public_mlps(ClusterMLP(5, (6, 3, 2))), **up)


def test_gap_between_clusters_is_no_shorter_list() -> None:
    public = public_mlps(ClusterMLP(5, (6, 2)))
    for missing in (0, 2):
        short = {key: value for key, value in public.items() if not key.startswith(f"mlps.{missing}.")}
        refused("5 clusters are expected", short, module="SpecDown", classes=5, hs_channels=6, ms_channels=2)


@pytest.mark.parametrize("iterations", [1, 2])
def test_modules_alone(iterations: int) -> None:
    options = {"sampling": 6, "channels": 3}
    bpup, up, down = BPUp(3, [2, 3], iterations), Up(3, [2, 3]), Down(3, [2, 3], 3)
    loaded = from_reference("jssunet", public_bpup(bpup), module="BPUp", iterations=iterations, **options)
    assert_same(loaded, bpup)
    assert_same(from_reference("jssunet", public_up(up), module="Up", **options), up)
    assert_same(from_reference("jssunet", public_down(down), module="Down", **options), down)


# --- What does not fit --------------------------------------------------------------------------------------------


def refused(match: str, state_dict: Tensors, **config: Any) -> None:
    with pytest.raises(InputError, match=match):
        from_reference("jssunet", state_dict, **config)


def test_unknown_module() -> None:
    refused("unknown module of jssunet 'SpecUpp'; did you mean 'SpecUp'", {}, module="SpecUpp")


def test_unknown_hyper_parameter() -> None:
    refused("hyper-parameter .*'samplng'; did you mean 'sampling'", public_network(small()), samplng=4)


@pytest.mark.parametrize("missing", ["classes", "hs_channels", "ms_channels"])
def test_missing_hyper_parameter(missing: str) -> None:
    mlp = ClusterMLP(3, (5, 2))
    config = {"classes": 3, "hs_channels": 5, "ms_channels": 2}
    assert_same(from_reference("jssunet", public_mlps(mlp), module="SpecDown", **config), mlp)
    del config[missing]
    refused(f"SpecDown needs the hyper-parameter '{missing}'", public_mlps(mlp), module="SpecDown", **config)


@pytest.mark.parametrize(
    "key",
    [
        "stranger",
        "SR.stranger.weight",
        "SR.Prox.0.ResNet.0.conv.0.bias",
        "SSR.Prox.7.pre.weight",
        "post.NL3.head1.g.weight",
        "post.NL1.head9.phi.weight",
        "Fusion.alpha.0.bias",
    ],
)
def test_unknown_key(key: str) -> None:
    refused(f"'{key}'", {**public_network(small()), key: torch.zeros(3)})


def test_mlps_without_a_place() -> None:
    refused("place", {**public_network(small()), "SSR.Middle.0.mlps.0.0.weight": torch.zeros(3)})


@pytest.mark.parametrize("with_post", [True, False])
def test_every_missing_key_is_noticed(with_post: bool) -> None:
    public = public_network(small(stages=1, heads=1, post=with_post))
    for key in public:
        if key.endswith("num_batches_tracked"):
            continue
        with pytest.raises(InputError):
            from_reference("jssunet", {k: v for k, v in public.items() if k != key})


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("SR.Prox.0.ResNet.1.cnn.0.conv.0.weight", "sr.stages.0.prox.blocks.0.conv1.weight"),
        ("SSR.Prox.1.module.1.bias", "ssr.stages.1.prox.tail.bias"),
        ("SSR.Up.1.mlps.2.0.weight", "ssr.stages.1.spec_up.weight.0"),
        ("SSR.Down.1.mlps.2.0.bias", "ssr.stages.1.spec_down.bias.0"),
        ("Fusion.alpha.1.weight", "fusion.stages.1.step_size"),
        ("post.residual.1.cnn.1.running_var", "post.block.norm1.running_var"),
    ],
)
def test_missing_key_is_named(key: str, named: str) -> None:
    public = public_network(small())
    del public[key]
    refused(f"'{named}'", public)


def test_every_wrong_shape_is_noticed() -> None:
    """A row too many, and the right number of values in the wrong order."""
    public = public_network(small(stages=1, heads=1))
    for key, value in public.items():
        if value.dim() == 0:
            continue
        with pytest.raises(InputError):
            from_reference("jssunet", {**public, key: torch.cat((value, value[:1]))})
        if value.dim() > 1 and value.shape[0] != value.shape[1]:
            with pytest.raises(InputError):
                from_reference("jssunet", {**public, key: value.transpose(0, 1).contiguous()})


def test_wrong_shape_is_named() -> None:
    public = public_network(small())
    public["Fusion.Prox.1.ResNet.4.bias"] = torch.zeros(6)
    refused(r"'fusion.stages.1.prox.tail.bias' has shape \(5,\); the state dict's is \(6,\)", public)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"sampling": 6}, "sr.stages.0.down.1.weight"),
        ({"hs_channels": 6}, "ssr.initial"),
        ({"classes": 4}, "4 clusters are expected"),
        ({"stages": 3}, "sr.stages.2"),
        ({"stages": 1}, "SR.Down.1"),
        ({"features": 16}, r"'ssr.initial.weight.0' of cluster 0 has shape \(8, 2\); \(16, 2\) is expected"),
        ({"reduction": 2}, "attention.squeeze"),
        ({"patch_size": 5}, "embed.weight"),
    ],
)
def test_hyper_parameters_that_contradict_the_shapes(config: dict[str, Any], named: str) -> None:
    refused(named, public_network(small()), **config)


def test_impossible_hyper_parameter() -> None:
    refused("sr_init.*'cubic'", public_network(small()), sr_init="cubic")


def test_nothing_at_all() -> None:
    refused("not a JSSUNet's", {})


# --- The public code's own ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def case(shared_cases: Path) -> tuple[dict[str, Any], Tensors, Tensor, Tensor]:
    """Return configuration, tensors (with the prefix ``param.``), input and output of the whole network."""
    with safe_open(shared_cases / "jssunet" / "full_s4.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
    parameters = {key: value for key, value in tensors.items() if key.startswith("param.")}
    return config, parameters, tensors["input.f"], tensors["output.pred_post"]


@pytest.mark.parity
def test_reference_network_without_configuration(case: tuple[dict[str, Any], Tensors, Tensor, Tensor]) -> None:
    config, parameters, f, expected = case
    bare = {key.removeprefix("param."): value for key, value in parameters.items()}
    configured = from_reference("jssunet", bare, **config)
    for options in ({}, {"window_size": 11, "k_percent": 10, "sr_init": "nearest"}, {"classes": 5, "stages": 2}):
        for state_dict in (parameters, bare):
            loaded = from_reference("jssunet", state_dict, **options)
            assert_same(loaded, configured)
            with torch.no_grad():
                output = loaded(f)
            torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    with torch.no_grad():
        other = from_reference("jssunet", bare, sr_init="bicubic")(f)
    assert not torch.allclose(other, expected, rtol=1e-3)


@pytest.mark.parity
def test_names_written_here_are_the_public_ones(case: tuple[dict[str, Any], Tensors, Tensor, Tensor]) -> None:
    """So that the tests above, which make their own state dicts, speak of the real thing."""
    _, parameters, _, _ = case
    public = joined("param", public_network(small_of(parameters)))
    public = {key: value for key, value in public.items() if not key.endswith("num_batches_tracked")}
    assert public.keys() == parameters.keys()
    for key, value in parameters.items():
        assert torch.equal(public[key], value), key


@pytest.mark.parity
def test_the_fusion_branch_as_a_system_has_the_public_values(shared_cases: Path) -> None:
    with safe_open(shared_cases / "jssunet" / "fus_module_s4.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
    parameters = {key: value for key, value in tensors.items() if key.startswith("param.")}
    net = from_reference("jssunet-fusion", parameters, **config)
    last = max((key for key in tensors if key.startswith("output.list.")), key=lambda key: int(key.split(".")[-1]))
    output = Model(net).predict(lr_hsi=tensors["input.u_ssr"], hr_msi=tensors["input.u_sr"])
    torch.testing.assert_close(output, tensors[last], rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="'FusModule'; 'SRModule' was given"):
        from_reference("jssunet-fusion", parameters, **{**config, "module": "SRModule"})
    with pytest.raises(InputError, match="jssunet-sr has no public reference code"):
        from_reference("jssunet-sr", parameters, **config)
