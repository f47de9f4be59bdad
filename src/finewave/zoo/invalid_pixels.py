"""Missing pixels: they are filled before the network, and its output there is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def fill_pixels(image: NDArray[Any], *, band_by_band: bool = False) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Give each pixel with a NaN or infinite band the values of the nearest pixel without.

    Parameters
    ----------
    image : ndarray of shape (c, h, w)
    band_by_band : bool
        Treat each band separately, for networks that do so.

    Returns
    -------
    filled : ndarray of shape (c, h, w)
        ``image`` itself where all is finite; zero where an image has no valid pixel at all.
    invalid : bool ndarray of shape (1, h, w), or (c, h, w) band by band
        True where any band was not finite.
    """
    finite = np.isfinite(image)
    invalid = ~(finite if band_by_band else finite.all(axis=0, keepdims=True))
    if not invalid.any():
        return image, invalid
    from scipy.ndimage import distance_transform_edt

    filled = image.copy()
    for bands, holes in zip(filled[:, None] if band_by_band else filled[None], invalid, strict=True):
        if holes.all():
            bands[:] = 0
        elif holes.any():
            # the nearest pixel, not a mean, so that attention and pooling see only values of the image
            rows, columns = distance_transform_edt(holes, return_distances=False, return_indices=True)
            bands[:] = bands[:, rows, columns]
    return filled, invalid


def blank_pixels(output: NDArray[Any], invalid: NDArray[np.bool_]) -> NDArray[Any]:
    """Return ``output`` (C, H, W) with NaN on the pixels of ``invalid`` (1 or C, h, w) that are True."""
    if not invalid.any():
        return output
    vertical, horizontal = output.shape[1] // invalid.shape[1], output.shape[2] // invalid.shape[2]
    return np.where(invalid.repeat(vertical, axis=1).repeat(horizontal, axis=2), output.dtype.type(np.nan), output)


def fill_invalid(image: Tensor, *, band_by_band: bool = False) -> tuple[Tensor, Tensor]:
    """Return `fill_pixels` of images (B, c, h, w), as tensors with a batch axis on the same device."""
    import torch

    invalid = ~torch.isfinite(image)
    if not band_by_band:
        invalid = invalid.any(dim=1, keepdim=True)
    if not invalid.any():
        return image, invalid
    filled = [fill_pixels(each.cpu().numpy(), band_by_band=band_by_band)[0] for each in image]
    return torch.from_numpy(np.stack(filled)).to(image), invalid


def blank(output: Tensor, invalid: Tensor) -> Tensor:
    """Return ``output`` (B, C, H, W) with NaN on the pixels of ``invalid`` (B, 1 or C, h, w) that are True."""
    if not invalid.any():
        return output
    vertical, horizontal = output.shape[2] // invalid.shape[2], output.shape[3] // invalid.shape[3]
    enlarged = invalid.repeat_interleave(vertical, dim=2).repeat_interleave(horizontal, dim=3)
    return output.masked_fill(enlarged.to(output.device), float("nan"))
