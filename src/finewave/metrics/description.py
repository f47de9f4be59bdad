"""How each metric is written: label, unit, direction, decimals. Tables, pages and cards all read it here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class MetricDescription:
    """How a metric is written.

    Parameters
    ----------
    label : str
        For headings.
    unit : str
        Empty where it has none, or that of the images.
    best : float
        The value of a perfect prediction; infinite or 1 where higher is better, 0 where lower is.
    decimals : int
        Of printed values.
    """

    label: str
    unit: str
    best: float
    decimals: int

    @property
    def higher_is_better(self) -> bool:
        """Direction."""
        return self.best > 0

    @property
    def heading(self) -> str:
        """Label and unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def arrow(self) -> str:
        """Direction as a sign behind the label."""
        return "↑" if self.higher_is_better else "↓"

    @property
    def direction(self) -> str:
        """Direction as text."""
        return "higher is better" if math.isinf(self.best) else f"{self.best:g} is best"

    def text(self, value: float) -> str:
        """Return a value as printed; a dash where the metric is not defined."""
        return "–" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.{self.decimals}f}"

    def with_unit(self, text: str) -> str:
        """Return a number with the unit behind it."""
        return f"{text}{self.unit}" if self.unit in ("", "°") else f"{text} {self.unit}"


METRICS = {
    "psnr": MetricDescription("PSNR", "dB", math.inf, 2),
    "psnr_band": MetricDescription("PSNR (bands)", "dB", math.inf, 2),
    "ssim": MetricDescription("SSIM", "", 1, 4),
    "sam": MetricDescription("SAM", "°", 0, 2),
    "ergas": MetricDescription("ERGAS", "", 0, 2),
    "ergas_4": MetricDescription("ERGAS (4)", "", 0, 2),
    "rmse": MetricDescription("RMSE", "", 0, 4),
    "cc": MetricDescription("CC", "", 1, 4),
}
"""By name, in the order of tables."""


def in_words(values: Mapping[str, float]) -> str:
    """Return values by name as a line of numbers with units."""
    return ", ".join(METRICS[name].with_unit(METRICS[name].text(value)) for name, value in values.items())
