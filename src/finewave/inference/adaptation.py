"""What two images have that a model is not for, looked at in their middle before a scene is cut into tiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from finewave.inference.request import Request

_SAMPLE = 256
"""Side in pixels of the first input of the part that is looked at."""


def adapted(request: Request) -> Request:
    """Return the request with the model for what its images have, see `Model.adapted_to`, for all tiles alike."""
    if not request.model.looks_at_its_images:
        return request
    import torch

    model = request.model.in_pytorch("another blur, or noise,")
    first, later = model.inputs
    rows, columns = (_middle(request.first.sizes[axis]) for axis in ("y", "x"))
    images = {}
    for name, (source, ratio) in request.sources().items():
        part = tuple(slice(each.start * ratio, each.stop * ratio) for each in (rows, columns))
        images[name] = torch.from_numpy(np.asarray(source.read((part[0], part[1])), dtype=np.float32))[None]
    sides = (images[first].shape[2] * model.scale, images[first].shape[3] * model.scale)
    if tuple(images[later].shape[2:]) != sides:
        return request
    return replace(request, model=model.adapted_to({name: image.nan_to_num() for name, image in images.items()}))


def _middle(length: int) -> slice:
    start = max(0, (length - _SAMPLE) // 2)
    return slice(start, min(length, start + _SAMPLE))
