"""Missing pixels: they are filled before the network, and its output there is removed."""

from __future__ import annotations

import torch
from torch import Tensor


def fill_invalid(image: Tensor, *, band_by_band: bool = False) -> tuple[Tensor, Tensor]:
    """Give each pixel with a NaN or infinite band the values of the nearest pixel without.

    Parameters
    ----------
    image : Tensor of shape (B, c, h, w)
    band_by_band : bool
        Treat each band separately, for networks that do so.

    Returns
    -------
    filled : Tensor of shape (B, c, h, w)
        ``image`` itself where all is finite; zero where an image has no valid pixel at all.
    invalid : bool Tensor of shape (B, 1, h, w), or (B, c, h, w) band by band
        True where any band was not finite.
    """
    if band_by_band:
        filled, invalid = fill_invalid(image.flatten(0, 1)[:, None])
        return filled.view(image.shape), invalid.view(image.shape)
    invalid = ~torch.isfinite(image).all(dim=1, keepdim=True)
    if not invalid.any():
        return image, invalid
    from scipy.ndimage import distance_transform_edt

    filled = image.clone()
    for one, holes in zip(filled, invalid[:, 0], strict=True):
        if holes.all():
            one.zero_()
        elif holes.any():
            # the nearest pixel, not a mean, so that attention and pooling see only values of the image
            rows, columns = distance_transform_edt(holes.cpu().numpy(), return_distances=False, return_indices=True)
            one.copy_(one[:, torch.from_numpy(rows).to(one.device), torch.from_numpy(columns).to(one.device)])
    return filled, invalid


def blank(output: Tensor, invalid: Tensor) -> Tensor:
    """Return ``output`` (B, C, H, W) with NaN on the pixels of ``invalid`` (B, 1 or C, h, w) that are True."""
    if not invalid.any():
        return output
    vertical, horizontal = output.shape[2] // invalid.shape[2], output.shape[3] // invalid.shape[3]
    enlarged = invalid.repeat_interleave(vertical, dim=2).repeat_interleave(horizontal, dim=3)
    return output.masked_fill(enlarged.to(output.device), float("nan"))
