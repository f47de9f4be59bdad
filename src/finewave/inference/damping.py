"""Consistency weighted by the noise of the inputs, which is estimated from samples of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from finewave.inference.processing import Processing
from finewave.physics.projection import Projection
from finewave.zoo.observation_model import forward_operators

if TYPE_CHECKING:
    from finewave.inference.request import Request

_SAMPLE = 128  # pixels on a side of a sample
_SAMPLES = 3  # along each axis


def with_damping(processing: Processing, request: Request) -> Processing:
    """Return a processing whose projection is weighted by the noise of the request's inputs."""
    import torch

    from finewave.physics.damped_projection import DampedProjection, noise_of

    assert isinstance(processing.projection, Projection)
    noise = {}
    for operator in forward_operators(request.model, "a consistent result"):
        source, ratio = request.sources()[operator.name]
        height, width = (request.first.sizes[axis] * ratio for axis in ("y", "x"))
        found = [
            noise_of(torch.from_numpy(source.read((rows, columns)).astype(np.float32)))
            for rows in _samples(height)
            for columns in _samples(width)
        ]
        noise[operator.name] = float(np.median(found))
    return replace(processing, projection=DampedProjection(processing.projection, noise))


def _samples(length: int) -> list[slice]:
    if length <= _SAMPLES * _SAMPLE:
        return [slice(0, length)]
    return [slice(start, start + _SAMPLE) for start in np.linspace(0, length - _SAMPLE, _SAMPLES).astype(int)]
