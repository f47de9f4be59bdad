"""Models of `any-sensor` for a sensor: solved from the library in the weights, and kept in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finewave import __version__
from finewave.errors import InputError
from finewave.locations import cache_folder
from finewave.physics.requested_bands import RequestedBands, coverage, gaps, requested_bands
from finewave.physics.sensors import get_sensor
from finewave.physics.sensors.sensor import MIN_COVERAGE, Sensor
from finewave.systems.any_sensor.network import AnySensor
from finewave.zoo.card import Card, describe
from finewave.zoo.distribution.bundled_weights import CARD, weight_folders
from finewave.zoo.model import Model, load_model
from finewave.zoo.names import ANY_SENSOR
from finewave.zoo.seen import SeenPixels

LEAST_BANDS = 2
MOST_KEPT = 100
"""Solutions in the cache; older ones are removed."""
_ALIKE = 1e-6
_SEED = 42


def has_library(model: Any) -> bool:
    """Return whether a model can be made for other sensors."""
    return isinstance(model, Model) and model.any_sensor


def known_wavelengths(model: Model) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the wavelengths in nm of the bands of a model's library."""
    assert model.card is not None
    return np.asarray(model.card.wavelengths_nm, dtype=np.float64)


def weights_with_library() -> list[str]:
    """Return the names of all weights of `ANY_SENSOR`."""
    return [
        name
        for name, folder in weight_folders().items()
        if (card := Card.read(folder / CARD)).system == ANY_SENSOR and card.config.get("spectra")
    ]


def for_sensor(
    model: Model,
    sensor: str | Path | Sensor | None = None,
    wavelengths: Any = None,
    *,
    pixels: float = 1.0,
    name: str | None = None,
) -> Model:
    """Return a model for a sensor, and for the wavelengths that are requested.

    Parameters
    ----------
    model : Model
        With a library.
    sensor : str, Path or Sensor, optional
        Whose bands go in, see `get_sensor`; two or more. By default the sensor that the weights were trained on, which
        their card names.
    wavelengths : str, Path, sequence of float or Sensor, optional
        Bands of the result, see `finewave.physics.requested_bands`; a sensor's name for its bands. By
        default those of the library.
    pixels : float
        See `AnySensor.solved_for`.
    name : str, optional
        Of the sensor on the card.

    Returns
    -------
    Model
        Its card names sensor and bands, and tells which pixels are unlike those of the library. The same model where
        nothing else is asked for than what it was trained for.

    Raises
    ------
    InputError
        The library covers less than half of a band, or not a wavelength; two bands are the same; there are too few.
    """
    if not has_library(model):
        raise InputError(
            f"{model.name} is for the sensor that it was trained on; sensor= and wavelengths= are for weights that "
            f"hold spectra: {', '.join(weights_with_library()) or 'none are here'}"
        )
    assert isinstance(model.net, AnySensor)
    if sensor is None:
        if wavelengths is None and pixels == 1:
            return model
        sensor = model.card.sensor if model.card is not None else None
    if sensor is None:
        raise InputError(f"the card of {model.name} names no sensor: give --sensor (sensor=)")
    known = known_wavelengths(model)
    found = get_sensor(sensor)
    response = _checked_response(found, known, model.name)
    requested = None if wavelengths is None else requested_bands(sensor_or_numbers(wavelengths), known, model.name)
    stated = name or (str(sensor) if isinstance(sensor, str | Path) else found.name)
    facts = {"sensor": stated, "bands": list(found.bands), "pixels": pixels}
    folder = _folder(model, response, requested, facts)
    if (kept := _kept(folder)) is not None:
        return Model(kept.net, kept.card, precision=model.precision, pooling=model.pooling)
    with torch.random.fork_rng(devices=[]):
        net = model.net.solved_for(
            torch.from_numpy(response),
            None if requested is None else torch.from_numpy(requested.weights),
            pixels=pixels,
            seed=_SEED,
        )
    solved = Model(net, _card(model, net, found, stated, requested, response))
    _keep(solved, folder)
    return Model(net, solved.card, precision=model.precision, pooling=model.pooling)


def covered_by(model_wavelengths: Sequence[float], sensor: Sensor) -> list[int]:
    """Return which bands of a sensor lie within the wavelengths of a library, half of each or more."""
    share = coverage(sensor, np.asarray(model_wavelengths, dtype=np.float64))
    return [int(i) for i in np.flatnonzero(share >= MIN_COVERAGE)]


def seen_by(model: Model, sensor: Sensor) -> SeenPixels:
    """Return what the pixels of a model's library are in the bands of a sensor, for the distance of others."""
    assert isinstance(model.net, AnySensor)
    return _seen(model.net, sensor.response(known_wavelengths(model)))


