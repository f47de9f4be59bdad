"""Per-pixel operators with one small MLP for each cluster of pixels."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from finewave.nn.exporting import exporting

BLOCK = 64
"""Pixels per block of the batched product; a cluster's last block is padded."""
# Pixels processed at a time: as many as fit into a CPU's cache, or fill a GPU.
SLAB_PIXELS = {"cpu": 4_096, "cuda": 4_194_304}


class ClusterMLP(nn.Module):
    """One MLP per cluster; every pixel passes through the MLP of its own cluster.

    Parameters
    ----------
    n_clusters : int
        M, the number of clusters.
    widths : sequence of int
        Channels from input to output, e.g. ``(c, F, C)``; ReLU between the layers.
    relu_output : bool
        Whether a ReLU follows the last layer.

    Notes
    -----
    The weights of all clusters are stacked: ``weight[i]`` is (M, out, in) and ``bias[i]`` (M, out) for layer i.
    """

    def __init__(self, n_clusters: int, widths: tuple[int, ...], relu_output: bool = True) -> None:
        super().__init__()
        self.n_clusters, self.widths, self.relu_output = n_clusters, tuple(widths), relu_output
        layers = list(itertools.pairwise(widths))
        self.weight = nn.ParameterList(nn.Parameter(torch.empty(n_clusters, o, i)) for i, o in layers)
        self.bias = nn.ParameterList(nn.Parameter(torch.empty(n_clusters, o)) for _, o in layers)
        for w, b in zip(self.weight, self.bias, strict=True):  # PyTorch's initialisation of linear layers
            bound = 1 / math.sqrt(w.shape[-1])
            nn.init.uniform_(w, -bound, bound)
            nn.init.uniform_(b, -bound, bound)

    def forward(self, x: Tensor, assignment: Tensor, groups: PixelGroups | None = None) -> Tensor:
        """Apply to every pixel the MLP of its cluster.

        Parameters
        ----------
        x : Tensor
            (B, in, H, W).
        assignment : Tensor
            (B, M, H, W), one-hot over M in value. If it requires a gradient (straight-through), the output is the sum
            over m of ``assignment[m] * MLP_m(x)``, which has the same value and propagates the gradient.
        groups : PixelGroups, optional
            `group_pixels` of the assignment; operators that share an assignment can share it.

        Returns
        -------
        Tensor
            (B, out, H, W).
        """
        B, _, H, W = x.shape
        pixels = x.permute(0, 2, 3, 1).flatten(0, 2)
        output = self._grouped(pixels, group_pixels(assignment) if groups is None else groups)
        if assignment.requires_grad and torch.is_grad_enabled():
            shares = assignment.permute(0, 2, 3, 1).flatten(0, 2)
            output = _ChoiceOfMLP.apply(output, shares, pixels.detach(), self.relu_output, *self.weight, *self.bias)
        return output.view(B, H, W, -1).permute(0, 3, 1, 2)

    def _grouped(self, pixels: Tensor, groups: PixelGroups) -> Tensor:
        """Pixels (N, in) to (N, out): one batched product over all blocks, each block with its cluster's weights."""
        laid_out = pixels.new_zeros(groups.owner.shape[0] * BLOCK, pixels.shape[1]).index_copy(0, groups.place, pixels)
        laid_out = laid_out.view(-1, BLOCK, pixels.shape[1])
        if exporting():  # the number of slabs depends on the image
            slabs = [(laid_out, groups.owner)]
        else:
            slab = SLAB_PIXELS.get(pixels.device.type, SLAB_PIXELS["cuda"]) // BLOCK
            slabs = list(zip(laid_out.split(slab), groups.owner.split(slab), strict=True))
        outputs = []
        for blocks, owner in slabs:
            for i, (w, b) in enumerate(zip(self.weight, self.bias, strict=True)):
                # index_select and not w[owner], whose backward pass sorts
                w, b = w.index_select(0, owner), b.index_select(0, owner)
                blocks = torch.baddbmm(b.unsqueeze(1), blocks, w.transpose(1, 2))
                if i < len(self.weight) - 1 or self.relu_output:
                    blocks = F.relu(blocks, inplace=True)
            outputs.append(blocks)
        return torch.cat(outputs).flatten(0, 1).index_select(0, groups.place)


