"""Schedules as functions of the progress of a run (0 to 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from finewave.errors import unknown_name

SCHEDULES = ("constant", "cosine", "steps", "polynomial")


def learning_rate_factor(
    kind: str,
    progress: float,
    warmup: float,
    floor: float,
    *,
    milestones: Sequence[float] = (),
    decay: float = 0.1,
    power: float = 1.0,
) -> float:
    """Return the factor on the learning rate.

    Parameters
    ----------
    kind : {"constant", "cosine", "steps", "polynomial"}
        After the warm-up: 1; a half cosine from 1 down to ``floor``; times ``decay`` at each of the ``milestones``;
        (1 - x)^power, x the progress after the warm-up, but at least ``floor``.
    progress : float
        Part of the run that is done.
    warmup : float
        Part over which the factor rises linearly from 0.
    floor : float
        Last value of the cosine, least value of the polynomial.
    milestones : sequence of float
        Parts of the run, for ``"steps"``.
    decay, power : float
        For ``"steps"``, for ``"polynomial"``.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if kind not in SCHEDULES:
        raise unknown_name("schedule", kind, SCHEDULES)
    if progress < warmup:
        return progress / warmup + 1e-3
    if kind == "constant":
        return 1.0
    if kind == "steps":
        return decay ** sum(progress >= milestone for milestone in milestones)
    x = min(1.0, (progress - warmup) / max(1e-9, 1 - warmup))
    if kind == "polynomial":
        return max(floor, (1 - x) ** power)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * x))
