"""Measurement of the smallest sufficient halos, which are stored in a model's card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from finewave.errors import InputError
from finewave.inference.tiling.plan import CHEAP
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

    Stages with next to no arithmetic keep the halo with which they are exact. The others share the tolerance.

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
    dear = [i for i, stage in enumerate(stages) if stage.share >= CHEAP]
    low, high = (0.0, 1.0) if model.card is None else model.card.value_range
    allowed = TOLERANCE * (high - low) / SPARE / max(1, len(dear))
    found = dict.fromkeys(dear, 0)
    for each in images:
        expected = _core_of(model, each, exact, core)
        for i in dear:
            found[i] = _smallest(model, each, exact, core, expected, i, allowed, found[i])
    halos = [found.get(i, exact[i]) for i in range(len(stages))]
    return {stage.name: max(halos[i:]) for i, stage in enumerate(stages)}


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
    multiple = model.size_multiple
    while high - low > 1:
        halo = (low + high) // 2
        tried = [max(each if i < stage else 0, min(each, halo)) for i, each in enumerate(exact)]
        tried = [-(-each // multiple) * multiple for each in tried]
        difference = (_core_of(model, images, tried, core) - expected).abs().max()
        low, high = (low, halo) if difference <= allowed else (halo, high)
    return high


def _core_of(model: Model, images: Mapping[str, Tensor], halos: Sequence[int], core: int) -> Tensor:
    """Return the output for the core in the middle with these halos."""
    first = images[model.inputs[0]]
    margin = (first.shape[2] - core) // 2
    output = model.run(images, [Margins(*([margin - halo] * 4)) for halo in halos])
    return Margins(*([halos[-1]] * 4)).cut(output, model.upscaling)
