"""Window attention in PyTorch: for every device, and the reference for the compiled operators.

Images are channels last, (B, H, W, C), and processed in bands of rows or pieces of the flattened image. Nothing here
synchronises with a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# Pixels (attention) and values (MLP) processed at a time: as many as fit into a CPU's cache, or fill a GPU.
CHUNK_PIXELS = {"cpu": 16_384, "cuda": 262_144}
CHUNK_VALUES = {"cpu": 4_096, "cuda": 4_194_304}


def attention(
    phi: Tensor, theta: Tensor, value: Tensor, window: int, k: int, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum the ``k`` values of the window that score best, weighted by the softmax of their scores.

    Parameters
    ----------
    phi, theta, value : Tensor
        (B, H, W, e), (B, H, W, e) and (B, H, W, C), contiguous, all float32 or all float64.
    window, k : int
        Side of the window, and number of positions kept.
    keep : bool
        Whether to return ``indices`` and ``weights``, which the backward pass needs; otherwise they are empty.

    Returns
    -------
    summed, indices, weights : Tensor
        (B, H, W, C); the selected positions of the window, counted row by row, and their weights, (B, H, W, k).
    """
    B, H, W, _ = value.shape
    r = window // 2
    values = _with_outside(value)
    theta_padded = F.pad(theta.permute(0, 3, 1, 2), (r, r, r, r))
    kept = (B, H, W, k) if keep else (0, 0, 0, 0)
    summed = torch.empty_like(value)
    indices = torch.empty(kept, dtype=position_type(window), device=value.device)
    weights = torch.empty(kept, dtype=value.dtype, device=value.device)
    for b, top, n in _bands(B, H, max(1, _chunk(CHUNK_PIXELS, value) // W)):
        centre = phi[b, top : top + n].permute(2, 0, 1).contiguous()
        scores = phi.new_empty(window * window, n, W)
        for i in range(window * window):  # whole rows at a time: windows are never copied
            dy, dx = divmod(i, window)
            torch.sum(centre * theta_padded[b, :, top + dy : top + dy + n, dx : dx + W], 0, out=scores[i])
        scores = scores.permute(1, 2, 0).contiguous()
        positions = _largest(scores, k)
        share = scores.gather(-1, positions).softmax(-1)
        at = _pixels(positions, b, top, H, W, window, B)
        total = torch.zeros_like(summed[b, top : top + n])
        for j in range(k):
            total += share[..., j, None] * values[at[..., j]]
        summed[b, top : top + n] = total
        if keep:
            indices[b, top : top + n] = positions.to(indices.dtype)
            weights[b, top : top + n] = share
    return summed, indices, weights


def attention_backward(
    gradient: Tensor, phi: Tensor, theta: Tensor, value: Tensor, indices: Tensor, weights: Tensor, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of phi, theta and value from that of the sum and the selected positions."""
    B, H, W, _ = value.shape
    k = indices.shape[-1]
    values, thetas = _with_outside(value), _with_outside(theta)
    phi_gradient, thetas_gradient, values_gradient = (torch.zeros_like(t) for t in (phi, thetas, values))
    for b, top, n in _bands(B, H, max(1, _chunk(CHUNK_PIXELS, value) // W)):
        rows = slice(top, top + n)
        at = _pixels(indices[b, rows].long(), b, top, H, W, window, B)
        g, share, centre = gradient[b, rows], weights[b, rows], phi[b, rows]
        share_gradient = torch.stack([(g * values[at[..., j]]).sum(-1) for j in range(k)], -1)
        scores_gradient = share * (share_gradient - (share * share_gradient).sum(-1, keepdim=True))
        for j in range(k):
            flat, s = at[..., j].flatten(), scores_gradient[..., j, None]
            values_gradient.index_add_(0, flat, (share[..., j, None] * g).flatten(0, 1))
            thetas_gradient.index_add_(0, flat, (s * centre).flatten(0, 1))
            phi_gradient[b, rows] += s * thetas[at[..., j]]
    return phi_gradient, thetas_gradient[:-1].view_as(theta), values_gradient[:-1].view_as(value)


def combination(heads: Sequence[Tensor], weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    """Return ``weight2 relu(weight1 [heads] + bias1) + bias2`` for each value of the ``heads``, one number.

    Parameters
    ----------
    heads : sequence of N Tensor
        Contiguous, of one shape, which is the result's.
    weight1, bias1, weight2, bias2 : Tensor
        (hidden, N), (hidden,), (1, hidden) and (1,).
    """
    combined = torch.empty_like(heads[0])
    for result, *values in _pieces(combined, *heads):
        hidden = F.linear(torch.stack(values, -1), weight1, bias1).relu_()
        result.copy_(F.linear(hidden, weight2, bias2).squeeze(-1))
    return combined


def combination_backward(
    gradient: Tensor, heads: Sequence[Tensor], weight1: Tensor, bias1: Tensor, weight2: Tensor
) -> tuple[list[Tensor], Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of the heads, weight1, bias1, weight2 and bias2; the hidden layer is recomputed."""
    gradients = [torch.empty_like(head) for head in heads]
    of_weight1, of_bias1, of_weight2 = (torch.zeros_like(t) for t in (weight1, bias1, weight2))
    N = len(heads)
    for g, *values in _pieces(gradient, *heads, *gradients):
        stacked, results = torch.stack(values[:N], -1), values[N:]
        hidden = F.linear(stacked, weight1, bias1)
        of_weight2 += g @ hidden.relu()
        passed = torch.where(hidden <= 0, 0, g.unsqueeze(-1) * weight2)
        of_weight1 += passed.T @ stacked
        of_bias1 += passed.sum(0)
        for result, column in zip(results, (passed @ weight1).unbind(-1), strict=True):
            result.copy_(column)
    return gradients, of_weight1, of_bias1, of_weight2, gradient.sum().view(1)


def _largest(scores: Tensor, k: int) -> Tensor:
    """Return the indices (..., k) of the k largest along the last axis, in any order."""
    if scores.device.type == "cpu":  # selection without sorting: five times faster than topk
        return torch.from_numpy(np.argpartition(scores.numpy(), -k, axis=-1)[..., -k:])
    return scores.topk(k, sorted=False).indices


def position_type(window: int) -> torch.dtype:
    """Return the smallest type that counts the positions of the window."""
    return torch.int16 if window * window < 2**15 else torch.int32


def _chunk(sizes: dict[str, int], tensor: Tensor) -> int:
    return sizes.get(tensor.device.type, sizes["cuda"])


def _bands(images: int, height: int, rows: int) -> Iterator[tuple[int, int, int]]:
    """Yield image, first row and number of rows of each band."""
    return ((b, top, min(rows, height - top)) for b in range(images) for top in range(0, height, rows))


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    size = _chunk(CHUNK_VALUES, tensors[0])
    return zip(*(tensor.view(-1).split(size) for tensor in tensors), strict=True)


def _with_outside(image: Tensor) -> Tensor:
    """Return (B H W + 1, C): all pixels, and a row of zeros for positions outside."""
    return F.pad(image.flatten(0, 2), (0, 0, 0, 1))


def _pixels(positions: Tensor, b: int, top: int, H: int, W: int, window: int, B: int) -> Tensor:
    """Return the pixel index of window ``positions`` (n, W, k) of some rows; B H W for positions outside."""
    r = window // 2
    y = torch.arange(top - r, top - r + positions.shape[0], device=positions.device).view(-1, 1, 1)
    x = torch.arange(-r, W - r, device=positions.device).view(-1, 1)
    y, x = y + positions // window, x + positions % window
    outside = (y < 0) | (y >= H) | (x < 0) | (x >= W)
    return ((b * H + y) * W + x).masked_fill_(outside, B * H * W)
