"""The network against its plain formulation: the same weights give the same outputs and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from finewave.systems.registry import config_of, create_model
from tests.plain.jssunet import PlainJSSUNet

SMALL = {"features": 12, "stages": 2, "n_clusters": 3, "patch": 5, "window": 7, "heads": 2, "hs_bands": 6}


def pair(**options: Any) -> tuple[nn.Module, PlainJSSUNet]:
    """Return the network and its plain formulation with the same weights, in double precision."""
    torch.manual_seed(5)
    net = create_model("jssunet", **{**SMALL, **options})
    _, config = config_of(net)
    plain = PlainJSSUNet(**config)
    plain.load_state_dict(net.state_dict())
    return net.double(), plain.double()


def assert_like_plain(lr_msi: Tensor, **options: Any) -> None:
    """Compare output, stages and every gradient."""
    net, plain = pair(**options)
    got, expected = net(lr_msi), plain(lr_msi)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-10)
    weights = torch.randn_like(got)
    for network, output in ((net, got), (plain, expected)):
        (output * weights).sum().backward()
        assert any(p.grad is not None and p.grad.any() for p in network.ssr.parameters())
    theirs = dict(plain.named_parameters())
    for name, p in net.named_parameters():
        torch.testing.assert_close(p.grad, theirs[name].grad, rtol=1e-7, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3), (6, 6)])
def test_every_size(size: tuple[int, int]) -> None:
    assert_like_plain(torch.rand(2, 3, *size, dtype=torch.float64))


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 2, "hs_bands": 1},
        {"scale": 3, "ms_bands": 4},
        {"scale": 6, "progressive": False, "stages": 1},
        {"back_projections": 2},
        {"upsampling": "forward", "adjoint_relu": False, "spec_down_hidden": 5},
        {"clusters": "none", "hfi_with_low": True, "sr_initial": "nearest"},
        {"post": False, "sr_blocks": 1, "ssr_blocks": 2, "fusion_blocks": 1, "reduction": 2},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_option(options: dict[str, Any]) -> None:
    assert_like_plain(torch.rand(1, options.get("ms_bands", 3), 4, 5, dtype=torch.float64), **options)


def test_kmeans_clusters() -> None:
    net, plain = pair(clusters="kmeans")
    centroids = torch.rand(3, 3)
    net.ssr.clusters.set_centroids(centroids)
    plain.ssr.clusters.centroids.copy_(centroids)
    x = torch.rand(1, 3, 5, 4, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(net(x), plain(x), rtol=1e-9, atol=1e-10)


def test_the_stages_and_clusters_are_the_same() -> None:
    net, plain = pair()
    x = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        got, expected = net.forward_stages(x), plain.forward_stages(x)
    for name in ("sr", "ssr", "fusion"):
        torch.testing.assert_close(getattr(got, name), getattr(expected, name), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(got.probability, expected.probability)
    assert torch.equal(got.assignment, expected.assignment.round())
    assert len(got.assignment.argmax(1).unique()) > 1  # more than one cluster is at work


def test_evaluation_with_published_bands() -> None:
    """Running means of the normalisation, single precision, C = 31."""
    torch.manual_seed(7)
    net = create_model("jssunet", features=16, stages=1).eval()
    _, config = config_of(net)
    plain = PlainJSSUNet(**config).eval()
    plain.load_state_dict(net.state_dict())
    x = torch.rand(1, 3, 8, 7)
    with torch.no_grad():
        torch.testing.assert_close(net(x), plain(x), rtol=1e-4, atol=1e-5)
