"""Cluster operators against plain linear layers, and the gradients by which clusters are learned."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from finewave.nn.exporting import export_paths
from finewave.systems.jssunet.clusters import (
    BLOCK,
    SLAB_PIXELS,
    ClusterMLP,
    ClusterNet,
    balance_penalty,
    group_pixels,
    nearest_centroid,
    one_hot_of,
    straight_through,
)
from tests.plain import clusters as plain

# labels of an image (B, H, W), for 4 clusters: all present, two absent, one alone, single pixels
LABELS = {
    "all": torch.arange(2 * 3 * 5).view(2, 3, 5) * 7 % 4,
    "absent": torch.arange(2 * 3 * 5).view(2, 3, 5) % 2 * 3,
    "collapsed": torch.full((2, 3, 5), 2),
    "one pixel": torch.tensor([[[3]]]),
    "one pixel of two images": torch.tensor([[[1]], [[0]]]),
}


def as_linear_layers(mlp: ClusterMLP, cluster: int) -> nn.Sequential:
    """Return the MLP of one cluster, written with the framework's own layers."""
    layers: list[nn.Module] = []
    for i, (w, b) in enumerate(zip(mlp.weight, mlp.bias, strict=True)):
        layer = nn.Linear(w.shape[2], w.shape[1], dtype=w.dtype)
        layer.weight.data, layer.bias.data = w[cluster].detach(), b[cluster].detach()
        layers.append(layer)
        if i < len(mlp.weight) - 1 or mlp.relu_output:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def pixel_by_pixel(mlp: ClusterMLP, x: Tensor, labels: Tensor) -> Tensor:
    """Send each pixel through its cluster's MLP, one after the other."""
    result = x.new_empty(x.shape[0], mlp.widths[-1], *x.shape[2:])
    nets = [as_linear_layers(mlp, m) for m in range(mlp.n_clusters)]
    for b, i, j in torch.cartesian_prod(*(torch.arange(n) for n in labels.shape)):
        result[b, :, i, j] = nets[labels[b, i, j]](x[b, :, i, j])
    return result.detach()


def image(channels: int, labels: Tensor) -> Tensor:
    return torch.randn(labels.shape[0], channels, *labels.shape[1:], dtype=torch.float64)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("widths", [(3, 5), (3, 8, 6), (2, 4, 4, 3)])
@pytest.mark.parametrize("relu_output", [True, False])
def test_each_pixel_passes_through_its_own_mlp(widths: tuple[int, ...], relu_output: bool, labels: Tensor) -> None:
    mlp = ClusterMLP(4, widths, relu_output).double()
    x = image(widths[0], labels)
    expected = pixel_by_pixel(mlp, x, labels)
    torch.testing.assert_close(mlp(x, one_hot_of(labels, 4, x.dtype)), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("relu_output", [True, False])
@pytest.mark.parametrize("learned", [True, False])
def test_values_and_gradients_are_those_of_the_plain_formulation(
    labels: Tensor, relu_output: bool, learned: bool
) -> None:
    mlp = ClusterMLP(4, (3, 8, 6), relu_output).double()
    x = image(3, labels).requires_grad_()
    assignment = one_hot_of(labels, 4, x.dtype).requires_grad_(learned)
    weight_of_output = image(6, labels)
    variables = [x, *mlp.parameters(), *([assignment] if learned else [])]
    y = mlp(x, assignment)
    expected = plain.weighted_sum(x, assignment, list(mlp.weight), list(mlp.bias), relu_output)
    picked = plain.by_mask(x, labels, list(mlp.weight), list(mlp.bias), relu_output)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(y, picked, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad((v * weight_of_output).sum(), variables) for v in (y, expected)]
    for got, want in zip(*gradients, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-12)
    absent = [m for m in range(4) if m not in labels]
    assert not gradients[0][1][absent].any()
    assert gradients[0][1][[m for m in range(4) if m in labels]].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("pixels", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * SLAB_PIXELS["cpu"] + 17])
@pytest.mark.parametrize("unequal", [1, 40])
def test_blocks_of_any_filling(pixels: int, unequal: int, dtype: torch.dtype) -> None:
    """Against the plain formulation, for clusters of about the same size and of very different ones."""
    labels = (torch.rand(1, 1, pixels) ** unequal * 5).long()
    mlp = ClusterMLP(5, (2, 6, 3)).to(dtype)
    x = torch.randn(1, 2, 1, pixels).to(dtype)
    with torch.no_grad():
        y = mlp(x, one_hot_of(labels, 5, dtype))
        expected = plain.by_mask(x, labels, list(mlp.weight), list(mlp.bias), True)
    assert y.dtype == dtype
    torch.testing.assert_close(y, expected)


