"""Correspondence of two feature maps by their most similar patches, for a decoder with three sizes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

PATCH = 3
CHUNK = 1 << 24  # correlations computed at a time


class Correspondence(NamedTuple):
    """For each pixel of one image, its match in the other, at one size H x W.

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

    The correlations of all pairs are never stored at once: rows of the input are processed in chunks without gradient,
    and the similarity of the selected pair is recomputed with gradient.

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
    height, width = (n - PATCH + 1 for n in features.shape[2:])
    step = max(1, CHUNK // (features.shape[3] * reference.shape[2] * reference.shape[3]) - PATCH + 1)
    with torch.no_grad():
        index = torch.stack(
            [
                torch.cat([_best(a[:, i : i + step + PATCH - 1], b) for i in range(0, height, step)])
                for a, b in zip(features, reference, strict=True)
            ]
        )
    columns = reference.shape[3] - PATCH + 1
    corner = torch.div(index, columns, rounding_mode="floor") * reference.shape[3] + index % columns
    products: list[list[Tensor]] = []
    for dy in range(PATCH):  # one tap at a time: all together would need nine copies of the features
        for dx in range(PATCH):
            own = features[:, :, dy : dy + height, dx : dx + width]
            pixels = (corner + dy * reference.shape[3] + dx).flatten(1)[:, None].expand(-1, features.shape[1], -1)
            selected = reference.flatten(2).gather(2, pixels).view_as(own)
            products.append([(own * selected).sum(1), own.square().sum(1), selected.square().sum(1)])
    inner, *squares = (torch.stack(each).sum(0) for each in zip(*products, strict=True))
    norms = [each.clamp_min(1e-24).sqrt() + 1e-5 for each in squares]
    return index, inner / (norms[0] * norms[1])


def _best(a: Tensor, b: Tensor) -> Tensor:
    """Return the best patch of ``b`` (D, h', w') for each patch of ``a`` (D, n, w), long (n - 2, w - 2).

    The correlation of two patches is the sum of nine correlations of pixels, each shared by nine patches.
    """
    rows, columns = a.shape[1] - PATCH + 1, a.shape[2] - PATCH + 1
    height, width = b.shape[1] - PATCH + 1, b.shape[2] - PATCH + 1
    pixels = (a.flatten(1).transpose(0, 1) @ b.flatten(1)).view(*a.shape[1:], *b.shape[1:])
    along = pixels[:, :columns, :, :width].clone()
    for d in range(1, PATCH):
        along += pixels[:, d : d + columns, :, d : d + width]
    del pixels  # each of these is as large as the largest of the network
    total = along[:rows, :, :height].clone()
    for d in range(1, PATCH):
        total += along[d : d + rows, :, d : d + height]
    del along
    # the norm of the patch in ``a`` is the same for all candidates
    squares = F.avg_pool2d(b.square().sum(0)[None, None], PATCH, 1, divisor_override=1)[0, 0]
    return total.div_(squares.sqrt() + 1e-5).flatten(2).argmax(2)


def match(features: Tensor, reference: Tensor, levels: int = 3) -> list[Correspondence]:
    """Match two feature maps of the same size.

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
    matches = []
    for level in range(levels):
        s = 2**level
        fine = s * flow.repeat_interleave(s, 2).repeat_interleave(s, 3)
        shifts = [(s * dy, s * dx) for dy in range(PATCH) for dx in range(PATCH)]
        offsets = torch.stack([_shifted(fine, dy, dx) for dy, dx in shifts], 1)
        matches.append(
            Correspondence(offsets, fine, similarity.repeat_interleave(s, 2).repeat_interleave(s, 3).to(features.dtype))
        )
    return matches


def _shifted(x: Tensor, down: int, right: int) -> Tensor:
    """Shift ``x`` down and right, filling with zeros."""
    height, width = x.shape[-2:]
    return F.pad(x, (right, 0, down, 0))[..., :height, :width]
