"""Cluster operators in their plain formulation: one cluster after the other, the pixels of each picked by a mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def mlp_of_cluster(
    pixels: Tensor, cluster: int, weights: Sequence[Tensor], biases: Sequence[Tensor], relu_output: bool
) -> Tensor:
    """Pixels (N, in) through the MLP of one cluster."""
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        pixels = F.linear(pixels, w[cluster], b[cluster])
        if i < len(weights) - 1 or relu_output:
            pixels = F.relu(pixels)
    return pixels


def by_mask(
    x: Tensor, labels: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], relu_output: bool
) -> Tensor:
    """Each pixel of ``x`` (B, in, H, W) through the MLP of its label (B, H, W)."""
    pixels = x.permute(0, 2, 3, 1)
    result = x.new_zeros(*labels.shape, weights[-1].shape[1])
    for m in range(weights[0].shape[0]):
        chosen = labels == m
        result = result.clone()
        result[chosen] = mlp_of_cluster(pixels[chosen], m, weights, biases, relu_output)
    return result.permute(0, 3, 1, 2)


def weighted_sum(
    x: Tensor, assignment: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], relu_output: bool
) -> Tensor:
    """The sum over m of ``assignment[m] * MLP_m(x)``, which defines the gradients."""
    pixels = x.permute(0, 2, 3, 1)
    outputs = [mlp_of_cluster(pixels, m, weights, biases, relu_output) for m in range(assignment.shape[1])]
    return (torch.stack(outputs, 1).permute(0, 1, 4, 2, 3) * assignment.unsqueeze(2)).sum(1)
