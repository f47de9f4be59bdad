"""Measurement of the smallest sufficient halos, which are stored in a model's card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from finewave.errors import InputError
from finewave.inference.tiling.plan import default_side, n_cheap
from finewave.systems.tile_stages import Margins

if TYPE_CHECKING:
    from torch import Tensor

    from finewave.zoo.model import Model

TOLERANCE = 1e-4
"""Tolerated difference between tiled and untiled prediction, relative to the value range."""
SPARE = 2
"""The measured images may use only this fraction (1 / n) of the tolerance, as others may differ more."""


def smallest_halos(model: Model, images: Iterable[Mapping[str, Tensor]], core: int) -> dict[str, int]:
    """Return the smallest halo of each stage with which tiles equal the whole to `TOLERANCE`, as measured.

    Stages whose exact halo costs next to nothing keep it. Of the others the smallest halo is found with an equal part
    of the tolerance for each; what together they leave of it is used for the stage that costs most.

    Parameters
    ----------
    model : Model
        With a finite `Model.reach`, in float32, so that rounding does not count as a difference.
    images : iterable of mappings of str to Tensor (1, c, h, w)
        Windows of scenes by the names of the inputs, aligned, ``core`` pixels of the first input and its reach to all
        sides.
    core : int
        Side of the tile in the middle; a multiple of the model's `size_multiple`.

    Raises
    ------
    InputError
        If the model's tiles cannot be exact.
    """
    stages = model.tile_stages
    most = [stage.halo for stage in stages]
    if model.reach is None or not model.shift_equivariant or None in most:
        raise InputError(f"{model.name} looks at the whole image: no halo makes its tiles equal the scene in one piece")
    exact = [halo for halo in most if halo is not None]
    side = max(1, default_side(model) // model.upscaling)
    dear = range(n_cheap(stages, side), len(stages))
    low, high = (0.0, 1.0) if model.card is None else model.card.value_range
    allowed = TOLERANCE * (high - low) / SPARE
    found = dict.fromkeys(dear, 0)
    kept = list(images)
    expected = [_core_of(model, each, exact, core) for each in kept]
    for each, whole in zip(kept, expected, strict=True):
        for i in dear:
            found[i] = _smallest(model, each, exact, core, whole, i, allowed / len(dear), found[i])
    halos = [found.get(i, exact[i]) for i in range(len(stages))]
    halos = [max(halos[i:]) for i in range(len(halos))]
    for i in sorted(dear, key=lambda i: -stages[i].share):
        while halos[i] > max([0, *halos[i + 1 :]]):
            less = [*halos[:i], halos[i] - 1, *halos[i + 1 :]]
            pairs = zip(kept, expected, strict=True)
            if any(_difference(model, each, less, core, whole) > allowed for each, whole in pairs):
                break
            halos = less
    return {stage.name: halo for stage, halo in zip(stages, halos, strict=True)}


def difference_of(model: Model, images: Mapping[str, Tensor], halos: Sequence[int], core: int) -> float:
    """Return by how much halos, one of each stage, change the core in the middle of images as of `smallest_halos`."""
    exact = [stage.halo for stage in model.tile_stages if stage.halo is not None]
    return _difference(model, images, halos, core, _core_of(model, images, exact, core))


def _smallest(
    model: Model,
    images: Mapping[str, Tensor],
    exact: Sequence[int],
    core: int,
    expected: Tensor,
    stage: int,
    allowed: float,
    least: int,
) -> int:
    """Return the smallest halo of a stage, at least ``least``, with which the core is as expected; by bisection."""
    low, high = least - 1, exact[stage]  # too small, enough
    halo = least  # what was enough for another image is so for most
    while high - low > 1:
        tried = [max(each if i < stage else 0, min(each, halo)) for i, each in enumerate(exact)]
        difference = _difference(model, images, tried, core, expected)
        low, high = (low, halo) if difference <= allowed else (halo, high)
        halo = (low + high) // 2
    return high


def _difference(model: Model, images: Mapping[str, Tensor], halos: Sequence[int], core: int, expected: Tensor) -> float:
    """Return the largest difference of the core with these halos, each enlarged to what the model's sizes allow."""
    multiple = model.size_multiple
    whole = [-(-each // multiple) * multiple for each in halos]
    return float((_core_of(model, images, whole, core) - expected).abs().max())


def _core_of(model: Model, images: Mapping[str, Tensor], halos: Sequence[int], core: int) -> Tensor:
    """Return the output for the core in the middle with these halos."""
    first = images[model.inputs[0]]
    margin = (first.shape[2] - core) // 2
    output = model.run(images, [Margins(*([margin - halo] * 4)) for halo in halos])
    return Margins(*([halos[-1]] * 4)).cut(output, model.upscaling)