def _seen(net: AnySensor, response: np.ndarray[Any, Any]) -> SeenPixels:
    spectra = net.library.spectra(net.library.scene >= 0)[:, 0]
    return SeenPixels.of(spectra.numpy() @ response.T)


def sensor_or_numbers(wavelengths: Any) -> Any:
    """Return the sensor that is named, or what is given: numbers, or a file with them."""
    if not isinstance(wavelengths, str | Path) or Path(wavelengths).suffix.lower() == ".csv":
        return wavelengths
    text = str(wavelengths)
    if not any(each.isalpha() for each in text.replace("e", "")):  # 1e3 is a number
        return text
    return get_sensor(wavelengths)


def _checked_response(sensor: Sensor, known: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the response (c, C), or refuse bands that cannot be used."""
    share = coverage(sensor, known)
    short = [f"{sensor.bands[i]} ({sensor.centres[i]:.0f} nm, {share[i]:.0%})" for i in range(len(share))
             if share[i] < MIN_COVERAGE]  # fmt: skip
    if short:
        fitting = [band for band, part in zip(sensor.bands, share, strict=True) if part >= MIN_COVERAGE]
        remedy = f"name the others: {sensor.name}:{','.join(fitting)}" if len(fitting) >= LEAST_BANDS else "none do"
        raise InputError(
            f"{name} has spectra of {known.min():.0f}-{known.max():.0f} nm, which cover less than half of these bands "
            f"of {sensor.name}: {', '.join(short[:16])}; {remedy}"
        )
    if len(sensor.bands) < LEAST_BANDS:
        raise InputError(
            f"sensor {sensor.name!r} has one band, {sensor.bands[0]}; {name} needs two or more to tell spectra apart"
        )
    response = sensor.response(known)
    for first in range(len(response)):
        for second in range(first):
            if np.abs(response[first] - response[second]).max() < _ALIKE:
                raise InputError(
                    f"the bands {sensor.bands[second]} and {sensor.bands[first]} of {sensor.name} have the same "
                    "response; leave one of them out"
                )
    return response


def _card(
    model: Model,
    net: AnySensor,
    sensor: Sensor,
    stated: str,
    requested: RequestedBands | None,
    response: np.ndarray[Any, Any],
) -> Card:
    card = model.card
    assert card is not None
    assert isinstance(model.net, AnySensor)
    known = known_wavelengths(model)
    facts = dict(card.data or {})
    facts["seen"] = _seen(model.net, response).to_card()
    facts["unreliable_nm"] = [*facts.get("unreliable_nm", []), *([low, high] for low, high in gaps(known))]
    facts["library"] = {"name": card.name, "sha256": card.sha256, "bands": len(known)}
    wavelengths = known if requested is None else requested.wavelengths
    return describe(
        net,
        name=card.name,
        wavelengths_nm=[float(each) for each in wavelengths],
        ms_bands=list(sensor.bands),
        ms_wavelengths_nm=[round(float(each), 1) for each in sensor.centres],
        sensor=stated,
        value_range=card.value_range,
        degradation=card.degradation,
        training_crop=card.training_crop,
        data=facts,
        commit=card.commit,
        seed=_SEED,
        trained=card.trained,
        hardware=card.hardware,
        licence=card.licence,
        notes=card.notes,
    )


def _folder(
    model: Model, response: np.ndarray[Any, Any], requested: RequestedBands | None, facts: dict[str, Any]
) -> Path | None:
    """Return where the solution is kept: by all that it depends on; None if there is no place for it."""
    assert model.card is not None
    cache = cache_folder()
    if cache is None:
        return None
    digest = hashlib.sha256(json.dumps([__version__, model.card.sha256 or model.fingerprint(), facts]).encode())
    digest.update(response.astype(np.float32).tobytes())
    if requested is not None:
        digest.update(requested.wavelengths.tobytes() + requested.weights.astype(np.float32).tobytes())
    return cache / "solved" / f"{model.card.name[:60]}-{digest.hexdigest()[:24]}"


def _kept(folder: Path | None) -> Model | None:
    """Return the solution in the cache; None if there is none, or it is damaged."""
    if folder is None or not folder.is_dir():
        return None
    try:
        return load_model(folder)
    except InputError:
        return None


def _keep(model: Model, folder: Path | None) -> None:
    """Store a solution; a cache that cannot be written to is none."""
    if folder is None:
        return
    with contextlib.suppress(OSError, InputError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        model.save(folder)
        kept = sorted(
            (each for each in folder.parent.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime
        )
        for old in kept[:-MOST_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
