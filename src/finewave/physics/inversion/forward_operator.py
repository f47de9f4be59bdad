"""How an image is observed: blur and decimation, a sensor's response, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from finewave.physics.observation import Observation


@dataclass(frozen=True)
class ForwardOperator:
    """What one input of a model is to its output: X = D (R G).

    Attributes
    ----------
    name : str
        Of the input.
    response : ndarray (c, C), float64, or None
        R, the sensor's response; None where the bands are the output's.
    observation : Observation or None
        D, blur and decimation; None where the pixels are the output's.
    """

    name: str
    response: NDArray[np.float64] | None
    observation: Observation | None

    @property
    def scale(self) -> int:
        """Pixels of the output on one of the input, along an axis."""
        return 1 if self.observation is None else self.observation.scale

    @property
    def reach(self) -> int:
        """Distance in pixels of the input up to which an output pixel acts on one of its pixels."""
        return 0 if self.observation is None else self.observation.reach

    def __call__(self, image: Tensor) -> Tensor:
        """Return (B, c, h, w) of an image (B, C, H, W)."""
        from finewave.physics.sensors import apply_response

        if self.response is not None:
            image = apply_response(self.response, image)  # few bands first: D and R commute
        return image if self.observation is None else self.observation(image)
