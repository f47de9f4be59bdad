"""Consistency weighted by the noise and the blur of the inputs, which are estimated from samples of them or given."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from finewave.inference.processing import Processing
from finewave.inference.tiling.sources import OpenScene
from finewave.physics.inversion.damped_projection import DampedProjection, noise_of
from finewave.physics.inversion.projection import Projection
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    from torch import Tensor

    from finewave.inference.options import PredictOptions
    from finewave.inference.request import PredictionRequest
    from finewave.physics.inversion.forward_operator import ForwardOperator

CONTRADICTION = 2.0
"""How many times the usual error of an estimate a blur may be off before it contradicts the model's."""
LEAST_NOISE = 1 / (255 * 12**0.5)
"""Of an estimate: rounding to eight bits of full scale. Less is not told apart from what the observation model leaves
out, and in dark pixels turns spectra: there the least correction has the shape of the sensor's bands."""
_SAMPLE = 128  # pixels on a side of a sample
_SAMPLES = 3  # along each axis


@dataclass(frozen=True)
class InputFacts:
    """What is known of the noise and the blur of an input.

    Attributes
    ----------
    noise : float
        Standard deviation, in the input's unit; an estimate is at least `LEAST_NOISE`.
    blur : float or None
        FWHM of the blur, in pixels of the result, by which the result is degraded; None for an input without one.
    estimated_blur : float or None
        That of the image, by `finewave.physics.blur_estimate`; None where it cannot be told.
    doubt : float or None
        By which part of it the FWHM may be wrong.
    given : tuple of str
        Which of these the user gave.
    """

    noise: float
    blur: float | None = None
    estimated_blur: float | None = None
    doubt: float | None = None
    given: tuple[str, ...] = ()

    @property
    def contradiction(self) -> float:
        """How many usual errors the estimated blur is away from the one that the result is degraded by."""
        from finewave.physics.blur_estimate import USUAL_ERROR

        if self.blur is None or self.estimated_blur is None:
            return 0.0
        return abs(self.estimated_blur / self.blur - 1) / USUAL_ERROR

    def variance_in_doubt(self, scale: int) -> float:
        """Return by how much the variance of the blur may be wrong, in pixels of the input squared."""
        from finewave.physics.blur_estimate import variance_of

        if self.blur is None or self.doubt is None:
            return 0.0
        return variance_of(self.blur / scale) * ((1 + self.doubt) ** 2 - 1)


def with_damping(processing: Processing, request: PredictionRequest, options: PredictOptions) -> Processing:
    """Return a processing whose projection is weighted by the noise and blur of the request's inputs.

    They are judged by the whole scenes, so that every window of a scene is treated alike. What was found is noted in
    the request, for the result's attributes. For ``consistent="exact"`` only the blur is
    compared, and nothing is weighted; of dask arrays not even that.

    Warns
    -----
    FinewaveWarning
        The blur of an input contradicts the model's.
    """
    import torch

    projection = processing.projection
    assert isinstance(projection, Projection)
    exact = options.consistent == "exact"
    if exact and any(scene.chunks is not None for scene in request.scenes.values()):
        return processing
    facts = {}
    for constraint in projection.constraints:
        operator = constraint.operator
        whole, bands = request.whole[operator.name], request.bands[operator.name]
        source = OpenScene(whole, bands.indices, bands.fills)
        samples = [
            torch.from_numpy(source.read((rows, columns)).astype(np.float32))
            for rows in _samples(whole.sizes["y"])
            for columns in _samples(whole.sizes["x"])
        ]
        facts[operator.name] = facts_of(operator, samples, request.model.name, options.consistency)
        _warn_of_blur(facts[operator.name], operator.name, request.model.name, exact)
    request.consistency = {"kind": "exact" if exact else "damped", "inputs": {k: asdict(v) for k, v in facts.items()}}
    return processing if exact else replace(processing, projection=damped(projection, facts))


def damped(projection: Projection, facts: Mapping[str, InputFacts]) -> DampedProjection:
    """Return a projection weighted by what is known of the inputs, by name."""
    doubt = {
        constraint.operator.name: facts[constraint.operator.name].variance_in_doubt(constraint.operator.scale)
        for constraint in projection.constraints
    }
    return DampedProjection(projection, {name: each.noise for name, each in facts.items()}, doubt)


def facts_of(
    operator: ForwardOperator, samples: Sequence[Tensor], owner: str, given: Mapping[str, float] | None = None
) -> InputFacts:
    """Return what is known of an input, from samples (c, h, w) of it and what the user gave.

    Parameters
    ----------
    operator : ForwardOperator
        How it is observed of the result.
    samples : sequence of Tensor (c, h, w)
    owner : str
        For messages.
    given : mapping, optional
        ``noise``, ``doubt``, and ``blur``, with which the operator was made already.
    """
    from finewave.physics.blur_estimate import USUAL_ERROR, Curvatures, equivalent_fwhm

    given = given or {}
    found_noise = given["noise"] if "noise" in given else float(np.median([noise_of(sample) for sample in samples]))
    noise = _number(found_noise if "noise" in given else max(found_noise, LEAST_NOISE))
    if operator.observation is None:
        return InputFacts(noise, given=tuple(key for key in given if key == "noise"))
    curvatures = Curvatures()
    for sample in samples:
        curvatures.add(sample)
    scale = operator.observation.scale
    blur, found = equivalent_fwhm(operator.observation, owner), curvatures.fwhm(found_noise)
    doubt = given["doubt"] if "doubt" in given else max(USUAL_ERROR, 0.0 if found is None else abs(found / blur - 1))
    estimated = None if found is None else _number(found * scale)
    return InputFacts(noise, _number(blur * scale), estimated, _number(doubt), tuple(given))


def _warn_of_blur(facts: InputFacts, name: str, model: str, exact: bool) -> None:
    if facts.contradiction <= CONTRADICTION or facts.blur is None or facts.estimated_blur is None:
        return
    wider = facts.estimated_blur > facts.blur
    expected = "the one given is" if "blur" in facts.given else f"{model} was trained for"
    consequence = "exact brings the difference into the result" if exact else "the result is corrected less for that"
    warnings.warn(
        f"{name} looks {'more blurred' if wider else 'sharper'} than it should: FWHM about {facts.estimated_blur:.1f} "
        f"pixels of the result, {expected} {facts.blur:.1f} (or the scene has {'no' if wider else 'very many'} sharp "
        f"edges); {consequence}: state the width, if it is known, by --consistent blur=FWHM (consistent=)",
        FinewaveWarning,
        stacklevel=4,
    )


def _samples(length: int) -> list[slice]:
    if length <= _SAMPLES * _SAMPLE:
        return [slice(0, length)]
    return [slice(start, start + _SAMPLE) for start in np.linspace(0, length - _SAMPLE, _SAMPLES).astype(int)]


def _number(value: float) -> float:
    """Return a number of four digits: more would be rounding."""
    return float(f"{value:.4g}")
