"""Sampling of images at pixel coordinates, and backward warping by a flow."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F


def pixel_grid(height: int, width: int, like: Tensor) -> Tensor:
    """Return the coordinates (1, 2, H, W) of all pixels, x then y, in at least float32, on the device of ``like``."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    y = torch.arange(height, dtype=dtype, device=like.device)
    x = torch.arange(width, dtype=dtype, device=like.device)
    return torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1])[None]


def sample_at(
    image: Tensor,
    coordinates: Tensor,
    padding: Literal["zeros", "border"] = "zeros",
    mode: Literal["bilinear", "bicubic"] = "bilinear",
) -> Tensor:
    """Sample an image between its pixels.

    Parameters
    ----------
    image : Tensor (B, C, H, W)
    coordinates : Tensor (B, 2, n, m)
        x and y in pixels: (0, 0) is the centre of the first pixel. Float32 at least; bfloat16 has no half pixels
        beyond 128.
    padding : {"zeros", "border"}
        Values outside the image.
    mode : {"bilinear", "bicubic"}

    Returns
    -------
    Tensor (B, C, n, m), in the dtype of ``image``
        Differentiable in both arguments.
    """
    height, width = image.shape[-2:]
    # half-pixel normalisation: unlike division by (size - 1), it also works for one pixel
    x = (2 * coordinates[:, 0] + 1) / width - 1
    y = (2 * coordinates[:, 1] + 1) / height - 1
    wide = image.to(coordinates.dtype)
    with torch.autocast(image.device.type, enabled=False):
        sampled = F.grid_sample(wide, torch.stack((x, y), -1), mode=mode, padding_mode=padding, align_corners=False)
    return sampled.to(image.dtype)


def backward_warp(
    image: Tensor,
    flow: Tensor,
    padding: Literal["zeros", "border"] = "border",
    grid: Literal["aligned", "published"] = "aligned",
) -> Tensor:
    """Return the image (B, C, H, W) whose pixel (x, y) is ``image`` sampled at (x, y) + flow.

    Parameters
    ----------
    image : Tensor (B, C, H, W)
    flow : Tensor (B, 2, H, W)
        Displacements in pixels, x then y.
    padding : {"zeros", "border"}
        Values outside the image.
    grid : {"aligned", "published"}
        ``"aligned"``: flow zero is the identity. ``"published"``: as the public code of SSC-HSR samples, position x
        at x W / (W - 1) - 1/2, half a pixel off at opposite borders and right only in the middle.
    """
    height, width = image.shape[-2:]
    coordinates = pixel_grid(height, width, flow) + flow
    if grid == "published":
        size = torch.tensor([width, height], dtype=coordinates.dtype, device=coordinates.device).view(1, 2, 1, 1)
        coordinates = coordinates * size / (size - 1).clamp(min=1) - 0.5
    return sample_at(image, coordinates, padding)
