"""Layers on strips of rows, so that only a strip of an image's widest features is in memory at a time.

The features of a large tile are what a network's memory goes to, in float32 most of all. Rows next to a strip that act
on it are computed twice.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from finewave.nn.exporting import exporting

STRIP_BYTES = 44 * 2**20
"""Bytes of the features of a strip. Of 64 features in float32 and a tile of 512 pixels with its halo it is a half, and
1 % of the arithmetic is done twice; smaller ones do more."""
LEAST_REACHES = 8
"""Height of a strip at least, in the reach of its layers: of wide images, strips are rather larger than `STRIP_BYTES`
than that more than a quarter of the arithmetic is done twice."""


def makes_strips(image: Tensor, pixel_bytes: int, *modules: nn.Module) -> bool:
    """Return whether an image with so many bytes of features for a pixel is worth cutting, and can be.

    Not where gradients are needed, which need all features; in exports, whose sizes are not numbers; where hooks look
    at whole images; or of several images, whose strips do not lie in one piece.
    """
    if torch.compiler.is_compiling() or exporting() or torch.is_grad_enabled() or len(image) > 1:
        return False
    if image.shape[2] * image.shape[3] * pixel_bytes <= STRIP_BYTES:
        return False
    return not any(each._forward_hooks for module in modules for each in module.modules())


def in_strips(
    layers: Callable[..., Tensor], reach: int, images: tuple[Tensor, ...], out: Tensor, pixel_bytes: int
) -> Tensor:
    """Write ``layers(*images)`` into ``out``, strip by strip, and return it.

    Parameters
    ----------
    layers : callable
        Convolutions with zero padding, ``reach`` pixels in all, and what acts on each pixel alone.
    reach : int
    images : tuple of Tensor (1, c, H, W)
    out : Tensor (1, C, H, W)
        May be one of the images: no strip is written before the next one, which needs its last rows, is computed.
    pixel_bytes : int
        Of the inner features of a pixel.
    """
    rows, columns = out.shape[2:]
    strips = -(-rows * columns * pixel_bytes // STRIP_BYTES)
    height = max(LEAST_REACHES * reach, -(-rows // strips))
    done: tuple[slice, Tensor] | None = None
    for start in range(0, rows, height):
        strip = slice(start, min(start + height, rows))
        seen = slice(max(0, strip.start - reach), min(strip.stop + reach, rows))
        made = layers(*(_rows(image, seen) for image in images))
        if done is not None:
            out[:, :, done[0]] = done[1]
        done = strip, made[:, :, strip.start - seen.start : strip.stop - seen.start]
    assert done is not None
    out[:, :, done[0]] = done[1]
    return out


def _rows(image: Tensor, rows: slice) -> Tensor:
    """Return a view of rows of an image (1, c, H, W), whose strides are those of a whole image of that height.

    oneDNN's sum of a convolution and a residual needs them; rounded between the two, bfloat16 would differ.
    """
    return image.permute(0, 2, 3, 1)[0, rows][None].permute(0, 3, 1, 2)