class SpecDown(ClusterMLP):
    """The spectral operator S, HS bands to MS bands: one linear map per cluster, or an MLP with one hidden layer.

    Parameters
    ----------
    n_clusters : int
        M.
    hs_bands, ms_bands : int
        C and c.
    hidden : int
        Width of the hidden layer; 0 for none, as in the public code.
    """

    def __init__(self, n_clusters: int, hs_bands: int, ms_bands: int, hidden: int = 0) -> None:
        super().__init__(n_clusters, (hs_bands, hidden, ms_bands) if hidden else (hs_bands, ms_bands))


class SpecUp(ClusterMLP):
    """The adjoint of S, or u^0 from f: MS bands to HS bands by one MLP per cluster, with one hidden layer.

    Parameters
    ----------
    n_clusters : int
        M.
    ms_bands, features, hs_bands : int
        c, the width of the hidden layer, and C.
    relu_output : bool
        Whether a ReLU follows the last layer, as published.
    """

    def __init__(self, n_clusters: int, ms_bands: int, features: int, hs_bands: int, relu_output: bool = True) -> None:
        super().__init__(n_clusters, (ms_bands, features, hs_bands), relu_output=relu_output)


class _ChoiceOfMLP(torch.autograd.Function):
    """The selected MLP's output, with the gradient of the sum over m of ``share[m] * MLP_m(x)`` for the shares.

    The outputs of the other MLPs are needed only for this gradient, so they are computed here, one MLP at a time, and
    never all stored.
    """

    @staticmethod
    def forward(
        ctx: Any, output: Tensor, shares: Tensor, pixels: Tensor, relu_output: bool, *parameters: Tensor
    ) -> Tensor:
        ctx.save_for_backward(pixels, *parameters)
        ctx.relu_output, ctx.share_dtype = relu_output, shares.dtype
        return output.view_as(output)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        pixels, *parameters = ctx.saved_tensors
        n_layers = len(parameters) // 2
        of_shares = []
        for m in range(parameters[0].shape[0]):
            x = pixels
            for i, (w, b) in enumerate(zip(parameters[:n_layers], parameters[n_layers:], strict=True)):
                x = F.linear(x, w[m], b[m])
                if i < n_layers - 1 or ctx.relu_output:
                    x = F.relu(x, inplace=True)
            of_shares.append(x.mul_(gradient).sum(1))
        return gradient, torch.stack(of_shares, 1).to(ctx.share_dtype), None, None, *([None] * len(parameters))


class PixelGroups(NamedTuple):
    """Layout that groups the pixels of each cluster in blocks of `BLOCK`.

    Attributes
    ----------
    place : Tensor
        (N,), row of each of the N pixels in the laid-out blocks. Unused rows pad a cluster's last block.
    owner : Tensor
        (blocks,), the cluster of each block. The number of blocks is that of the worst case, so that it is known
        without reading the labels, which would synchronise a GPU.
    """

    place: Tensor
    owner: Tensor


