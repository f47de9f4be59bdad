"""Weights for any sensor on images: made for the sensor of the options or of the scene, and the wavelengths."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError
from finewave.inference.matching.band_matching import wavelengths_of
from finewave.inference.matching.units import is_radiance
from finewave.inference.tiling.sources import OpenScene
from finewave.physics.requested_bands import requested_bands
from finewave.physics.sensors import get_sensor, split_bands
from finewave.physics.sensors.sensor import Sensor
from finewave.scene import band_values
from finewave.warnings import FinewaveWarning
from finewave.zoo.any_sensor import (
    LEAST_BANDS,
    covered_by,
    for_sensor,
    known_wavelengths,
    seen_by,
    sensor_or_numbers,
    weights_with_library,
)
from finewave.zoo.model import load_model
from finewave.zoo.names import ANY_SENSOR

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from finewave.inference.options import PredictOptions
    from finewave.zoo.model import Model

_SIDE = 48
_WINDOWS = 3
"""Windows along each axis, of `_SIDE` pixels, that tell which library is nearest to a scene."""
_GAUSSIAN = 2.0
_MOST_NAMED = 16


def model_for(model: Any, scene: xr.DataArray, options: PredictOptions, pixels: float = 1.0) -> Model:
    """Return weights for any sensor as a model for a scene's sensor.

    Parameters
    ----------
    model : Model or str
        With a library; or `ANY_SENSOR`, for the weights whose spectra cover bands and wavelengths, and whose pixels are
        most like the scene's.
    scene : xarray.DataArray with dims (band, y, x)
    options : PredictOptions
        ``sensor`` and ``wavelengths`` (of the result).
    pixels : float
        See `finewave.zoo.any_sensor.for_sensor`.

    Raises
    ------
    InputError
        The sensor is not known, or as `for_sensor`.

    Warns
    -----
    FinewaveWarning
        If bands of the scene are left out, and which weights of several were chosen.
    """
    for option in ("kernel", "spectra"):
        if getattr(options, option) is not None:
            raise InputError(f"--{option} ({option}=) has no meaning for {ANY_SENSOR}")
    sensor, name = _sensor_of(scene, options)
    if model == ANY_SENSOR:
        candidates = [load_model(each, precision=options.precision) for each in weights_with_library()]
    else:
        candidates = [model]
    if sensor is None:
        trained_on = candidates[0].ms_bands if model != ANY_SENSOR else None
        if trained_on is not None and scene.sizes["band"] >= trained_on:  # as any other weights
            return for_sensor(candidates[0], None, options.wavelengths, pixels=pixels)
        raise InputError(
            f"{ANY_SENSOR} needs to know whose bands the scene has: give --sensor (sensor=), a name of finewave "
            "sensors or a YAML file with the centre and width of each band"
        )
    if len(candidates) != 1:
        candidates = [_nearest(candidates, scene, sensor, options)]
    chosen = candidates[0]
    if options.sensor is None or split_bands(options.sensor)[1] is None:  # bands named one by one are all wanted
        sensor, name = _covered(sensor, name, chosen)
    return for_sensor(chosen, sensor, options.wavelengths, pixels=pixels, name=name)


def fits_bands(model: Model, scene: xr.DataArray) -> tuple[bool, str]:
    """Return whether weights for any sensor can be made for the bands that a scene states, and a note.

    The note says of how many bands, or why not.
    """
    from finewave.inference.options import PredictOptions

    sensor, _ = _sensor_of(scene, PredictOptions())
    if sensor is None:
        return False, "made for any sensor: --sensor says whose bands the scene has"
    count = len(covered_by(known_wavelengths(model).tolist(), sensor))
    covered = f"{count} of {len(sensor.bands)} bands of {sensor.name} lie within its spectra"
    if count < LEAST_BANDS:
        return False, f"{covered}, which takes {LEAST_BANDS}"
    return True, f"made for any sensor: {covered}"


def _sensor_of(scene: xr.DataArray, options: PredictOptions) -> tuple[Sensor | None, str]:
    """Return the sensor of the options, or of the scene, with those of its bands that the scene has; and its name."""
    names = band_values(scene, "band_name")
    own = [] if names is None else [str(each) for each in names]
    centres, widths = wavelengths_of(scene), band_values(scene, "fwhm")
    measured = centres is not None and widths is not None and bool((np.asarray(widths, float) > 0).all())
    stated = options.sensor or scene.attrs.get("sensor")
    if stated is not None:
        try:
            sensor = get_sensor(str(stated))
        except InputError:
            if options.sensor is not None:
                raise
        else:
            present = [each for each in own if each in sensor.bands]
            if present and len(present) < len(sensor.bands):
                return sensor.select(present), f"{stated}:{','.join(present)}"
            # of unnamed channels, as those of imaging spectrometers, a product's own centres are truer than the usual
            if options.sensor is not None or present or not measured:
                return sensor, str(stated)
    if not measured or centres is None or widths is None:
        return None, ""
    from finewave.physics.sensors.satellites import sampled_bands

    spans = [(float(centre), float(width)) for centre, width in zip(centres, widths, strict=True)]
    wavelengths, curves = sampled_bands(spans, _GAUSSIAN)
    bands = tuple(own or (f"{centre:g} nm" for centre in centres))
    return Sensor("scene", bands, wavelengths, curves, "bands of the scene, by centre and width"), "scene"


def _covered(sensor: Sensor, name: str, model: Model) -> tuple[Sensor, str]:
    """Return the bands of the scene's sensor that the spectra cover, with a warning of the others."""
    fitting = covered_by(known_wavelengths(model).tolist(), sensor)
    if len(fitting) == len(sensor.bands) or len(fitting) < LEAST_BANDS:  # too few are refused with the numbers
        return sensor, name
    left = [band for i, band in enumerate(sensor.bands) if i not in fitting]
    shown = ", ".join(left[:_MOST_NAMED]) + (f" and {len(left) - _MOST_NAMED} others" if left[_MOST_NAMED:] else "")
    warnings.warn(
        f"{shown} of {sensor.name} lie outside of the spectra of {model.name}: left out; "
        "choose weights that cover them if there are any",
        FinewaveWarning,
        stacklevel=4,
    )
    chosen = sensor.select(fitting)
    return chosen, f"{split_bands(name)[0]}:{','.join(chosen.bands)}"


