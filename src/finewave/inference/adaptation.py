"""What two images have that a model is not for, looked at in pieces of the whole scene before it is cut into tiles."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from finewave.inference.request import PredictionRequest
from finewave.inference.tiling.sources import OpenScene
from finewave.inference.tiling.tiles import Window, enlarged
from finewave.zoo.invalid_pixels import fill_pixels

_SIDE = 86
"""Side in pixels of the first input of each of nine pieces; a scene of up to three sides is looked at as a whole."""


def adapted(request: PredictionRequest) -> PredictionRequest:
    """Return the request with the model for what its images have, see `Model.adapted_to`, if it looks at them.

    All tiles are treated alike, and so is every window of a scene: the pieces are those of the whole scene.
    """
    import torch

    model = request.model.in_pytorch("images that have another blur, or noise")
    first, later = model.inputs
    scenes = request.whole
    sizes = {name: (scene.sizes["y"], scene.sizes["x"]) for name, scene in scenes.items()}
    ratio = request.ratio(later)
    if ratio != model.scale or sizes[later] != tuple(ratio * side for side in sizes[first]):
        return request
    sources = {
        name: OpenScene(scene, request.bands[name].indices, request.bands[name].fills) for name, scene in scenes.items()
    }
    pieces = []
    for place in itertools.product(*(_places(length) for length in sizes[first])):
        window: Window = (place[0], place[1])
        pieces.append({name: source.read(enlarged(window, request.ratio(name))) for name, source in sources.items()})
    known = [piece for piece in pieces if all(np.isfinite(image).all() for image in piece.values())]
    # where all have missing pixels, as the network gets them: zeros would be edges that explain no blur
    images = {
        name: torch.from_numpy(np.stack([fill_pixels(piece[name])[0] for piece in known or pieces])) for name in scenes
    }
    return replace(request, model=model.adapted_to(images))


def _places(length: int) -> list[slice]:
    """Return the middle of each third of an axis; the whole of a short one."""
    if length <= 3 * _SIDE:
        return [slice(0, length)]
    return [slice(start, start + _SIDE) for start in (length * third // 6 - _SIDE // 2 for third in (1, 3, 5))]
