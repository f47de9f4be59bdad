"""Spread over seeds, and whether the two best methods differ on the same scenes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from finewave.errors import InputError

LEVEL = 0.05
LEAST = 6
"""Minimum number of scenes for a two-sided Wilcoxon test to reach `LEVEL`: its smallest p-value is 2 / 2^n."""


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean, and the sample standard deviation (n - 1), None for a single value."""
    if not values:
        raise InputError("there is nothing to average")
    mean = sum(values) / len(values)
    return mean, statistics.stdev(values) if len(values) > 1 and math.isfinite(mean) else None


@dataclass(frozen=True)
class PairedTest:
    """Comparison of two methods on the same scenes.

    Parameters
    ----------
    scenes : int
        Pairs with a value in both methods.
    difference : float
        Mean of the first minus the second.
    wilcoxon, t : float or None
        Two-sided p-values of the signed-rank test (exact where SciPy has it) and of Student's paired test, which
        assumes normally distributed differences. None if undefined: fewer than two pairs, or no differences.
    """

    scenes: int
    difference: float
    wilcoxon: float | None
    t: float | None

    @property
    def verdict(self) -> str:
        """Result of the signed-rank test, as text."""
        if self.scenes < LEAST:
            return f"{self.scenes} scenes say nothing: at least {LEAST} are needed for p < {LEVEL:g}"
        if self.wilcoxon is None:
            return "no difference"
        return "significant" if self.wilcoxon < LEVEL else "not significant"


RESAMPLES = 10_000
SEED = 0


def bootstrap_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a mean over scenes by the percentile bootstrap (Efron, 1979), always of the same seed.

    Scenes that have no value (nan) are left out; of a single one there is no interval, but its value twice.
    """
    import numpy as np

    known = np.array([value for value in values if math.isfinite(value)])
    if not len(known):
        return math.nan, math.nan
    draws = np.random.default_rng(SEED).integers(0, len(known), (RESAMPLES, len(known)))
    means = np.sort(known[draws].mean(1))
    tail = (1 - level) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def paired_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Compare two methods scene by scene.

    Parameters
    ----------
    first, second : sequence of float
        One value per scene, in the same order. Crops of one scene are not independent observations: average them
        before.

    Returns
    -------
    PairedTest

    Raises
    ------
    InputError
        If the numbers differ.
    """
    from scipy import stats

    if len(first) != len(second):
        raise InputError(f"{len(first)} scenes cannot be paired with {len(second)}")
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if math.isfinite(a) and math.isfinite(b)]
    differences = [a - b for a, b in pairs]
    mean = sum(differences) / len(differences) if differences else math.nan
    if len(pairs) < 2 or not any(differences):
        return PairedTest(len(pairs), mean, None, None)
    wilcoxon = float(stats.wilcoxon(differences).pvalue)
    # differences that are all the same have no spread: t is infinite
    t = float(stats.ttest_1samp(differences, 0.0).pvalue) if len(set(differences)) > 1 else 0.0
    return PairedTest(len(pairs), mean, wilcoxon, t)