def _nearest(candidates: list[Model], scene: xr.DataArray, sensor: Sensor, options: PredictOptions) -> Model:
    """Return the weights that cover most bands, and of several those whose pixels are most like the scene's.

    Of weights of another quantity than the scene's, spectra would be wrong however near pixels are.
    """
    given = is_radiance(scene.attrs.get("quantity"))  # reflectance above the atmosphere is nearer to that below it
    same = [each for each in candidates if is_radiance(each.data_facts.get("quantity")) == given]
    candidates = same or candidates
    usable: list[tuple[int, Model]] = []
    refusals: dict[float, str] = {}
    for model in candidates:
        fitting = covered_by(known_wavelengths(model).tolist(), sensor)
        try:
            if options.wavelengths is not None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", FinewaveWarning)
                    requested_bands(sensor_or_numbers(options.wavelengths), known_wavelengths(model), model.name)
        except InputError as error:
            refusals[float(np.ptp(known_wavelengths(model)))] = str(error)
            continue
        usable.append((len(fitting), model))
    if not usable:
        # that of the widest spectra says what can be had
        raise InputError(
            refusals[max(refusals)] if refusals else f"there are no weights of {ANY_SENSOR} on this machine"
        )
    most = max(count for count, _ in usable)
    if most < LEAST_BANDS:
        return usable[0][1]  # refused with the numbers
    fitting_models = [model for count, model in usable if count == most]
    if len(fitting_models) == 1:
        return fitting_models[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FinewaveWarning)  # of bands that those not chosen cover in part
        far = {model.name: _distance(model, scene, sensor) for model in fitting_models}
    best = min(fitting_models, key=lambda model: far[model.name])
    if not np.isfinite(far[best.name]):  # as of a scene without values
        why = f"the first of {', '.join(far)}, as none of the scene's pixels can be compared with theirs"
    else:
        others = ", ".join(
            f"{name} {value:.2f}" if np.isfinite(value) else f"{name} cannot be compared"
            for name, value in far.items()
            if name != best.name
        )
        why = f"whose pixels are most like the scene's (distance {far[best.name]:.2f}; {others})"
    warnings.warn(
        f"{ANY_SENSOR}: {best.name} answers, {why}; choose another by its name", FinewaveWarning, stacklevel=5
    )
    return best


def _distance(model: Model, scene: xr.DataArray, sensor: Sensor) -> float:
    """Return the median distance of pixels of a scene from those of a library, in units of its limit."""
    covered = sensor.select(covered_by(known_wavelengths(model).tolist(), sensor))
    centres = wavelengths_of(scene)
    names = band_values(scene, "band_name")
    own = [] if names is None else [str(each) for each in names]
    if set(covered.bands) <= set(own):
        bands = [own.index(band) for band in covered.bands]
    elif centres is not None:
        bands = [int(np.abs(centres - centre).argmin()) for centre in covered.centres]
    else:
        bands = list(range(min(len(covered.bands), scene.sizes["band"])))
    pixels = _sampled_pixels(scene, bands)
    if not pixels.size or len(bands) != len(covered.bands):
        return float("inf")
    return float(np.median(seen_by(model, covered).distances(pixels[:, None, :])))


def _sampled_pixels(scene: xr.DataArray, bands: list[int]) -> NDArray[np.float32]:
    """Return finite pixels (c, n) of windows all over a scene."""
    source = OpenScene(scene, bands)
    starts = [
        np.unique(np.linspace(0, max(0, scene.sizes[axis] - _SIDE), _WINDOWS).astype(int)).tolist()
        for axis in ("y", "x")
    ]
    windows = [
        source.read((slice(row, row + _SIDE), slice(column, column + _SIDE))).reshape(len(bands), -1)
        for row in starts[0]
        for column in starts[1]
    ]
    pixels = np.concatenate(windows, 1)
    return pixels[:, np.isfinite(pixels).all(0)]
