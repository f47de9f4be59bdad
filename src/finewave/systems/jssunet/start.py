"""Initialisation of JSSUNet: each learned operator as its classical counterpart, so that no stage worsens its input.

Neither paper nor public code has it; ``initialisation="framework"`` is PyTorch's default. The operators set here are
exact and use a few features; the other features keep random weights, scaled down in the last layer of each operator. In
terms of the estimates: the SR branch corrects the interpolation by its re-projection, the LR-HSI is a linear map of the
MS bands, and the fused image is the interpolated LR-HSI with the HR-MSI's details. The linear map returns grey spectra
without training images, otherwise the least-squares fit for each cluster.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from finewave.nn.sampling import BPUp
from finewave.systems.jssunet.clusters import ClusterMLP, ClusterNet, kmeans_centroids

if TYPE_CHECKING:
    from finewave.systems.jssunet.network import HFI, LFE, FusionBranch, JSSUNet, SRBranch, SSRBranch

_LITTLE = 1e-3
"""Scale of the random weights in the last layer of an operator."""
_ALIVE = 1e-3
"""Bias after the ReLU of an adjoint: keeps a gradient where the correction is 0."""
_PIXELS = 2_000
"""Pixels sampled from each training image."""


class LinearOperators(NamedTuple):
    """The linear parts of S and of the map back.

    Attributes
    ----------
    down : Tensor (c, C)
        HS bands to MS bands.
    up : Tensor (C, c)
        MS bands to HS bands.
    up_of_clusters : Tensor (M, C, c)
        The same for the pixels of each cluster.
    """

    down: Tensor
    up: Tensor
    up_of_clusters: Tensor


@torch.no_grad()
def start_as_operators(net: JSSUNet) -> None:
    """Initialise each learned operator as its classical counterpart, with grey spectra."""
    _start_sr(net.sr)
    _quieten_spectral(net.ssr)
    _quieten_fusion(net.fusion)
    if net.post is not None:
        net.post.tail.weight.mul_(_LITTLE)
    c, C = net.ms_bands, net.hs_bands
    up = torch.full((C, c), 1 / c)
    grey = LinearOperators(torch.full((c, C), 1 / C), up, up.expand(net.ssr.initial.n_clusters, C, c))
    _set_spectral(net.ssr, grey)
    _set_fusion(net.fusion, grey)


@torch.no_grad()
def fit_operators(net: JSSUNet, images: Iterable[tuple[Tensor, Tensor]], seed: int) -> None:
    """Fit the operators of `start_as_operators` to training images, see `fit_spectral_operators`."""
    _set_fusion(net.fusion, fit_spectral_operators(net.ssr, images, seed))


@torch.no_grad()
def fit_fusion_operators(branch: FusionBranch, images: Iterable[tuple[Tensor, Tensor]], seed: int) -> None:
    """Fit the linear operators of a separate fusion branch to MSI and HSI of the same pixels."""
    generator = torch.Generator().manual_seed(seed)
    f, g = (torch.cat(pixels) for pixels in zip(*(_some_pixels(generator, *pair) for pair in images), strict=True))
    _set_fusion(branch, _fit(f, g, torch.zeros(len(f), dtype=torch.long), 1))


# --- SR -----------------------------------------------------------------------------------------------------------


def _start_sr(branch: SRBranch) -> None:
    for stage in _stages(branch):
        stage.down.reset_to_average()
        if isinstance(stage.up, BPUp):
            stage.up.reset_to_back_projection()
        else:
            stage.up.reset_to_interpolation()
        _quieten(stage.prox.tail)


# --- SSR ----------------------------------------------------------------------------------------------------------


def _quieten_spectral(branch: SSRBranch) -> None:
    if branch.clusters.kind == "learned":
        _start_clusters(branch.clusters.net)
    operators = [branch.initial, *(o for stage in _stages(branch) for o in (stage.spec_down, stage.spec_up))]
    for mlp in operators:
        mlp.weight[-1].mul_(_LITTLE)
        mlp.bias[-1].zero_()
    for stage in _stages(branch):
        _quieten(stage.prox.tail)
        if stage.spec_up.relu_output:
            stage.spec_up.bias[-1].fill_(_ALIVE)
            stage.prox.tail.bias.fill_(_ALIVE)  # gives it back


def _start_clusters(net: ClusterNet) -> None:
    """Initialise the clusters by colour and brightness.

    PyTorch's initialisation is dominated by the bias: all dark pixels would fall into one cluster.
    """
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    net[-1].weight.mul_(10)


def _set_spectral(branch: SSRBranch, operators: LinearOperators) -> None:
    """Let SpecDown be the map S, u^0 that of the pixel's cluster, and the adjoint the pseudo-inverse of S.

    Then a stage projects u onto the spectra that S maps to f. The true spectrum is one of them, so no step increases
    the error.
    """
    M = branch.initial.n_clusters
    down = operators.down.expand(M, *operators.down.shape)
    back = torch.linalg.pinv(down)
    _set_mlp(branch.initial, operators.up_of_clusters)
    for stage in _stages(branch):
        _set_mlp(stage.spec_down, down)
        _set_mlp(stage.spec_up, back, signed=True)


def _set_mlp(mlp: ClusterMLP, maps: Tensor, signed: bool = False) -> None:
    """Set ``mlp`` to the linear ``maps`` (M, out, in), for non-negative or for signed inputs.

    With fewer hidden units than inputs, the mean of the inputs is used, if there is one unit for each sign.
    """
    if len(mlp.weight) == 1:
        mlp.weight[0].copy_(maps)
        return
    hidden, n = mlp.weight[0].shape[1:]
    signs = (1.0, -1.0)[: min(hidden, 2)] if signed else (1.0,)
    inputs = torch.eye(n) if n * len(signs) <= hidden else torch.full((1, n), 1 / n)
    spread = maps if len(inputs) == n else maps.sum(2, keepdim=True)
    for i, sign in enumerate(signs):
        units = slice(i * len(inputs), (i + 1) * len(inputs))
        mlp.weight[0][:, units] = sign * inputs
        mlp.bias[0][:, units] = 0
        mlp.weight[1][:, :, units] = sign * spread


@torch.no_grad()
def fit_spectral_operators(branch: SSRBranch, images: Iterable[tuple[Tensor, Tensor]], seed: int) -> LinearOperators:
    """Initialise the SSR branch with the least-squares maps between images of the same pixels.

    Learned clusters are also initialised, by k-means on the input of their last layer; none is empty.

    Parameters
    ----------
    branch : SSRBranch
        Its k-means centroids, if it has any, are chosen already.
    images : iterable of pairs of Tensors
        MSI (B, c, h, w) and HSI (B, C, h, w), sampled in a few pixels each.
    seed : int
        Of the choice of pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    learned = branch.clusters.kind == "learned"

    def looked_at(f: Tensor) -> Tensor:
        """Return the input of the clusters' last layer."""
        for layer in list(branch.clusters.net)[:-1] if learned else ():
            f = layer(f)
        return f

    pixels = zip(*(_some_pixels(generator, looked_at(f), f, g) for f, g in images), strict=True)
    features, f, g = (torch.cat(part) for part in pixels)
    if learned:
        last = branch.clusters.net[-1]
        assert isinstance(last, nn.Conv2d)
        _start_at_kmeans(last, features, seed)
        labels = (features @ last.weight[:, :, 1, 1].T + last.bias).argmax(1)
    else:
        labels = branch.clusters(features.T[None, :, :, None])[0].argmax(1).flatten()
    operators = _fit(f, g, labels, branch.initial.n_clusters)
    _set_spectral(branch, operators)
    return operators


