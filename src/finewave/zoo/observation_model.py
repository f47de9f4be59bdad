"""How a model's inputs are observed of its output: blur and decimation, the sensor's response, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.physics.inversion.forward_operator import ForwardOperator

if TYPE_CHECKING:
    from finewave.physics.inversion.projection import Projection
    from finewave.physics.sensors import Sensor
    from finewave.zoo.model import Model


def forward_operators(model: Model, purpose: str, blur: float | None = None) -> list[ForwardOperator]:
    """Return how each input of a model is observed of its output, in the order of the inputs.

    A reference that is not aligned is not an observation of the output, and is left out.

    Parameters
    ----------
    model : Model
        Model whose card states sensor, degradation and wavelengths.
    purpose : str
        Purpose, for messages.
    blur : float, optional
        FWHM in pixels of the output of the Gaussian that blurred the low-resolution input, in place of the card's.

    Raises
    ------
    InputError
        If the card lacks a needed fact, or the sensor lacks the model's bands.
    """
    return [_operator_of(model, name, purpose, blur) for name in model.inputs if name != "ref_rgb"]


def colour_weights(model: Model, bands: int) -> NDArray[np.float64]:
    """Return the bands (c, C) in which a result's colour is seen: the sensor's; without one, thirds of the range."""
    try:
        operators = forward_operators(model, "anchors")
    except InputError:
        operators = []
    for operator in operators:
        if operator.response is not None:
            return operator.response
    thirds = np.array_split(np.arange(bands), min(3, bands))
    return np.stack([np.isin(np.arange(bands), part) / len(part) for part in thirds])


def projection_of(model: Model, blur: float | None = None) -> Projection:
    """Return the projection on the images consistent with a model's inputs, by its card; ``blur`` as there.

    Raises
    ------
    InputError
        As `forward_operators` and `finewave.physics.inversion.projection.constraint_of`; or a blur is given and no
        input has one.
    """
    from finewave.physics.inversion.projection import Projection, constraint_of

    operators = forward_operators(model, "a consistent result", blur)
    if blur is not None and all(operator.observation is None for operator in operators):
        raise InputError(f"consistent: a blur was given; {model.name} takes no image of lower resolution: leave it out")
    return Projection(tuple(constraint_of(operator, model.name) for operator in reversed(operators)))


def _operator_of(model: Model, name: str, purpose: str, blur: float | None) -> ForwardOperator:
    from finewave.physics.observation import Observation

    card = model.card
    observation = response = None
    if name.startswith("lr_") and model.output.startswith("hr_"):
        degradation = None if card is None else card.degradation
        if blur is not None:
            degradation = {"kernel": "gaussian", "fwhm": blur}
        if degradation is None:
            raise _untold(model, "degradation", purpose)
        observation = Observation(model.scale, degradation, model.name)
    if name.endswith("msi") and model.output.endswith("hsi"):
        response = _response(model, name, purpose)
    return ForwardOperator(name, response, observation)


def _response(model: Model, name: str, purpose: str) -> NDArray[np.float64]:
    """Return R (c, C), its rows in the order of the model's input."""
    from finewave.physics.sensors import get_sensor

    card = model.card
    if card is None or card.sensor is None or card.wavelengths_nm is None:
        raise _untold(model, "sensor and wavelengths", purpose)
    sensor = get_sensor(card.sensor)
    known = {band.casefold() for band in sensor.bands}
    if card.ms_bands and all(band.casefold() in known for band in card.ms_bands):
        sensor = sensor.select(card.ms_bands)
    if len(sensor.bands) != model.bands_of(name):
        raise InputError(
            f"{purpose}: the sensor {card.sensor} of the card of {model.name} has {len(sensor.bands)} bands, its "
            f"input {name} {model.bands_of(name)}"
        )
    wavelengths = np.asarray(card.wavelengths_nm)
    if "library" in (card.data or {}):  # weights for any sensor, whose wavelengths are those asked for
        _check_requested(sensor, wavelengths, purpose)
    return sensor.response(wavelengths)


def _check_requested(sensor: Sensor, wavelengths: NDArray[np.float64], purpose: str) -> None:
    """Refuse wavelengths that were asked for and of which the sensor's bands cannot be observed."""
    from finewave.physics.requested_bands import coverage
    from finewave.physics.sensors.sensor import MIN_COVERAGE

    count, needed = len(wavelengths), len(sensor.bands)
    if count < max(needed, 2):
        problem = f"{count} {'was' if count == 1 else 'were'} asked for"
    else:
        share = coverage(sensor, wavelengths)
        short = [f"{band} ({centre:.0f} nm)" for band, centre, part in
                 zip(sensor.bands, sensor.centres, share, strict=True) if part < MIN_COVERAGE]  # fmt: skip
        if not short:
            return
        problem = f"those asked for cover less than half of {', '.join(short[:16])}"
    raise InputError(
        f"{purpose} needs wavelengths all over the {needed} bands of {sensor.name}, which are observed of them; "
        f"{problem}: ask for more (--wavelengths), or leave them out for all"
    )


def _untold(model: Model, what: str, purpose: Any) -> InputError:
    return InputError(f"{purpose} needs to know how inputs are observed: the card of {model.name} does not say {what}")
