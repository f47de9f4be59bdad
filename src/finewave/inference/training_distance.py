"""How far the pixels of an input are from those that the model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.zoo.seen import SeenPixels


@dataclass
class TrainingDistance:
    """Sums over the pixels of an input that have a value.

    Attributes
    ----------
    seen : SeenPixels
        Of the training.
    """

    seen: SeenPixels
    pixels: int = 0
    total: float = 0.0
    largest: float = 0.0
    unlike: int = 0

    def add(self, image: NDArray[Any]) -> None:
        """Take in a part (c, h, w) of the input; NaN where there is no value."""
        distances = self.seen.distances(image)
        known = distances[np.isfinite(distances)]
        if known.size:
            self.pixels += known.size
            self.total += float(known.sum())
            self.largest = max(self.largest, float(known.max()))
            self.unlike += int((known > 1).sum())

    def merge(self, other: TrainingDistance) -> None:
        """Take in the sums of another part."""
        self.pixels += other.pixels
        self.total += other.total
        self.largest = max(self.largest, other.largest)
        self.unlike += other.unlike

    def scores(self) -> dict[str, float | int] | None:
        """Return the mean and the largest distance, in units of the card's limit, and the share of pixels beyond it.

        None if no pixel has a value.
        """
        if not self.pixels:
            return None
        values = {"mean": self.total / self.pixels, "largest": self.largest, "unlike": self.unlike / self.pixels}
        return {"pixels": self.pixels, **{key: float(f"{value:.4g}") for key, value in values.items()}}