def _some_pixels(generator: torch.Generator, *images: Tensor) -> list[Tensor]:
    """Return the same pixels (N, bands) of each of several images (B, bands, h, w)."""
    B, _, h, w = images[0].shape
    sampled = torch.randperm(B * h * w, generator=generator)[:_PIXELS]
    return [image.permute(0, 2, 3, 1).flatten(0, 2)[sampled] for image in images]


def _fit(ms: Tensor, hs: Tensor, labels: Tensor, n_clusters: int) -> LinearOperators:
    """Return the least-squares maps between ``ms`` (N, c) and ``hs`` (N, C) for each cluster of pixels."""
    f, g = ms.double(), hs.double()
    up = _least_squares(f, g, torch.zeros(g.shape[1], f.shape[1]).to(f), 1e-5)
    # S is linear like the camera: fitted almost exactly, so that S(u) - f is 0 where it should be
    down = _least_squares(g, f, torch.zeros(f.shape[1], g.shape[1]).to(f), 1e-9)
    of_clusters = [_least_squares(f[labels == m], g[labels == m], up, 1e-5) for m in range(n_clusters)]
    return LinearOperators(down.float(), up.float(), torch.stack(of_clusters).float())


def _start_at_kmeans(layer: nn.Conv2d, features: Tensor, seed: int) -> None:
    """Set the logits to -1/2 of the squared distances to k-means centroids, relative to the mean smallest one."""
    centroids = kmeans_centroids(features, layer.out_channels, seed)
    unit = (torch.cdist(features, centroids).amin(1).square().mean() / 2).clamp(min=1e-6)  # 0 if all pixels are equal
    assert layer.bias is not None
    layer.weight.zero_()
    layer.weight[:, :, 1, 1] = centroids / unit
    layer.bias.copy_(-centroids.square().sum(1) / 2 / unit)


