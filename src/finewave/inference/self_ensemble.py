"""A network on an image in its eight orientations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from finewave.systems.tile_stages import Margins

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Orientation:
    """An optional flip of the columns, followed by quarter turns."""

    flip: bool
    quarters: int

    def turn(self, image: Tensor) -> Tensor:
        """Return an image (..., h, w) in this orientation, sides swapped by odd quarters."""
        import torch

        if self == ORIENTATIONS[0]:
            return image  # unlike a turn by nothing, no copy
        if self.flip:
            image = image.flip(-1)
        return torch.rot90(image, self.quarters, (-2, -1)).contiguous()

    def turn_margins(self, margins: Margins) -> Margins:
        """Return the margins of an image in this orientation, from those that it had."""
        top, bottom, left, right = margins
        if self.flip:
            left, right = right, left
        for _ in range(self.quarters):
            top, bottom, left, right = right, left, top, bottom
        return Margins(top, bottom, left, right)

    def turn_back(self, image: Tensor) -> Tensor:
        """Return an image that is in this orientation as it was."""
        import torch

        if self == ORIENTATIONS[0]:
            return image
        image = torch.rot90(image, -self.quarters, (-2, -1))
        return (image.flip(-1) if self.flip else image).contiguous()


ORIENTATIONS = tuple(Orientation(flip, quarters) for flip in (False, True) for quarters in range(4))
"""As the image is first."""


class Spread:
    """Streaming mean and standard deviation of images, by B. P. Welford (Technometrics 4(3), 1962).

    Parameters
    ----------
    first : Tensor
    """

    def __init__(self, first: Tensor) -> None:
        self.count = 1
        self.mean = first
        self._squares: Tensor | None = None

    def add(self, image: Tensor) -> None:
        """Take another image in."""
        self.count += 1
        before = image - self.mean
        self.mean = self.mean + before / self.count
        squares = before * (image - self.mean)
        self._squares = squares if self._squares is None else self._squares.add_(squares)

    @property
    def deviation(self) -> Tensor:
        """Root of the mean squared distance from the mean: the images are all there are, not a sample."""
        if self._squares is None:
            return self.mean * 0
        return (self._squares / self.count).clamp(min=0).sqrt()
