"""Per-pixel operators with one small MLP for each cluster of pixels."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ClusterMLP(nn.Module):
    """One MLP per cluster; every pixel passes through the MLP of its own cluster.

    Parameters
    ----------
    n_clusters : int
        M, the number of clusters.
    widths : sequence of int
        Channels from input to output, e.g. ``(c, F, C)``; ReLU between the layers.
    relu_output : bool
        ReLU after the last layer too.

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
        for w, b in zip(self.weight, self.bias, strict=True):  # the framework's own rule for linear layers
            bound = 1 / math.sqrt(w.shape[-1])
            nn.init.uniform_(w, -bound, bound)
            nn.init.uniform_(b, -bound, bound)

    def forward(self, x: Tensor, assignment: Tensor) -> Tensor:
        """Apply to every pixel the MLP of its cluster.

        Parameters
        ----------
        x : Tensor
            (B, in, H, W).
        assignment : Tensor
            (B, M, H, W), one-hot over M in value. Where it carries a gradient (straight-through), the output is
            the sum over m of ``assignment[m] * MLP_m(x)``, which has the same value and lets the gradient pass.

        Returns
        -------
        Tensor
            (B, out, H, W).
        """
        if assignment.requires_grad:
            return self._weighted_sum(x, assignment)
        return self._grouped(x, assignment.argmax(1))

    def _weighted_sum(self, x: Tensor, assignment: Tensor) -> Tensor:
        """All MLPs on all pixels: what the gradient with respect to the assignment needs."""
        M, last = self.n_clusters, len(self.weight) - 1
        for i, (w, b) in enumerate(zip(self.weight, self.bias, strict=True)):
            # the first layer sees the same x for every cluster, the later ones their own cluster's features
            x = F.conv2d(x, w.flatten(0, 1)[:, :, None, None], b.flatten(), groups=1 if i == 0 else M)
            if i < last or self.relu_output:
                x = F.relu(x)
        return (x.unflatten(1, (M, -1)) * assignment.unsqueeze(2)).sum(1)

    def _grouped(self, x: Tensor, labels: Tensor) -> Tensor:
        """Only the pixels of each cluster through its MLP: memory stays that of the output."""
        B, _, H, W = x.shape
        pixels = x.permute(0, 2, 3, 1).flatten(0, 2)
        labels = labels.flatten()
        order = labels.argsort()
        counts = torch.bincount(labels, minlength=self.n_clusters).tolist()
        outputs = []
        for m, group in enumerate(pixels[order].split(counts)):
            for i, (w, b) in enumerate(zip(self.weight, self.bias, strict=True)):
                group = F.linear(group, w[m], b[m])
                if i < len(self.weight) - 1 or self.relu_output:
                    group = F.relu(group)
            outputs.append(group)
        grouped = torch.cat(outputs)
        result = torch.empty_like(grouped).index_copy(0, order, grouped)
        return result.view(B, H, W, -1).permute(0, 3, 1, 2)


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
        (B, M, H, W), exactly one-hot; where gradients are wanted its backward is that of the softmax.
    probability : Tensor
        (B, M, H, W), the softmax.
    """
    probability = logits.softmax(1)
    one_hot = one_hot_of(logits.argmax(1), logits.shape[1], probability.dtype)
    if not probability.requires_grad:
        return one_hot, probability
    return _StraightThrough.apply(one_hot, probability), probability


class _StraightThrough(torch.autograd.Function):
    """Value of the first argument, gradient to the second; ``h + p - p.detach()`` would round the ones."""

    @staticmethod
    def forward(ctx, one_hot: Tensor, probability: Tensor) -> Tensor:
        return one_hot.clone()

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0]


def one_hot_of(labels: Tensor, n_clusters: int, dtype: torch.dtype) -> Tensor:
    """Return labels (B, H, W) as one-hot (B, M, H, W)."""
    shape = (labels.shape[0], n_clusters, *labels.shape[1:])
    return torch.zeros(shape, dtype=dtype, device=labels.device).scatter_(1, labels.unsqueeze(1), 1)


def nearest_centroid(x: Tensor, centroids: Tensor) -> Tensor:
    """Return for each pixel of ``x`` (B, c, H, W) the index (B, H, W) of the nearest of ``centroids`` (M, c)."""
    pixels = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    pixels = pixels.to(torch.promote_types(x.dtype, torch.float32))  # distances differ in digits that halves lack
    return torch.cdist(pixels, centroids.to(pixels)).argmin(1).view(x.shape[0], *x.shape[2:])


def balance_penalty(probability: Tensor) -> Tensor:
    """Return how far the clusters are from being both in equal use and clearly told apart; 0 (both) to log M.

    Mean entropy of the pixels' probabilities minus the entropy of their mean, plus log M: the negative mutual
    information of pixel and cluster (Krause, Perona, Gomes, 2010, "Discriminative clustering by regularized
    information maximization", eq. 3). A penalty on the usage alone is also least when every pixel hesitates
    between all clusters; the argmax then follows rounding noise and no cluster learns anything of its own.

    Parameters
    ----------
    probability : Tensor
        (B, M, H, W), softmax.
    """
    p = probability.float().clamp(min=1e-8)  # the entropy has no slope at 0
    mean = p.mean((0, 2, 3))
    hesitation = torch.special.entr(p).sum(1).mean()
    return hesitation - torch.special.entr(mean).sum() + math.log(p.shape[1])
