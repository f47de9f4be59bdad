"""How JSSUNet starts: every learned operator as the one that it stands for, so that no stage makes worse what came in.

Neither paper nor public code says anything of it; ``initialisation="framework"`` is PyTorch's start. What is set here
is exact, on a few features; the others keep their random weights, and the last layer of each operator hears little of
them. In terms of the estimates: the SR branch corrects the interpolation by its re-projection, the LR-HSI is a linear
map of the MS bands, and the fused image is the interpolated LR-HSI with the HR-MSI's details. Which linear map: grey
without training images, else the one that fits these best, cluster by cluster.
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
"""Share of the random weights in the last layer of an operator."""
_ALIVE = 1e-3
"""Bias behind the ReLU of an adjoint, whose output is 0 where nothing is to be corrected: with a gradient."""
_PIXELS = 2_000
"""Pixels that are looked at in each training image."""


class LinearOperators(NamedTuple):
    """S and the map back, as far as they are linear.

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
    """Let each learned operator start as the one that it stands for, spectra as grey ones."""
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
    """Fit what `start_as_operators` set to LR-MSI and LR-HSI of training images, see `fit_spectral_operators`."""
    _set_fusion(net.fusion, fit_spectral_operators(net.ssr, images, seed))


@torch.no_grad()
def fit_fusion_operators(branch: FusionBranch, images: Iterable[tuple[Tensor, Tensor]], seed: int) -> None:
    """Fit what the fusion takes for linear to MSI and HSI of the same pixels, for a fusion branch on its own."""
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
    """Let the first clusters be colours and brightnesses.

    PyTorch's start is mostly bias: dark pixels all fall into one cluster, by next to nothing.
    """
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    net[-1].weight.mul_(10)


def _set_spectral(branch: SSRBranch, operators: LinearOperators) -> None:
    """Let SpecDown be the map S, u^0 that of the pixel's cluster, and the adjoint the pseudo-inverse of S.

    With it a stage projects u on the spectra that S maps to f. The truth is one of them, so no step leads away from it.
    """
    M = branch.initial.n_clusters
    down = operators.down.expand(M, *operators.down.shape)
    back = torch.linalg.pinv(down)
    _set_mlp(branch.initial, operators.up_of_clusters)
    for stage in _stages(branch):
        _set_mlp(stage.spec_down, down)
        _set_mlp(stage.spec_up, back, signed=True)


def _set_mlp(mlp: ClusterMLP, maps: Tensor, signed: bool = False) -> None:
    """Let ``mlp`` be the ``maps`` (M, out, in) of non-negative inputs, or of signed ones, of which a ReLU passes half.

    Where there are fewer hidden units than inputs, these are their mean, as far as there is one unit for each sign.
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
    """Start the SSR branch at the maps of least squared error between images of the same pixels.

    Learned clusters start anew too, at k-means clusters of what their last layer sees, of which none is empty.

    Parameters
    ----------
    branch : SSRBranch
        Its k-means centroids, if it has any, are chosen already.
    images : iterable of pairs of Tensors
        MSI (B, c, h, w) and HSI (B, C, h, w), looked at in a few pixels each.
    seed : int
        Of the choice of pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    learned = branch.clusters.kind == "learned"

    def looked_at(f: Tensor) -> Tensor:
        """Return what the clusters' last layer sees."""
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
    """Return the maps of least squared error between ``ms`` (N, c) and ``hs`` (N, C), by the clusters of the pixels."""
    f, g = ms.double(), hs.double()
    up = _least_squares(f, g, torch.zeros(g.shape[1], f.shape[1]).to(f), 1e-5)
    # S is linear where the camera is: as exact as numbers allow, so that S(u) - f is 0 where it should be
    down = _least_squares(g, f, torch.zeros(f.shape[1], g.shape[1]).to(f), 1e-9)
    of_clusters = [_least_squares(f[labels == m], g[labels == m], up, 1e-5) for m in range(n_clusters)]
    return LinearOperators(down.float(), up.float(), torch.stack(of_clusters).float())