def test_groups_hold_every_pixel_once_with_its_cluster() -> None:
    labels = (torch.rand(3, 20, 31) ** 3 * 7).long()
    groups = group_pixels(one_hot_of(labels, 7, torch.float32))
    assert len(groups.place.unique()) == labels.numel()
    assert torch.equal(groups.owner[groups.place // BLOCK], labels.flatten())
    mlp, x = ClusterMLP(7, (3, 4)), torch.randn(3, 3, 20, 31)
    assignment = one_hot_of(labels, 7, torch.float32)
    assert torch.equal(mlp(x, assignment, groups), mlp(x, assignment))


def test_shapes_do_not_depend_on_labels() -> None:
    """What would make a GPU wait for its results: the same shapes for any labels, so nothing has to be asked."""
    sizes = set()
    for labels in (torch.zeros(2, 9, 11).long(), torch.randint(0, 6, (2, 9, 11))):
        groups = group_pixels(one_hot_of(labels, 6, torch.float32))
        sizes.add((groups.place.shape, groups.owner.shape))
    assert len(sizes) == 1
    # tensors without values refuse whatever would read one
    mlp = ClusterMLP(6, (3, 8, 5)).to("meta")
    assignment = torch.zeros(2, 6, 9, 11, device="meta").requires_grad_()
    y = mlp(torch.zeros(2, 3, 9, 11, device="meta"), assignment)
    y.sum().backward()
    assert y.shape == (2, 5, 9, 11)
    assert assignment.grad.shape == assignment.shape
    with pytest.raises(RuntimeError):
        assignment.bool().nonzero()


def test_assignment_with_a_gradient_gets_the_outputs_of_all_mlps() -> None:
    """d(sum of g y)/d(assignment of m) is g times the output of the m-th MLP, chosen or not."""
    labels = LABELS["all"]
    mlp = ClusterMLP(4, (3, 8, 6)).double()
    x, g = image(3, labels), image(6, labels)
    assignment = one_hot_of(labels, 4, x.dtype).requires_grad_()
    (mlp(x, assignment) * g).sum().backward()
    for m in range(4):
        expected = (pixel_by_pixel(mlp, x, torch.full_like(labels, m)) * g).sum(1)
        torch.testing.assert_close(assignment.grad[:, m], expected, rtol=1e-11, atol=1e-12)


def test_one_cluster_is_a_per_pixel_mlp() -> None:
    mlp = ClusterMLP(1, (3, 8, 6))
    x = torch.randn(2, 3, 4, 5)
    expected = as_linear_layers(mlp, 0)(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(mlp(x, torch.ones(2, 1, 4, 5)), expected)


def test_names_of_clusters_do_not_matter() -> None:
    labels = LABELS["all"]
    mlp, renamed = ClusterMLP(4, (3, 8, 6)), ClusterMLP(4, (3, 8, 6))
    new_name = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        for before, after in zip(mlp.parameters(), renamed.parameters(), strict=True):
            after[new_name] = before
    x = torch.randn(2, 3, 3, 5)
    expected = mlp(x, one_hot_of(labels, 4, x.dtype))
    torch.testing.assert_close(renamed(x, one_hot_of(new_name[labels], 4, x.dtype)), expected)
    assert not torch.allclose(renamed(x, one_hot_of(labels, 4, x.dtype)), expected)


def test_output_is_never_negative_with_a_final_activation() -> None:
    labels = LABELS["all"]
    x = 5 * torch.randn(2, 3, 3, 5)
    for m, smallest in ((ClusterMLP(4, (3, 8, 6)), 0.0), (ClusterMLP(4, (3, 8, 6), relu_output=False), -10.0)):
        y = m(x, one_hot_of(labels, 4, x.dtype))
        assert y.min() >= smallest
        assert (y.min() < 0) == (smallest < 0)


def test_weights_start_as_those_of_linear_layers() -> None:
    mlp = ClusterMLP(50, (16, 25))
    bound = 1 / 4  # one over the root of the inputs
    assert mlp.weight[0].abs().max() <= bound
    assert mlp.weight[0].std().item() == pytest.approx(bound / 3**0.5, rel=0.03)
    assert mlp.bias[0].abs().max() <= bound
    assert mlp.bias[0].std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_one_hot() -> None:
    labels = torch.randint(0, 5, (2, 3, 4))
    result = one_hot_of(labels, 5, torch.float64)
    assert result.dtype == torch.float64
    assert torch.equal(result, nn.functional.one_hot(labels, 5).permute(0, 3, 1, 2).double())


def test_cluster_net_sees_seven_by_seven_pixels() -> None:
    net = ClusterNet(3, 4).double()
    x = torch.randn(1, 3, 15, 15, dtype=torch.float64, requires_grad=True)
    logits = net(x)
    assert logits.shape == (1, 4, 15, 15)
    logits[0, :, 7, 7].sum().backward()
    rows, columns = x.grad[0].abs().sum(0).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 10, 4, 10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("with_gradient", [True, False])
def test_assignment_is_exactly_one_hot(dtype: torch.dtype, with_gradient: bool) -> None:
    logits = (3 * torch.randn(2, 7, 9, 11)).to(dtype).requires_grad_(with_gradient)
    assignment, probability = straight_through(logits)
    assert assignment.dtype == dtype
    assert assignment.requires_grad == with_gradient
    assert torch.equal(assignment.detach(), one_hot_of(logits.argmax(1), 7, dtype))
    torch.testing.assert_close(probability, logits.softmax(1))


def test_assignment_has_the_gradient_of_the_softmax() -> None:
    logits = torch.randn(2, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    g = torch.randn_like(logits)
    assignment, _ = straight_through(logits)
    (through,) = torch.autograd.grad((assignment * g).sum(), logits)
    p = logits.softmax(1).detach()
    expected = p * (g - (p * g).sum(1, keepdim=True))  # the softmax's Jacobian is diag(p) - p p'
    torch.testing.assert_close(through, expected, rtol=1e-12, atol=1e-15)


def test_ties_between_clusters_still_give_one_cluster() -> None:
    assignment, _ = straight_through(torch.zeros(1, 4, 3, 3))
    assert torch.equal(assignment.sum(1), torch.ones(1, 3, 3))
    assert torch.equal(assignment.amax(1), torch.ones(1, 3, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_nearest_centroid(dtype: torch.dtype) -> None:
    x, centroids = torch.rand(2, 3, 6, 7).to(dtype), torch.rand(5, 3)
    labels = nearest_centroid(x, centroids)
    assert labels.shape == (2, 6, 7)
    rounded = centroids.to(dtype).double()
    for b, i, j in torch.cartesian_prod(torch.arange(2), torch.arange(6), torch.arange(7)):
        distances = ((x[b, :, i, j].double() - rounded) ** 2).sum(1)
        assert distances[labels[b, i, j]] <= distances.min() + 1e-5
    assert len(labels.unique()) > 1
    assert nearest_centroid(x[:1, :, :1, :1], centroids) == labels[0, 0, 0]


def test_centroids_are_their_own_cluster() -> None:
    centroids = torch.rand(6, 4)
    assert torch.equal(nearest_centroid(centroids.T.reshape(1, 4, 2, 3), centroids).flatten(), torch.arange(6))


@pytest.mark.parametrize("M", [1, 2, 10])
def test_balance_penalty_at_its_extremes(M: int) -> None:
    shared = one_hot_of(torch.arange(4 * M).view(1, 4, M) % M, M, torch.float32)
    collapsed = one_hot_of(torch.zeros(1, 4, M, dtype=torch.long), M, torch.float32)
    undecided = torch.full_like(collapsed, 1 / M)
    assert balance_penalty(shared).item() == pytest.approx(0.0, abs=1e-5)
    assert balance_penalty(collapsed).item() == pytest.approx(math.log(M), abs=1e-5)
    assert balance_penalty(undecided).item() == pytest.approx(math.log(M), abs=1e-5)


def test_balance_penalty_is_the_negative_mutual_information() -> None:
    joint = torch.rand(2, 5, 6, 7, dtype=torch.float64).softmax(1) / (2 * 6 * 7)  # of cluster and pixel
    clusters, pixels = joint.sum((0, 2, 3), keepdim=True), joint.sum(1, keepdim=True)
    information = (joint * (joint / (clusters * pixels)).log()).sum()
    penalty = balance_penalty(joint * 2 * 6 * 7)
    assert penalty.item() == pytest.approx(math.log(5) - information.item(), abs=1e-5)


def test_balance_penalty_pushes_towards_balance() -> None:
    images = 3 * torch.randn(2, 5, 8, 8)
    preference = torch.tensor([0.0, 12.0, 0.0, 0.0, 0.0]).view(5, 1, 1).requires_grad_()

    def usage() -> Tensor:
        return straight_through(images + preference)[0].detach().mean((0, 2, 3))

    assert usage()[1] > 0.9
    for _ in range(100):
        _, probability = straight_through(images + preference)
        (gradient,) = torch.autograd.grad(balance_penalty(probability), preference)
        preference = (preference - 20 * gradient).detach().requires_grad_()
    assert usage().max() < 0.35
    assert usage().min() > 0.08


def test_balance_penalty_has_a_finite_gradient_where_probabilities_underflow() -> None:
    logits = torch.tensor([[300.0, 0.0, 1.0], [0.0, 300.0, 5.0]]).view(1, 2, 1, 3).requires_grad_()
    probability = logits.softmax(1)
    assert (probability == 0).any()
    balance_penalty(probability).backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.any()


@pytest.mark.parametrize("n_clusters", [1, 3, 7])
@pytest.mark.parametrize("size", [(1, 1), (9, 14), (20, 20)])
def test_groups_by_counting_serve_as_those_by_sorting(n_clusters: int, size: tuple[int, int]) -> None:
    """As an exported network finds them; which row of its cluster a pixel has is free."""
    labels = torch.randint(0, max(1, n_clusters - 1), (2, *size))  # the last cluster has no pixel
    assignment = one_hot_of(labels, n_clusters, torch.float32)
    sorted_groups = group_pixels(assignment)
    with export_paths():
        counted = group_pixels(assignment)
    assert torch.equal(counted.owner, sorted_groups.owner)
    assert len(counted.place.unique()) == labels.numel()
    assert torch.equal(counted.owner[counted.place // BLOCK], labels.flatten())
    mlp, x = ClusterMLP(n_clusters, (4, 6, 5)), torch.rand(2, 4, *size)
    with torch.no_grad():
        torch.testing.assert_close(mlp(x, assignment, counted), mlp(x, assignment, sorted_groups))
