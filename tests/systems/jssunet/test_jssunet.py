"""The network: its size against the published layers, its equations written out, every keyword, and how far it sees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.errors import InputError
from finewave.nn.kernels.window_attention import HeadAttention, MultiHeadAttention
from finewave.nn.residual import ChannelAttention
from finewave.nn.sampling import BPUp, Down, Up, bicubic
from finewave.systems.jssunet.clusters import ClusterMLP, ClusterNet, SpecDown, SpecUp, one_hot_of
from finewave.systems.jssunet.network import (
    HFI,
    LFE,
    Clusters,
    FusionStage,
    JSSUNet,
    PostProcessing,
    ProxFus,
    ProxSR,
    ProxSSR,
    SRStage,
    SSRStage,
)

TINY: dict[str, Any] = {
    "scale": 2,
    "ms_bands": 2,
    "hs_bands": 5,
    "stages": 2,
    "features": 8,
    "n_clusters": 3,
    "patch": 3,
    "window": 5,
    "heads": 2,
    "embedding": 2,
}


def tiny(**options: Any) -> JSSUNet:
    """Return a very small network with all of its parts."""
    return JSSUNet(**{**TINY, **options})


def image(net: JSSUNet, height: int = 5, width: int = 6, batch: int = 1, dtype: Any = torch.float32) -> Tensor:
    return torch.rand(batch, net.ms_bands, height, width, dtype=dtype)


def count(net: nn.Module | None) -> int:
    return 0 if net is None else sum(p.numel() for p in net.parameters())


def clear(*layers: nn.Module) -> None:
    """Set weights and biases to zero."""
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)


# --- Size ---------------------------------------------------------------------------------------------------------

# Counted in instances of the public code's layers, with as many MLPs in SpecDown as there are clusters.
# c, C, features, scale: SR, SSR, fusion, their sum; post with P = 5 and 11, all with P = 5 and 11
SIZES = {
    (3, 31, 64, 2): (902220, 614228, 1681206, 3197654, 208792, 351640, 3406446, 3549294),
    (3, 31, 64, 4): (905868, 614228, 1681206, 3201302, 208792, 351640, 3410094, 3552942),
    (3, 31, 64, 8): (909516, 614228, 1681206, 3204950, 208792, 351640, 3413742, 3556590),
    (3, 31, 128, 2): (3570252, 1853140, 6163766, 11587158, 594392, 737240, 12181550, 12324398),
    (3, 31, 128, 4): (3573900, 1853140, 6163766, 11590806, 594392, 737240, 12185198, 12328046),
    (3, 31, 128, 8): (3577548, 1853140, 6163766, 11594454, 594392, 737240, 12188846, 12331694),
    (4, 102, 64, 2): (909536, 1188558, 2299388, 4397482, 473338, 943354, 4870820, 5340836),
    (4, 102, 64, 4): (915888, 1188558, 2299388, 4403834, 473338, 943354, 4877172, 5347188),
    (4, 102, 64, 8): (922240, 1188558, 2299388, 4410186, 473338, 943354, 4883524, 5353540),
    (4, 102, 128, 2): (3582176, 2985038, 7399420, 13966634, 981626, 1451642, 14948260, 15418276),
    (4, 102, 128, 4): (3588528, 2985038, 7399420, 13972986, 981626, 1451642, 14954612, 15424628),
    (4, 102, 128, 8): (3594880, 2985038, 7399420, 13979338, 981626, 1451642, 14960964, 15430980),
}


@pytest.mark.parametrize("published", SIZES, ids=str)
def test_parameters_of_the_published_configurations(published: tuple[int, int, int, int]) -> None:
    ms_bands, hs_bands, features, scale = published
    sr, ssr, fusion, phase_1, post_5, post_11, total_5, total_11 = SIZES[published]
    cases: list[tuple[dict[str, Any], int, int]] = [
        ({"post": False}, 0, phase_1),
        ({"patch": 5}, post_5, total_5),
        ({"patch": 11}, post_11, total_11),
    ]
    for options, post, total in cases:
        with torch.device("meta"):  # sizes only
            net = JSSUNet(scale, ms_bands, hs_bands, features=features, initialisation="framework", **options)
        assert (count(net.sr), count(net.ssr), count(net.fusion)) == (sr, ssr, fusion)
        assert (count(net.post), count(net)) == (post, total)


# c, C, features: ProxSR, ClusterNet, SpecUp, SpecDown, ProxSSR, LFE of MS and of HS, HFI, step sizes of 4 stages,
# ProxFus; one head with P = 5 and 11 and three heads with P = 5 and 11, whatever the features
BLOCKS = {
    (3, 31, 64): (224643, 25162, 22710, 960, 117919, 19584, 35712, 74399, 124, 369247),
    (3, 31, 128): (891651, 25162, 45110, 960, 399647, 39168, 71424, 222495, 124, 1402015),
    (4, 102, 64): (225796, 25450, 69500, 4120, 199782, 61056, 117504, 156838, 408, 451686),
    (4, 102, 128): (893956, 25450, 137980, 4120, 563302, 122112, 235008, 387302, 408, 1566822),
}
HEADS = {31: (7289, 31097, 22188, 93612), 102: (30932, 109268, 93117, 328125)}


@pytest.mark.parametrize(("c", "C", "features"), BLOCKS)
def test_parameters_of_blocks(c: int, C: int, features: int) -> None:
    with torch.device("meta"):
        fusion = FusionStage(C, c, features, 3)
        modules = (
            ProxSR(c, features),
            ClusterNet(c, 10),
            SpecUp(10, c, features, C),
            SpecDown(10, C, c),
            ProxSSR(C, features),
            LFE(c, C, features),
            LFE(C, C, features),
            HFI(c, C, features),
        )
        heads = (HeadAttention(C, patch=5), HeadAttention(C), MultiHeadAttention(C, patch=5), MultiHeadAttention(C))
    assert (*map(count, modules), 4 * fusion.step_size.numel(), count(fusion.prox)) == BLOCKS[c, C, features]
    assert tuple(map(count, heads)) == HEADS[C]


# --- Equations ----------------------------------------------------------------------------------------------------


def test_sr_starts_at_the_interpolated_image() -> None:
    seen = []
    for initial in ("bicubic", "nearest"):
        net = tiny(sr_initial=initial, scale=3)
        net.sr.stages[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
        f = image(net)
        net.sr(f)
        expected = bicubic(f, (15, 18)) if initial == "bicubic" else f.repeat_interleave(3, 2).repeat_interleave(3, 3)
        torch.testing.assert_close(seen[-1], expected)


@pytest.mark.parametrize("back_projections", [0, 1])
def test_sr_stage_is_a_proximal_gradient_step(back_projections: int) -> None:
    stage = SRStage(2, 8, [2], back_projections, 2)
    u, f = torch.rand(1, 2, 8, 6), torch.rand(1, 2, 4, 3)
    assert isinstance(stage.up, BPUp if back_projections else Up)
    step = u - stage.up(stage.down(u) - f)
    torch.testing.assert_close(stage(u, f), stage.prox(step))
    clear(stage.prox.tail)
    torch.testing.assert_close(stage(u, f), step)
    clear(stage.up)
    assert torch.equal(stage(u, f), u)  # without a gradient and with the identity for prox nothing moves


def test_ssr_stage_is_a_proximal_gradient_step() -> None:
    stage = SSRStage(SpecDown(3, 5, 2), SpecUp(3, 2, 8, 5), ProxSSR(5, 8))
    u, f = torch.rand(1, 5, 4, 6), torch.rand(1, 2, 4, 6)
    assignment = one_hot_of(torch.randint(0, 3, (1, 4, 6)), 3, u.dtype)
    step = u - stage.spec_up(stage.spec_down(u, assignment) - f, assignment)
    torch.testing.assert_close(stage(u, f, assignment), stage.prox(step))
    clear(stage.prox.tail)
    torch.testing.assert_close(stage(u, f, assignment), step)
    assert (step <= u).all()  # as published: behind a ReLU the step can only lower u


def test_fusion_stage_is_a_proximal_gradient_step() -> None:
    stage = FusionStage(5, 2, 8, 3)
    nn.init.uniform_(stage.step_size, 0.1, 0.5)
    u, a, b, z = torch.rand(4, 2, 5, 6, 7)
    u_sr = torch.rand(2, 2, 6, 7)
    # d/du 1/2 ||u a - b z||^2
    variable = u.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(0.5 * (variable * a - b * z).square().sum(), variable)
    step = u - stage.step_size * gradient
    torch.testing.assert_close(stage(u, a, b * z, u_sr), stage.prox(step, u_sr))
    clear(stage.prox.tail)
    torch.testing.assert_close(stage(u, a, b * z, u_sr), step)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_fusion_gradient_vanishes_where_the_constraint_holds(value: float) -> None:
    """u / b = z / a: with all four equal there is nothing to correct."""
    stage = FusionStage(5, 2, 8, 3)
    clear(stage.prox.tail)
    u = torch.full((1, 5, 4, 4), value)
    torch.testing.assert_close(stage(u, u, u * u, torch.rand(1, 2, 4, 4)), u, rtol=0, atol=1e-6)
    other = stage(u + 0.5, u, u * u, torch.rand(1, 2, 4, 4))
    assert torch.equal(other, u + 0.5) == (value == 0)


@pytest.mark.parametrize("with_low", [False, True])
def test_high_frequencies_are_added_to_the_low_ones(with_low: bool) -> None:
    net = HFI(2, 5, 8, with_low)
    low, hs_up, u_sr = torch.rand(1, 5, 6, 7), torch.rand(1, 5, 6, 7), torch.rand(1, 2, 6, 7)
    x = torch.cat([u_sr, hs_up, low][: 2 + with_low], 1)
    assert net.conv1.in_channels == x.shape[1]
    x = F.conv2d(x, net.conv1.weight, padding=1)
    x = F.conv2d(x, net.conv2.weight, net.conv2.bias, padding=1)
    x = F.conv2d(x, net.conv3.weight, net.conv3.bias, padding=1)
    torch.testing.assert_close(net(low, u_sr, hs_up), (low + x).clamp(min=0))


def test_high_frequencies_by_residual_blocks_of_all_three_images() -> None:
    net = HFI(2, 5, 8, with_low=True, blocks=2)
    low, hs_up, u_sr = torch.rand(1, 5, 6, 7), torch.rand(1, 5, 6, 7), torch.rand(1, 2, 6, 7)
    x = F.conv2d(torch.cat([u_sr, hs_up, low], 1), net.conv1.weight, padding=1)
    for block in net.blocks:
        inner = F.relu(F.conv2d(x, block.conv1.weight, padding=1))
        inner = F.relu(F.conv2d(inner, block.conv2.weight, padding=1))
        x = F.relu(x + F.conv2d(inner, block.conv3.weight, padding=1))
    x = F.conv2d(x, net.conv3.weight, net.conv3.bias, padding=1)
    torch.testing.assert_close(net(low, u_sr, hs_up), (low + x).clamp(min=0))


def test_fusion_is_prepared_from_both_images() -> None:
    branch = tiny(scale=3).fusion
    u_sr, u_ssr = torch.rand(1, 2, 12, 15), torch.rand(1, 5, 4, 5)
    a, b, z, initial = branch.prepare(u_sr, u_ssr)
    smooth = F.interpolate(F.interpolate(u_sr, (4, 5), mode="bicubic"), (12, 15), mode="bicubic")
    hs_up = F.interpolate(u_ssr, (12, 15), mode="bicubic")
    torch.testing.assert_close(a, branch.low_ms(smooth))
    torch.testing.assert_close(b, branch.low_hs(hs_up))
    torch.testing.assert_close(z, branch.high(a, u_sr, hs_up))
    torch.testing.assert_close(initial, branch.initial(a, u_sr, hs_up))
    u = branch.stages[0](initial, a, b * z, u_sr)
    torch.testing.assert_close(branch(u_sr, u_ssr)[1], branch.stages[1](u, a, b * z, u_sr))


def test_outputs_of_the_estimators_are_never_negative() -> None:
    net = tiny(initialisation="framework")
    outputs = net.fusion.prepare(3 * torch.randn(2, 2, 8, 8), 3 * torch.randn(2, 5, 4, 4))
    for output in outputs:  # a, b from LFE, z from HFI, u^0 from Init
        assert output.min() == 0  # some were
        assert output.max() > 0


def test_proximity_operators_are_around_the_identity() -> None:
    for prox, inputs in (
        (ProxSR(2, 8), [torch.randn(1, 2, 4, 5)]),
        (ProxSSR(5, 8), [torch.randn(1, 5, 4, 5)]),
        (ProxFus(5, 2, 8), [torch.randn(1, 5, 4, 5), torch.randn(1, 2, 4, 5)]),
    ):
        assert not torch.equal(prox(*inputs), inputs[0])
        clear(prox.tail)
        assert torch.equal(prox(*inputs), inputs[0])


# --- Post-processing ----------------------------------------------------------------------------------------------


def post(bands: int = 5) -> PostProcessing:
    return PostProcessing(bands, 8, heads=2, embedding=2, patch=3, window=5, top_percent=20)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 8)])
def test_post_processing_with_a_zero_last_convolution_is_the_identity(training: bool, size: tuple[int, int]) -> None:
    net, u = post().train(training), torch.rand(2, 5, *size)
    assert not torch.equal(net(u), u)
    clear(net.tail)
    assert torch.equal(net(u), u)


def test_post_processing_looks_again_at_the_shifted_image() -> None:
    net, u = post().eval().double(), torch.rand(1, 5, 9, 8, dtype=torch.float64)
    v = net.attention1(u)
    rows, columns = torch.arange(9), torch.arange(8)
    shifted = v[:, :, (rows - 2) % 9][..., (columns - 2) % 8]  # down and right by half a window, around the border
    v = net.attention2(shifted)[:, :, (rows + 2) % 9][..., (columns + 2) % 8]
    torch.testing.assert_close(net(u), u + net.tail(net.block(net.head(torch.cat((v, u), 1)))))


def test_phase_1_does_not_know_the_post_processing() -> None:
    net = tiny().eval()
    f = image(net)
    with torch.no_grad():
        before, refined = net.forward_stages(f), net(f)
        for parameter in net.post.parameters():
            parameter.add_(torch.randn_like(parameter))
        after = net.forward_stages(f)
        assert not torch.equal(net(f), refined)
    for name in ("sr", "ssr", "fusion"):
        for one, other in zip(getattr(before, name), getattr(after, name), strict=True):
            assert torch.equal(one, other)


# --- Clusters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("initialisation", ["operators", "framework"])
@pytest.mark.parametrize("target", ["sr", "ssr", "fusion", "post"])
def test_cluster_network_learns(initialisation: str, target: str) -> None:
    """From the spectra, not from the SR branch, which has no clusters."""
    net = tiny(initialisation=initialisation)
    for _ in range(3):
        f = image(net, 6, 6, batch=2)
        output = net(f) if target == "post" else getattr(net.forward_stages(f), target)[-1]
        (output * torch.randn_like(output)).sum().backward()
    parameters = dict(net.ssr.clusters.net.named_parameters())
    assert len(parameters) == 6
    learning = {name for name, p in parameters.items() if p.grad is not None and p.grad.abs().max() > 1e-8}
    assert learning == (set() if target == "sr" else set(parameters))


def test_training_and_prediction_give_the_same_image() -> None:
    """All MLPs on all pixels with a gradient, each pixel through its own without."""
    net = tiny().double().eval()
    f = image(net, 7, 6, batch=2, dtype=torch.float64)
    with_gradient = net(f)
    assert with_gradient.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(net(f), with_gradient, rtol=1e-10, atol=1e-12)


def test_every_pixel_of_a_stage_has_one_cluster() -> None:
    net = tiny(n_clusters=4)
    stages = net.forward_stages(image(net, batch=2))
    assert stages.assignment.shape == stages.probability.shape == (2, 4, 5, 6)
    assert torch.equal(stages.assignment.sum(1), torch.ones(2, 5, 6))
    assert torch.equal(stages.assignment.argmax(1), stages.probability.argmax(1))
    torch.testing.assert_close(stages.probability.sum(1), torch.ones(2, 5, 6))


def test_k_means_clusters() -> None:
    net = tiny(clusters="kmeans")
    centroids = torch.tensor([[0.9, 0.1], [0.1, 0.1], [0.1, 0.9]])
    net.ssr.clusters.set_centroids(centroids)
    f = centroids.T.reshape(1, 2, 1, 3) + 0.05
    stages = net.forward_stages(f)
    assert stages.assignment.argmax(1).flatten().tolist() == [0, 1, 2]
    assert torch.equal(stages.assignment, stages.probability)
    assert torch.equal(net.state_dict()["ssr.clusters.centroids"], centroids)
    assert count(net.ssr.clusters) == 0


def test_without_clusters_all_pixels_share_one_mlp() -> None:
    clusters = Clusters(2, 1, "none")
    assignment, probability = clusters(torch.rand(2, 2, 3, 4))
    assert torch.equal(assignment, torch.ones(2, 1, 3, 4))
    assert torch.equal(probability, assignment)
    net = tiny(clusters="none", n_clusters=7)
    assert {m.n_clusters for m in net.modules() if isinstance(m, ClusterMLP)} == {1}


# --- Keywords -----------------------------------------------------------------------------------------------------

KEYWORDS: dict[str, tuple[dict[str, Any], Any]] = {  # what the network then must look like
    "forward": (
        {"upsampling": "forward"},
        lambda net: all(isinstance(stage.up, Up) for stage in net.sr.stages),
    ),
    "back-projection": (
        {"back_projections": 3},
        lambda net: all(len(stage.up.down) == len(stage.up.up) == 3 for stage in net.sr.stages),
    ),
    "progressive": (
        {"scale": 4},
        lambda net: [m.stride for m in net.sr.stages[0].down] == [(2, 2), (2, 2)],
    ),
    "single": (
        {"scale": 4, "progressive": False},
        lambda net: (
            [m.stride for m in net.sr.stages[0].down] == [(4, 4)]
            and {len(m.factors) for m in net.modules() if isinstance(m, (Up, Down))} == {1}
        ),
    ),
    "learned": ({}, lambda net: net.ssr.clusters.net[-1].out_channels == 3),
    "n_clusters": ({"n_clusters": 6}, lambda net: net.ssr.initial.weight[0].shape[0] == 6),
    "k-means": ({"clusters": "kmeans"}, lambda net: not hasattr(net.ssr.clusters, "net")),
    "no clusters": ({"clusters": "none"}, lambda net: not hasattr(net.ssr.clusters, "net")),
    "no post": ({"post": False}, lambda net: net.post is None),
    "nearest": ({"sr_initial": "nearest"}, lambda net: net.sr.initial == "nearest"),
    "linear adjoint": (
        {"adjoint_relu": False},
        lambda net: net.ssr.initial.relu_output and not any(stage.spec_up.relu_output for stage in net.ssr.stages),
    ),
    "hidden layer": (
        {"spec_down_hidden": 7},
        lambda net: all(stage.spec_down.widths == (5, 7, 2) for stage in net.ssr.stages),
    ),
    "no hidden layer": ({}, lambda net: all(stage.spec_down.widths == (5, 2) for stage in net.ssr.stages)),
    "HFI with low": (
        {"hfi_with_low": True},
        lambda net: net.fusion.high.conv1.in_channels == net.fusion.initial.conv1.in_channels == 2 + 2 * 5,
    ),
    "HFI with blocks": (
        {"hfi_blocks": 2},
        lambda net: (
            [len(m.blocks) for m in (net.fusion.high, net.fusion.initial)] == [2, 2] and not net.fusion.high.conv2
        ),
    ),
    "stages": ({"stages": 3}, lambda net: {len(b.stages) for b in (net.sr, net.ssr, net.fusion)} == {3}),
    "blocks": (
        {"sr_blocks": 1, "ssr_blocks": 3, "fusion_blocks": 0},
        lambda net: [len(b.stages[0].prox.blocks) for b in (net.sr, net.ssr, net.fusion)] == [1, 3, 0],
    ),
    "reduction": ({"reduction": 4}, lambda net: net.ssr.stages[0].prox.blocks[0].attention.squeeze.out_channels == 2),
    "attention": (
        {"patch": 5, "window": 3, "heads": 1, "embedding": 6, "top_percent": 50},
        lambda net: (
            [tuple(head.embed.weight.shape) for head in net.post.attention1.heads] == [(6, 5, 5, 5)]
            and (net.post.attention2.heads[0].window, net.post.attention2.heads[0].k, net.post.shift) == (3, 4, 1)
        ),
    ),
    "framework": ({"initialisation": "framework"}, lambda net: net.ssr.initial.bias[-1].detach().std() > 0.01),
    "operators": ({}, lambda net: net.ssr.initial.bias[-1].detach().abs().max() == 0),
}


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_keyword(keyword: str) -> None:
    options, looks_right = KEYWORDS[keyword]
    net = tiny(**options)
    assert looks_right(net)
    f = image(net, 3, 4, batch=2)
    output = net(f)
    assert output.shape == (2, 5, 3 * net.scale, 4 * net.scale)
    output.square().mean().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in net.parameters())
    assert sum(p.grad is not None for p in net.parameters()) >= 0.9 * len(list(net.parameters()))


def test_keywords_that_only_change_the_computation_change_the_image() -> None:
    torch.manual_seed(5)
    net = tiny(initialisation="framework").eval()
    f = image(net)
    with torch.no_grad():
        for option in ({"sr_initial": "nearest"}, {"adjoint_relu": False}, {"top_percent": 60}):
            other = tiny(**option).eval()
            other.load_state_dict(net.state_dict())
            assert not torch.allclose(other(f), net(f), rtol=0, atol=1e-6), option


def test_linear_adjoint_can_raise_the_estimate() -> None:
    stage = SSRStage(SpecDown(1, 5, 2), SpecUp(1, 2, 8, 5, relu_output=False), ProxSSR(5, 8))
    clear(stage.prox.tail)
    u, f = torch.rand(1, 5, 4, 6), torch.rand(1, 2, 4, 6)
    change = stage(u, f, torch.ones(1, 1, 4, 6)) - u
    assert (change > 0).any()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", 1),
        ("scale", 0),
        ("ms_bands", 0),
        ("hs_bands", 0),
        ("stages", 0),
        ("features", 0),
        ("reduction", 0),
        ("reduction", -2),
        ("back_projections", 0),
        ("n_clusters", 0),
        ("patch", 4),
        ("patch", -1),
        ("window", 6),
        ("window", -1),
        ("heads", 0),
        ("embedding", 0),
        ("top_percent", 0),
        ("top_percent", 100.5),
        ("spec_down_hidden", -1),
        ("hfi_blocks", -1),
        ("sr_blocks", -1),
        ("ssr_blocks", -1),
        ("fusion_blocks", -1),
        ("upsampling", "backward"),
        ("clusters", "some"),
        ("sr_initial", "linear"),
        ("initialisation", "zeros"),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"{name}={value!r} "):
        tiny(**{name: value})


def test_features_must_be_a_multiple_of_the_reduction() -> None:
    with pytest.raises(InputError, match=r"features=8 .*reduction=3"):
        tiny(reduction=3)


# --- Scales and precision -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", range(2, 8))
@pytest.mark.parametrize("progressive", [True, False])
def test_scales(scale: int, progressive: bool) -> None:
    net = tiny(scale=scale, progressive=progressive, stages=1).eval()
    for height, width in ((1, 1), (3, 5)):
        with torch.no_grad():
            output = net(image(net, height, width))
        assert output.shape == (1, 5, height * scale, width * scale)
        assert torch.isfinite(output).all()
        assert output.std() > 0


def test_stages_have_the_shapes_of_their_branches() -> None:
    net = tiny(scale=3, stages=3)
    stages = net.forward_stages(image(net, 4, 5))
    assert [tuple(u.shape) for u in stages.sr] == 3 * [(1, 2, 12, 15)]
    assert [tuple(u.shape) for u in stages.ssr] == 3 * [(1, 5, 4, 5)]
    assert [tuple(u.shape) for u in stages.fusion] == 3 * [(1, 5, 12, 15)]


def test_gradient_of_the_network_in_double_precision() -> None:
    """Against finite differences; without clusters and ranks, whose gradients are not the function's own."""
    net = tiny(clusters="none", post=False, stages=1, adjoint_relu=False).double()
    f = image(net, 2, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(net, (f,), fast_mode=True, atol=1e-5)


def test_mixed_precision_keeps_the_running_estimates() -> None:
    """Features may lose digits, what passes from stage to stage may not."""
    net = tiny(n_clusters=2).eval()
    f = image(net, 6, 7)
    with torch.no_grad():
        single = net(f)
        with torch.autocast("cpu", torch.bfloat16):
            mixed, stages = net(f), net.forward_stages(f)
        assert mixed.dtype == torch.float32
        assert not torch.equal(mixed, single)
        assert (mixed - single).abs().mean() < 0.01 * single.abs().mean()
        assert {u.dtype for u in (*stages.sr, *stages.ssr, *stages.fusion)} == {torch.float32}

        # with the identity for every proximity operator nothing is left that may lose digits before the fusion
        for branch in (net.sr, net.ssr):
            clear(*(stage.prox.tail for stage in branch.stages))
        expected = net.forward_stages(f)
        with torch.autocast("cpu", torch.bfloat16):
            stages = net.forward_stages(f)
    for got, want in zip((*stages.sr, *stages.ssr), (*expected.sr, *expected.ssr), strict=True):
        assert torch.equal(got, want)
    assert torch.equal(stages.assignment, expected.assignment)
    assert torch.equal(stages.probability, expected.probability)


def test_mixed_precision_has_gradients_in_single_precision() -> None:
    net = tiny()
    with torch.autocast("cpu", torch.bfloat16):
        output = net(image(net, 4, 5, batch=2))
    output.square().mean().backward()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    assert {g.dtype for g in gradients} == {torch.float32}
    assert all(torch.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("clusters", ["learned", "kmeans", "none"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes_for_every_kind_of_clusters(clusters: str, dtype: torch.dtype) -> None:
    net = tiny(clusters=clusters, stages=1).to(dtype).eval()
    with torch.no_grad():
        output = net(image(net, 3, 4, dtype=dtype))
    assert output.dtype == dtype
    assert torch.isfinite(output).all()


# --- How far it sees ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"post": False},
        {"upsampling": "forward"},
        {"progressive": False, "stages": 2},
        {"back_projections": 6},
        {"post": False, "sr_blocks": 0, "ssr_blocks": 0, "fusion_blocks": 0},
        {"post": False, "upsampling": "forward", "fusion_blocks": 0, "ssr_blocks": 12, "sr_initial": "nearest"},
        {"patch": 9, "window": 9},
        {"post": False, "hfi_blocks": 4},
    ],
    ids=str,
)
def test_receptive_field_is_an_upper_bound(
    scale: int, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apart from the channel means over the whole image. Columns in the middle: a shifted image wraps around."""
    monkeypatch.setattr(ChannelAttention, "forward", lambda self, x: x)
    small = {"hs_bands": 3, "stages": 1, "features": 6, "n_clusters": 2, "heads": 1}
    net = tiny(**{**small, "scale": scale, **options}).double().eval()
    bound = net.receptive_field
    width = 2 * bound + 5
    middle = width // 2
    f = image(net, 2, width, dtype=torch.float64).requires_grad_()
    own = slice(middle * scale, (middle + 1) * scale)
    output = net(f)
    (gradient,) = torch.autograd.grad(output[..., own].sum(), f)
    reached = (gradient.abs().sum((0, 1, 2)).nonzero().flatten() - middle).abs()
    assert reached.max() <= bound
    assert reached.max() >= bound / 4  # and not absurdly above
    with torch.no_grad():  # ranks and clusters have no gradient; so move the pixel
        moved = f.clone()
        moved[..., middle] += 3
        before, after = net(f), net(moved)
    columns = (after - before).abs().amax((0, 1, 2)).unflatten(0, (width, scale)).amax(1)
    distance = (torch.arange(width) - middle).abs()
    assert columns[distance > bound].max() <= 1e-12
    assert columns[middle] > 1e-6


def test_receptive_field_grows_with_what_sees() -> None:
    base = tiny().receptive_field
    for option in ({"stages": 3}, {"window": 21}, {"patch": 21}, {"fusion_blocks": 9}, {"back_projections": 2}):
        assert tiny(**option).receptive_field > base, option
    assert tiny(post=False).receptive_field < base


def test_channel_means_see_the_whole_image() -> None:
    net = tiny(post=False, stages=1, initialisation="framework").double()
    f = image(net, 1, 80, dtype=torch.float64).requires_grad_()
    net(f)[..., :2].sum().backward()
    assert (f.grad[..., -1] != 0).any()