def _start_at_kmeans(layer: nn.Conv2d, features: Tensor, seed: int) -> None:
    """Let the logits be minus half the squared distances from k-means centroids, in units of the mean of the least."""
    centroids = kmeans_centroids(features, layer.out_channels, seed)
    unit = (torch.cdist(features, centroids).amin(1).square().mean() / 2).clamp(min=1e-6)  # 0 if all are alike
    assert layer.bias is not None
    layer.weight.zero_()
    layer.weight[:, :, 1, 1] = centroids / unit
    layer.bias.copy_(-centroids.square().sum(1) / 2 / unit)


def _least_squares(x: Tensor, y: Tensor, prior: Tensor, ridge: float) -> Tensor:
    """Return A (out, in) with the least |y - x A'|^2 for x (N, in) and y (N, out), drawn to ``prior`` by a ``ridge``.

    The ridge is there for bands that are nearly dependent and for clusters of a few pixels or none.
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
    """Let a and z be what the HR-MSI says of the HR-HSI, b the LR-HSI, and u^0 the LR-HSI with the HR-MSI's details."""
    up, seen = operators.up, operators.up @ operators.down
    C = len(up)
    _set_low(branch.low_ms, up, up)
    _set_low(branch.low_hs, torch.eye(C), operators.down)
    # the low frequencies, to which all is added, are those that the LR-HSI has seen through S: they are taken away
    _set_high(branch.high, up, -seen, operators.down)
    _set_high(branch.initial, up, torch.eye(C) - 2 * seen, operators.down)


def _set_low(module: LFE, bands: Tensor, seen: Tensor) -> None:
    """Let the low frequencies be ``bands`` (out, in) times the input, as far as so many `_carriers` can carry it."""
    carriers = _carriers(seen, module.conv1.out_channels)
    _set_middle(module.conv1, slice(0, len(carriers)), carriers)
    _set_middle(module.conv2, slice(None), bands @ carriers.T)


def _set_high(module: HFI, of_ms: Tensor, of_hs: Tensor, down: Tensor) -> None:
    """Let what is added to the low frequencies be ``of_ms`` (C, c) of the HR-MSI and ``of_hs`` (C, C) of the HSI."""
    c, features = of_ms.shape[1], module.conv1.out_channels
    room = c + len(of_hs) if len(module.blocks) else 2 * c  # residual blocks pass what is not negative, as bands are
    if features < room:
        return  # the low frequencies alone
    carriers = torch.block_diag(torch.eye(c), _carriers(down, features - c))
    n = len(carriers)
    _set_middle(module.conv1, slice(0, n), carriers)
    if module.conv2 is not None:
        _set_middle(module.conv2, slice(0, n), torch.eye(n))
    _set_middle(module.conv3, slice(None), torch.cat((of_ms, of_hs), 1) @ carriers.T)


def _carriers(first: Tensor, features: int) -> Tensor:
    """Return orthonormal rows (n, bands), n <= features, that carry spectra.

    One for each band if there is room, else what ``first`` (m, bands) sees of spectra, then the slowest cosines.
    """
    bands = first.shape[1]
    if features >= bands:
        return torch.eye(bands)
    cosines = torch.cos(math.pi * torch.arange(bands)[:, None] * (torch.arange(bands) + 0.5) / bands)
    basis, size = torch.linalg.qr(torch.cat((first, cosines)).T[:, : features + len(first)])
    return basis[:, size.diagonal().abs() > 1e-4].T[:features]


def _set_middle(layer: nn.Conv2d, rows: slice, values: Tensor) -> None:
    """Let the output channels ``rows`` be ``values`` times the first input channels, pixel by pixel.

    Where the layer has more rows than these, they are rid of all other input; else what comes from further channels
    stays as it is.
    """
    middle, n = layer.kernel_size[0] // 2, values.shape[1]
    layer.weight[rows, :n] = 0
    if rows.stop is not None:
        layer.weight[rows, n:] = 0
    layer.weight[rows, :n, middle, middle] = values


def _stages(branch: SRBranch | SSRBranch | FusionBranch) -> list[Any]:
    """Return the stages of a branch, whose type a module list does not tell."""
    return list(branch.stages)


def _quieten(layer: nn.Conv2d) -> None:
    """Keep little of the random weights and no bias."""
    assert layer.bias is not None
    layer.weight.mul_(_LITTLE)
    layer.bias.zero_()
