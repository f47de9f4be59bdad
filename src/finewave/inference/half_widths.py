"""Half-widths for the errors of a result, by the calibration in its model's card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from finewave.calibration.intervals import Intervals
from finewave.calibration.residual_kriging import FloatArray
from finewave.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from finewave.calibration.anchor_correction import AnchorCorrection
    from finewave.zoo.model import Model


@dataclass(frozen=True)
class HalfWidths:
    """What makes half-widths of tiles.

    Attributes
    ----------
    intervals : Intervals
    share : float
        Of the errors that are no larger.
    colour : ndarray (c, C)
        The sensor's response.
    """

    intervals: Intervals
    share: float
    colour: FloatArray

    def __call__(self, image: Tensor, anchors: AnchorCorrection | None, row: int, column: int) -> Tensor:
        """Return half-widths (1, C, H, W) of a tile of the result, whose first pixel is at ``row``, ``column``."""
        from finewave.physics.sensors import apply_response

        left = None if anchors is None else anchors.variance_left(image, row, column)
        return self.intervals.half_width(image, apply_response(self.colour, image)[0], self.share, left)

    @property
    def quantity(self) -> str:
        """What the values are, and by which calibration."""
        facts = self.intervals.calibration
        return (
            f"half-width within which {self.share:.0%} of the errors are expected, calibrated on {facts['dataset']} "
            f"({len(facts['scenes'])} scenes)"
        )


def half_widths_of(model: Model, share: float) -> HalfWidths:
    """Return what makes half-widths for a model.

    Raises
    ------
    InputError
        Its card has none, or not for this share.
    """
    from finewave.zoo.observation_model import colour_weights

    stored = model.data_facts.get("intervals")
    if stored is None:
        way = "finewave calibrate measures them" if len(model.inputs) == 1 else "models of two images have none"
        raise InputError(
            f"the card of {model.name} has no half-widths for its errors: {way}; --spread (spread=) writes how far "
            "eight orientations are apart"
        )
    intervals = Intervals.from_card(stored)
    intervals.factor(share)
    return HalfWidths(intervals, share, colour_weights(model, intervals.bands))
