"""Consistency of a result with its input: the degraded result is compared with the input, without ground truth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from finewave.inference.matching.band_selection import filled, select_bands
from finewave.zoo.observation_model import forward_operators

if TYPE_CHECKING:
    import xarray as xr

    from finewave.zoo.model import Model


def consistency_psnr(result: xr.DataArray, scene: xr.DataArray, model: Model) -> float:
    """Degrade a result by its model's observation model and compare it with the scene it was made from.

    Parameters
    ----------
    result : xarray.DataArray with dims (band, y, x)
        Result of `super_resolve` for ``scene``, with wavelengths.
    scene : xarray.DataArray with dims (band, y, x)
        The input.
    model : Model
        Model whose card states sensor and degradation.

    Returns
    -------
    float
        PSNR in dB for a peak of 1, over the pixels that are finite in both; infinite if they are equal.

    Raises
    ------
    InputError
        If the card does not state sensor and degradation.
    """
    import torch

    operator = forward_operators(model, "the consistency")[0]
    observed = operator(torch.from_numpy(result.values)[None])[0].numpy()
    bands = select_bands(scene, model)
    difference = observed - filled(scene.values[list(bands.indices)], bands.fills)
    error = float(np.mean(np.square(difference[np.isfinite(difference)], dtype=np.float64)))
    return -10 * math.log10(error) if error > 0 else math.inf