def _least_squares(x: Tensor, y: Tensor, prior: Tensor, ridge: float) -> Tensor:
    """Return A (out, in) that minimises |y - x A'|^2 for x (N, in), y (N, out), with a ``ridge`` towards ``prior``.

    The ridge is needed for nearly dependent bands and for clusters with few or no pixels.
    """
    penalty = ridge * (1e-3 + x.square().sum() / x.shape[1]) * torch.eye(x.shape[1]).to(x)
    return torch.linalg.solve(x.T @ x + penalty, x.T @ y + penalty @ prior.T).T


# --- Fusion -------------------------------------------------------------------------------------------------------


def _quieten_fusion(branch: FusionBranch) -> None:
    branch.low_ms.conv2.weight.mul_(_LITTLE)
    branch.low_hs.conv2.weight.mul_(_LITTLE)
    for module in (branch.high, branch.initial):
        if module.conv2 is not None:
            assert module.conv2.bias is not None
            module.conv2.bias.zero_()
        for block in module.blocks:
            block.conv3.weight.mul_(_LITTLE)
        _quieten(module.conv3)
    for stage in _stages(branch):
        _quieten(stage.prox.tail)


def _set_fusion(branch: FusionBranch, operators: LinearOperators) -> None:
    """Initialise a and z as linear maps of the HR-MSI, b as the LR-HSI, u^0 as the LR-HSI with the HR-MSI's details."""
    up, seen = operators.up, operators.up @ operators.down
    C = len(up)
    _set_low(branch.low_ms, up, up)
    _set_low(branch.low_hs, torch.eye(C), operators.down)
    # the low frequencies, the base of the sum, are those of the LR-HSI seen through S: they are subtracted
    _set_high(branch.high, up, -seen, operators.down)
    _set_high(branch.initial, up, torch.eye(C) - 2 * seen, operators.down)


def _set_low(module: LFE, bands: Tensor, seen: Tensor) -> None:
    """Set the low frequencies to ``bands`` (out, in) times the input, as exactly as the `_carriers` allow."""
    carriers = _carriers(seen, module.conv1.out_channels)
    _set_middle(module.conv1, slice(0, len(carriers)), carriers)
    _set_middle(module.conv2, slice(None), bands @ carriers.T)


def _set_high(module: HFI, of_ms: Tensor, of_hs: Tensor, down: Tensor) -> None:
    """Set the details to ``of_ms`` (C, c) times the HR-MSI plus ``of_hs`` (C, C) times the HSI."""
    c, features = of_ms.shape[1], module.conv1.out_channels
    needed = c + len(of_hs) if len(module.blocks) else 2 * c  # residual blocks pass non-negative values, such as bands
    if features < needed:
        return  # the low frequencies alone
    carriers = torch.block_diag(torch.eye(c), _carriers(down, features - c))
    n = len(carriers)
    _set_middle(module.conv1, slice(0, n), carriers)
    if module.conv2 is not None:
        _set_middle(module.conv2, slice(0, n), torch.eye(n))
    _set_middle(module.conv3, slice(None), torch.cat((of_ms, of_hs), 1) @ carriers.T)


def _carriers(first: Tensor, features: int) -> Tensor:
    """Return orthonormal rows (n, bands), n <= features, that carry spectra.

    One per band if there are enough, otherwise the projections ``first`` (m, bands), then the lowest-frequency cosines.
    """
    bands = first.shape[1]
    if features >= bands:
        return torch.eye(bands)
    cosines = torch.cos(math.pi * torch.arange(bands)[:, None] * (torch.arange(bands) + 0.5) / bands)
    basis, size = torch.linalg.qr(torch.cat((first, cosines)).T[:, : features + len(first)])
    return basis[:, size.diagonal().abs() > 1e-4].T[:features]


def _set_middle(layer: nn.Conv2d, rows: slice, values: Tensor) -> None:
    """Set the output channels ``rows`` to ``values`` times the first input channels, pixel by pixel.

    If the layer has other rows, these rows ignore all other input; otherwise weights of further channels stay
    unchanged.
    """
    middle, n = layer.kernel_size[0] // 2, values.shape[1]
    layer.weight[rows, :n] = 0
    if rows.stop is not None:
        layer.weight[rows, n:] = 0
    layer.weight[rows, :n, middle, middle] = values


def _stages(branch: SRBranch | SSRBranch | FusionBranch) -> list[Any]:
    """Return the stages of a branch, typed."""
    return list(branch.stages)


def _quieten(layer: nn.Conv2d) -> None:
    """Keep little of the random weights and no bias."""
    assert layer.bias is not None
    layer.weight.mul_(_LITTLE)
    layer.bias.zero_()
