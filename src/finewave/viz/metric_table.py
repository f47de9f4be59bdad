"""The metrics of a result against its reference, as viewer and report show them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from finewave.errors import InputError

if TYPE_CHECKING:
    import numpy as np


def metric_values(
    result: np.ndarray, reference: np.ndarray, scale: float | None, convention: str = "finewave"
) -> dict[str, float]:
    """Return the metrics by the names of `finewave.metrics.METRICS`.

    Parameters
    ----------
    result, reference : ndarray (C, H, W)
    scale : float or None
        Pixels of the result per pixel of the input, for ERGAS, which is omitted if it is unknown or 1.
    convention : str
        See `finewave.metrics.conventions`.

    Returns
    -------
    dict of str to float
        NaN for undefined metrics, and for all if no pixel has a value in both images.
    """
    from finewave.metrics import METRICS, score_images

    try:
        values = dict(next(iter(score_images(result, reference, scale or 4, convention=convention))).values)
    except InputError:
        values = dict.fromkeys(METRICS, math.nan)
    if scale is None or scale == 1:
        values.pop("ergas", None)
    return values
