"""The metrics of a result against its reference, as viewer and report show them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finewave.errors import InputError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class MetricColumn:
    """How a metric is written: name, unit, what is best, decimals."""

    label: str
    unit: str
    best: str
    decimals: int

    def text(self, value: float) -> str:
        """Return a value for people; a dash where the metric is not defined."""
        return "–" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.{self.decimals}f}"


COLUMNS = {
    "psnr": MetricColumn("PSNR", "dB", "higher is better", 2),
    "psnr_band": MetricColumn("PSNR, mean of the bands", "dB", "higher is better", 2),
    "ssim": MetricColumn("SSIM", "", "1 is best", 4),
    "sam": MetricColumn("SAM", "°", "0 is best", 2),
    "ergas": MetricColumn("ERGAS", "", "0 is best", 2),
    "ergas_4": MetricColumn("ERGAS, ratio 4", "", "0 is best", 2),
    "rmse": MetricColumn("RMSE", "", "in the scene's unit, 0 is best", 4),
    "cc": MetricColumn("CC", "", "1 is best", 4),
}


def metric_values(
    result: np.ndarray, reference: np.ndarray, scale: float | None, convention: str = "finewave"
) -> dict[str, float]:
    """Return the metrics by the names of `COLUMNS`.

    Parameters
    ----------
    result, reference : ndarray (C, H, W)
    scale : float or None
        Pixels of the result along one of the input, for ERGAS, which is left out where it is not known or 1.
    convention : str
        See `finewave.metrics.conventions`.

    Returns
    -------
    dict of str to float
        NaN where a metric is not defined, all of them where no pixel has a value in both images.
    """
    from finewave.metrics import score_images

    try:
        values = dict(next(iter(score_images(result, reference, scale or 4, convention=convention))).values)
    except InputError:
        values = dict.fromkeys(COLUMNS, math.nan)
    if scale is None or scale == 1:
        values.pop("ergas", None)
    return values