def group_pixels(assignment: Tensor) -> PixelGroups:
    """Return the groups of an ``assignment`` (B, M, H, W) that is one-hot over M; pixels count row by row."""
    if exporting():
        return _group_by_counting(assignment)
    labels, order = assignment.detach().argmax(1).flatten().sort()
    N, M = len(labels), assignment.shape[1]
    last = torch.searchsorted(labels, torch.arange(M, device=labels.device), right=True)
    counts = last.diff(prepend=last.new_zeros(1))
    last_block = (-(-counts // BLOCK)).cumsum(0)
    first_row = (last_block - -(-counts // BLOCK)) * BLOCK
    rank = torch.arange(N, device=labels.device) - (last - counts)[labels]
    place = torch.empty_like(order).scatter_(0, order, first_row[labels] + rank)
    blocks = torch.arange(N // BLOCK + M, device=labels.device)
    # unused blocks are assigned to the last cluster
    owner = torch.searchsorted(last_block, blocks, right=True).clamp(max=M - 1)
    return PixelGroups(place, owner)


def _group_by_counting(assignment: Tensor) -> PixelGroups:
    """Return `group_pixels` without sorting and searching, which ONNX lacks; uses M numbers per pixel."""
    member = assignment.detach().permute(0, 2, 3, 1).flatten(0, 2).long()  # (N, M)
    N, M = member.shape
    of_cluster = (member.sum(0) + BLOCK - 1) // BLOCK
    last_block = of_cluster.cumsum(0)
    first_row = (last_block - of_cluster) * BLOCK
    place = (member * (first_row + member.cumsum(0) - 1)).sum(1)
    blocks = torch.arange(N // BLOCK + M, device=member.device)
    owner = (blocks[:, None] >= last_block).long().sum(1).clamp(max=M - 1)
    return PixelGroups(place, owner)


class ClusterNet(nn.Sequential):
    """Cluster scores of every pixel from its 7 x 7 neighbourhood; (B, c, H, W) to logits (B, M, H, W)."""

    def __init__(self, channels: int, n_clusters: int) -> None:
        super().__init__(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, n_clusters, 3, padding=1),
        )


def straight_through(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Assign each pixel to its most probable cluster, with the softmax's gradient.

    Parameters
    ----------
    logits : Tensor
        (B, M, H, W).

    Returns
    -------
    assignment : Tensor
        (B, M, H, W), exactly one-hot; with gradients, its backward pass is that of the softmax.
    probability : Tensor
        (B, M, H, W), the softmax.
    """
    probability = logits.softmax(1)
    one_hot = one_hot_of(logits.argmax(1), logits.shape[1], probability.dtype)
    if not probability.requires_grad:
        return one_hot, probability
    return _StraightThrough.apply(one_hot, probability), probability


class _StraightThrough(torch.autograd.Function):
    """Value of the first argument, gradient to the second; ``h + p - p.detach()`` would be inexact."""

    @staticmethod
    def forward(ctx: Any, one_hot: Tensor, probability: Tensor) -> Tensor:
        return one_hot.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0]


def one_hot_of(labels: Tensor, n_clusters: int, dtype: torch.dtype) -> Tensor:
    """Return labels (B, H, W) as one-hot (B, M, H, W)."""
    shape = (labels.shape[0], n_clusters, *labels.shape[1:])
    return torch.zeros(shape, dtype=dtype, device=labels.device).scatter_(1, labels.unsqueeze(1), 1)


def kmeans_centroids(pixels: Tensor, n_clusters: int, seed: int) -> Tensor:
    """Return k-means centroids (M, c) of a random quarter of ``pixels`` (N, c), initialised by k-means++."""
    from scipy.cluster.vq import kmeans2

    random = np.random.default_rng(seed)
    values = pixels.cpu().numpy()
    quarter = random.choice(values, len(values) // 4, replace=False).astype(np.float64)
    centroids, _ = kmeans2(quarter, n_clusters, minit="++", rng=random)
    return torch.from_numpy(centroids).float()


def nearest_centroid(x: Tensor, centroids: Tensor) -> Tensor:
    """Return for each pixel of ``x`` (B, c, H, W) the index (B, H, W) of the nearest of ``centroids`` (M, c)."""
    pixels = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    pixels = pixels.to(torch.promote_types(x.dtype, torch.float32))  # distances differ in digits that halves lack
    return torch.cdist(pixels, centroids.to(pixels)).argmin(1).view(x.shape[0], *x.shape[2:])


def balance_penalty(probability: Tensor) -> Tensor:
    """Return a penalty for unequal use and unclear separation of clusters: 0 (best) to log M.

    Mean entropy of the pixels' probabilities minus the entropy of their mean, plus log M: the negative mutual
    information of pixel and cluster (Krause, Perona, Gomes, 2010, "Discriminative clustering by regularized information
    maximization", eq. 3). A penalty on the usage alone would also be minimal if all clusters were equally probable in
    every pixel; the argmax would then follow rounding noise, and clusters could not specialise.

    Parameters
    ----------
    probability : Tensor
        (B, M, H, W), softmax.
    """
    p = probability.float().clamp(min=1e-8)  # the entropy has no slope at 0
    mean = p.mean((0, 2, 3))
    hesitation = torch.special.entr(p).sum(1).mean()
    return hesitation - torch.special.entr(mean).sum() + math.log(p.shape[1])
