"""What is done around the network, by wish: eight orientations, projection on the inputs, clipping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finewave.errors import InputError
from finewave.inference.consistency_projection import Projection, projection_of

if TYPE_CHECKING:
    from finewave.zoo.model import Model


@dataclass(frozen=True)
class Processing:
    """Everything that makes a result other than what the network answers.

    Attributes
    ----------
    projection : Projection or None
        On the images that give back the inputs.
    ensemble : bool
        The mean over the eight orientations.
    spread : bool
        Their standard deviation, too.
    clip : (float, float) or None
        Range to which values are cut, last of all.
    """

    projection: Projection | None = None
    ensemble: bool = False
    spread: bool = False
    clip: tuple[float, float] | None = None

    @property
    def reach(self) -> int:
        """Distance in pixels of the first input up to which the network's output acts on the result."""
        return 0 if self.projection is None else self.projection.reach

    def identity(self) -> dict[str, Any]:
        """Return what the values depend on, by the names of the options."""
        return {
            "consistent": self.projection is not None,
            "self_ensemble": self.ensemble,
            "uncertainty": self.spread,
            "clip": self.clip,
        }


PLAIN = Processing()
"""What the network answers."""


def choose_processing(
    model: Model,
    *,
    consistent: bool = False,
    self_ensemble: bool = False,
    uncertainty: bool = False,
    clip: Sequence[float] | None = None,
) -> Processing:
    """Return the processing that is asked for; see `finewave.super_resolve` for the options.

    Raises
    ------
    InputError
        If the model's results cannot be made consistent, or ``clip`` is no range.
    """
    projection = projection_of(model) if consistent else None
    return Processing(projection, self_ensemble or uncertainty, uncertainty, _range(clip))


def _range(clip: Sequence[float] | None) -> tuple[float, float] | None:
    if clip is None:
        return None
    if len(clip) != 2 or not all(math.isfinite(end) for end in clip) or clip[0] >= clip[1]:
        raise InputError(f"clip={clip!r} is no range; two numbers are accepted, the lower one first")
    return float(clip[0]), float(clip[1])
