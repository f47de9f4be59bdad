"""Simulation of a sensor's bands from a hyperspectral image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike

from finewave.errors import InputError

if TYPE_CHECKING:
    import torch
    import xarray as xr


@overload
def apply_response(response: ArrayLike | torch.Tensor, hsi: torch.Tensor) -> torch.Tensor: ...
@overload
def apply_response(response: ArrayLike | torch.Tensor, hsi: xr.DataArray) -> xr.DataArray: ...


def apply_response(response: Any, hsi: Any) -> Any:
    """Apply a spectral response to a hyperspectral image: MS = R HS in every pixel.

    Parameters
    ----------
    response : (c, C) array or tensor
        Weights, as from `Sensor.response`; there every row sums to 1, which preserves the range of values.
    hsi : (B, C, H, W) float tensor, or scene (band, y, x)
        Any float type and device.

    Returns
    -------
    (B, c, H, W) tensor, or scene (band, y, x)
        Of the type and on the device of `hsi`, differentiable. A scene keeps its coordinates and attributes;
        its ``wavelength`` (nm) becomes the centroid of the absolute weights of each row.

    Raises
    ------
    InputError
        If dimensions or band counts do not fit, or a tensor is not of a float type.
    """
    if hasattr(hsi, "dims"):
        return _project_scene(response, hsi)
    import torch

    if not isinstance(hsi, torch.Tensor) or hsi.ndim != 4 or not hsi.is_floating_point():
        actual = f"{hsi.dtype} of shape {tuple(hsi.shape)}" if hasattr(hsi, "shape") else type(hsi).__name__
        raise InputError(f"expected a float tensor (B, C, H, W) or a scene (band, y, x), got {actual}")
    weights = torch.as_tensor(response, dtype=hsi.dtype, device=hsi.device)
    _check_weights(tuple(weights.shape), hsi.shape[1])
    return torch.einsum("kc,bchw->bkhw", weights, hsi)


def _project_scene(response: Any, scene: xr.DataArray) -> xr.DataArray:
    """Apply a response to a scene."""
    import xarray as xr

    if set(scene.dims) != {"band", "y", "x"}:
        raise InputError(f"expected a scene with dimensions (band, y, x), got ({', '.join(map(str, scene.dims))})")
    weights = np.asarray(response, dtype=np.float64)
    _check_weights(weights.shape, scene.sizes["band"])
    dtype = scene.dtype if np.issubdtype(scene.dtype, np.floating) else np.dtype(np.float32)
    matrix = xr.DataArray(weights.astype(dtype), dims=("ms_band", "band"))
    # Coordinates along "band" describe the hyperspectral bands and are dropped with them.
    bare = scene.drop_vars([name for name, coord in scene.coords.items() if "band" in coord.dims])
    result = bare.astype(dtype, copy=False).dot(matrix, dim="band").rename(ms_band="band").transpose("band", "y", "x")
    if "wavelength" in scene.coords and scene["wavelength"].dims == ("band",):
        # as in `Sensor.centres`: absolute values, so that negative weights, as in linear sRGB, do not shift the centre
        sizes = np.abs(weights)
        shares = sizes / np.maximum(sizes.sum(1, keepdims=True), np.finfo(float).tiny)
        centroids = shares @ scene["wavelength"].to_numpy().astype(np.float64)
        result = result.assign_coords(wavelength=("band", centroids, scene["wavelength"].attrs))
    result.attrs = dict(scene.attrs)
    return result.rename(scene.name)


def _check_weights(shape: tuple[int, ...], bands: int) -> None:
    """Raise an error if a response does not fit an image with this number of bands."""
    if len(shape) != 2 or shape[1] != bands:
        raise InputError(f"response of shape {shape} does not fit an image of {bands} bands; expected (c, {bands})")
