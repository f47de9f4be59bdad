"""A network in stages that each run over a window of their own around a tile.

What a tile needs of its surroundings differs between the parts of a network: means over windows reach far but are
taken of few pixels at low resolution, and what follows them at high resolution, nearly all of the arithmetic, reaches
a few. A network that is run part by part, and cut to what the next part needs in between, gives the same values as in
one piece at a fraction of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    RunStage = Callable[[str, Mapping[str, Tensor]], Mapping[str, Tensor]]


class TileStage(NamedTuple):
    """A part of a network's work.

    Attributes
    ----------
    name : str
    halo : int or None
        How far around a tile it has to run, in pixels of the first input, for the tile to be exact; None where that is
        the whole image.
    share : float
        Its part of the network's arithmetic for an image.
    """

    name: str
    halo: int | None
    share: float


class Margins(NamedTuple):
    """Pixels of the first input that are cut off an image's sides."""

    top: int
    bottom: int
    left: int
    right: int

    def without(self, before: Margins) -> Margins:
        """Return what is left to cut off where ``before`` is cut off already."""
        return Margins(*(mine - other for mine, other in zip(self, before, strict=True)))

    def cut(self, image: Tensor, ratio: int) -> Tensor:
        """Return an image (B, c, h, w) of ``ratio`` times the first input's size without them."""
        top, bottom, left, right = (ratio * each for each in self)
        return image[:, :, top : image.shape[2] - bottom, left : image.shape[3] - right]


NO_MARGINS = Margins(0, 0, 0, 0)


def run_in_stages(
    run: RunStage,
    names: Sequence[str],
    images: Mapping[str, Tensor],
    margins: Sequence[Margins],
    context: Callable[[tuple[int, int]], AbstractContextManager[None]],
) -> Tensor:
    """Run a network's stages one after the other, each on what is left when its margins are cut off.

    Parameters
    ----------
    run : callable
        The network's `SRNetwork.run_tile_stage`: a stage's name, and all images by name, to what the stage makes.
    names : sequence of str
        Of the stages.
    images : mapping of str to Tensor (B, c, h, w)
        The inputs by name; the first one's pixels are those of the margins.
    margins : sequence of Margins
        Of each stage, none smaller than those before.
    context : callable
        Of height and width of the first input in a stage: what the stage runs under.

    Returns
    -------
    Tensor
        What the last stage makes first: the part of the network's output without the last margins.
    """
    first = next(iter(images))
    kept = dict(images)
    done = NO_MARGINS
    made: Mapping[str, Tensor] = {}
    for name, cut in zip(names, margins, strict=True):
        rows = kept[first].shape[2]
        step = cut.without(done)
        kept = {key: step.cut(image, image.shape[2] // rows) for key, image in kept.items()}
        done = cut
        with context((kept[first].shape[2], kept[first].shape[3])):
            made = run(name, kept)
        kept.update(made)
    return next(iter(made.values()))


def convolution_weights(*modules: nn.Module) -> int:
    """Return how many weights of two-dimensional convolutions there are: products for each pixel they work on."""
    from torch import nn

    every = (each for module in modules for each in module.modules())
    return sum(each.weight.numel() for each in every if isinstance(each, nn.Conv2d))
