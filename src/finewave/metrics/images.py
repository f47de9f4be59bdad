"""Conversion of tensors, arrays and scenes to pairs of tensors that can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import torch
from torch import Tensor

from finewave.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

    Image: TypeAlias = "Tensor | np.ndarray | xr.DataArray"
else:
    Image: TypeAlias = Any


def image_pairs(pred: Image, target: Image) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yield the images one by one.

    Parameters
    ----------
    pred, target : (B, C, H, W) or (C, H, W) tensor or array of a float type, or scene (band, y, x)
        Both of one shape.

    Yields
    ------
    pred, target : (C, H, W) tensor
        On one device, where float64 exists.
    valid : (H, W) bool tensor or None
        Pixels where no band of either image is nan; None if that is all of them.

    Raises
    ------
    InputError
        If shapes, types or wavelengths do not fit, or values are infinite.
    """
    _check_wavelengths(pred, target)
    pred_images, target_images = _batch(pred, "prediction"), _batch(target, "target")
    if pred_images.shape != target_images.shape:
        raise InputError(
            f"prediction {_shape(pred_images)} and target {_shape(target_images)} (B, C, H, W) do not match"
        )
    if pred_images.numel() == 0:
        raise InputError(f"images of shape {_shape(pred_images)} (B, C, H, W) hold no pixel")
    for pred_image, target_image in zip(pred_images, target_images.to(pred_images.device), strict=True):
        yield pred_image, target_image, _valid_pixels(pred_image, target_image)


def _batch(image: Image, role: str) -> Tensor:
    """Image or images as (B, C, H, W)."""
    if _is_scene(image):
        if set(image.dims) != {"band", "y", "x"}:
            raise InputError(f"{role} is a scene with dimensions {tuple(image.dims)}; expected (band, y, x)")
        image = image.transpose("band", "y", "x").to_numpy()
    if isinstance(image, np.ndarray):
        # Checked before conversion: torch does not support every NumPy type.
        if not np.issubdtype(image.dtype, np.floating):
            raise _not_float(role, str(image.dtype))
        native = image.astype(image.dtype.newbyteorder("="), copy=False)
        image = torch.from_numpy(np.ascontiguousarray(native))
    if not isinstance(image, Tensor):
        raise InputError(f"{role} is a {type(image).__name__}; expected a tensor, an array or a scene")
    if not image.is_floating_point():
        raise _not_float(role, str(image.dtype).removeprefix("torch."))
    if image.ndim not in (3, 4):
        raise InputError(f"{role} has shape {_shape(image)}; expected (C, H, W) or (B, C, H, W)")
    # Apple's GPUs have no float64.
    image = image.detach().cpu() if image.device.type == "mps" else image.detach()
    return image if image.ndim == 4 else image[None]


def _valid_pixels(pred: Tensor, target: Tensor) -> Tensor | None:
    """Pixels with data in every band of both images, None if all have."""
    missing = torch.zeros(pred.shape[-2:], dtype=torch.bool, device=pred.device)
    for pred_band, target_band in zip(pred, target, strict=True):
        for role, band in (("prediction", pred_band), ("target", target_band)):
            if band.isinf().any():
                raise InputError(f"the {role} holds infinite values; only nan stands for pixels without data")
        missing |= pred_band.isnan() | target_band.isnan()
    if missing.all():
        raise InputError("every pixel is nan in a band of the prediction or the target; nothing can be compared")
    return ~missing if missing.any() else None


def _check_wavelengths(pred: Image, target: Image) -> None:
    """Raise an error if two scenes have bands at different wavelengths."""
    if not (_is_scene(pred) and _is_scene(target)):
        return
    if not ("wavelength" in pred.coords and "wavelength" in target.coords):
        return
    pred_nm, target_nm = (np.asarray(scene.coords["wavelength"], dtype=np.float64) for scene in (pred, target))
    # Tolerance of half a nanometre: files round wavelengths.
    if pred_nm.shape == target_nm.shape and not np.allclose(pred_nm, target_nm, rtol=0, atol=0.5):
        raise InputError(
            f"prediction ({pred_nm.min():g}-{pred_nm.max():g} nm) and target "
            f"({target_nm.min():g}-{target_nm.max():g} nm) have bands at different wavelengths"
        )


def _is_scene(image: Image) -> TypeGuard[xr.DataArray]:
    """Return whether an image is a scene, without importing xarray."""
    return hasattr(image, "dims") and hasattr(image, "coords")


def _not_float(role: str, dtype: str) -> InputError:
    """Return the error for integer values."""
    return InputError(
        f"{role} holds {dtype} values; metrics are for floats in [0, data_range]: divide counts by their "
        "full scale (for example 65535 for uint16)"
    )


def _shape(image: Tensor) -> tuple[int, ...]:
    """Return the shape as a tuple."""
    return tuple(image.shape)
