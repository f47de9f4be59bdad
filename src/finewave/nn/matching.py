"""Correspondence of two feature maps by their most similar patches, and what a decoder needs of it at three sizes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

PATCH = 3
CHUNK = 1 << 24  # correlations held at a time


class Correspondence(NamedTuple):
    """Where each pixel of one image is found in the other, at one size H x W.

    Attributes
    ----------
    offsets : Tensor (B, 9, 2, H, W)
        For each tap of a 3 x 3 kernel, in row-major order, the displacement (x, y) in pixels of this size.
    flow : Tensor (B, 2, H, W)
        Displacement between top left corners of patches; ``offsets[:, 4]`` is that between their centres.
    similarity : Tensor (B, 1, H, W)
        Normalised correlation of the patch around each pixel; 0 at the border.
    """

    offsets: Tensor
    flow: Tensor
    similarity: Tensor


def best_patches(features: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Find for each 3 x 3 patch the reference patch with the highest normalised correlation.

    The correlations of all pairs are never held at once: the patches of the input go through in chunks, without a
    gradient, and the similarity of the chosen pair is computed again with one.

    Parameters
    ----------
    features, reference : Tensor (B, D, h, w) and (B, D, h', w')

    Returns
    -------
    index : Tensor (B, h - 2, w - 2), long
        Row-major number of the patch among the (h' - 2) (w' - 2) of the reference.
    similarity : Tensor (B, h - 2, w - 2)
        Differentiable in both arguments.
    """
    a, b = (_normalised_patches(x) for x in (features, reference))
    size = (features.shape[2] - PATCH + 1, features.shape[3] - PATCH + 1)
    step = max(1, CHUNK // b.shape[2])
    indices = []
    with torch.no_grad():
        for first, second in zip(a.transpose(1, 2), b, strict=True):
            indices.append(torch.cat([(rows @ second).argmax(1) for rows in first.split(step)]))
    index = torch.stack(indices)
    chosen = b.gather(2, index[:, None].expand(-1, b.shape[1], -1))
    return index.view(-1, *size), (a * chosen).sum(1).view(-1, *size)


def _normalised_patches(x: Tensor) -> Tensor:
    """Return the patches (B, 9 D, n) of ``x`` (B, D, h, w), each divided by its norm."""
    patches = F.unfold(x, PATCH)
    return patches / (torch.linalg.vector_norm(patches, dim=1, keepdim=True) + 1e-5)


def match(features: Tensor, reference: Tensor, levels: int = 3) -> list[Correspondence]:
    """Match two feature maps of one size.

    Parameters
    ----------
    features, reference : Tensor (B, D, h, w)
        h and w at least 3.
    levels : int
        Correspondences at sizes (h, w), (2h, 2w), (4h, 4w), ..., coarse to fine: the same matches, repeated.

    Returns
    -------
    list of Correspondence
    """
    _, _, height, width = features.shape
    with torch.autocast(features.device.type, enabled=False):
        wide = torch.promote_types(features.dtype, torch.float32)
        a, b = (F.normalize(x.to(wide), dim=1) for x in (features, reference))
        index, similarity = best_patches(a, b)
    rows, columns = height - PATCH + 1, width - PATCH + 1
    y = torch.div(index, columns, rounding_mode="floor") - torch.arange(rows, device=index.device)[:, None]
    x = index % columns - torch.arange(columns, device=index.device)
    flow = F.pad(torch.stack((x, y), 1).to(wide), (0, PATCH - 1, 0, PATCH - 1))
    similarity = F.pad(similarity[:, None], (1, 1, 1, 1))
    found = []
    for level in range(levels):
        s = 2**level
        fine = s * flow.repeat_interleave(s, 2).repeat_interleave(s, 3)
        shifts = [(s * dy, s * dx) for dy in range(PATCH) for dx in range(PATCH)]
        offsets = torch.stack([_shifted(fine, dy, dx) for dy, dx in shifts], 1)
        found.append(
            Correspondence(offsets, fine, similarity.repeat_interleave(s, 2).repeat_interleave(s, 3).to(features.dtype))
        )
    return found


def _shifted(x: Tensor, down: int, right: int) -> Tensor:
    """Move ``x`` down and right; zeros come in."""
    height, width = x.shape[-2:]
    return F.pad(x, (right, 0, down, 0))[..., :height, :width]
