"""Which bands of a scene are those that a model was trained on."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from finewave.errors import InputError
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

    from finewave.zoo.model import Model

SAME_BAND_NM = 15.0
"""Bands of two sensors whose centres differ by no more are taken as the same one."""
OTHER_BAND_NM = 60.0
"""Where the bands are as many as expected, a centre farther off is worth a warning."""


def match_bands(scene: xr.DataArray, model: Model, name: str | None = None) -> list[int]:
    """Return, for each band of the model's input ``name`` (the first), the index of the scene's band it stands for.

    With wavelengths in the scene and in the model's card, bands are matched by wavelength: in the order of
    their wavelengths where they are as many, else each to the nearest within `SAME_BAND_NM`, leaving the
    others out.
    Without, they are taken in the order given.

    Raises
    ------
    InputError
        If the scene does not have the model's bands.
    """
    name = name or model.inputs[0]
    expected = model.bands_of(name)
    count = scene.sizes["band"]
    given = wavelengths_of(scene)
    wanted = input_wavelengths(model, name)
    if wanted is not None and given is not None:
        if count == len(wanted):
            order = np.empty(count, dtype=int)
            order[np.argsort(wanted)] = np.argsort(given)
            worst = float(np.abs(given[order] - wanted).max())
            if worst > OTHER_BAND_NM:
                _warn(
                    f"the scene's bands ({_nm(given)}) are up to {worst:.0f} nm off those that {model.name} "
                    f"was trained on ({_nm(wanted)}); expect wrong spectra, or state other band "
                    "centres with wavelengths="
                )
            return [int(i) for i in order]
        nearest = np.abs(given[:, None] - wanted[None, :]).argmin(0)
        if (np.abs(given[nearest] - wanted) <= SAME_BAND_NM).all() and len(set(nearest)) == len(wanted):
            _warn(
                f"of the scene's {count} bands, {model.name} uses those at {_nm(given[nearest])}; "
                "the others are left out; choose others with scene[[...]]"
            )
            return [int(i) for i in nearest]
    if expected is not None and count != expected:
        raise InputError(
            f"scene has {count} band{'s' * (count != 1)}{_in_brackets(given)}; "
            f"{model.name} expects {expected}{expected_bands(model, name)}"
        )
    return list(range(count))


def warn_of_other_sensor(scene: xr.DataArray, model: Model) -> None:
    """Warn where the scene was taken by another sensor than the model knows, and name a better model."""
    taken_by = scene.attrs.get("sensor")
    trained_on = model.card.sensor if model.card is not None else None
    if not taken_by or not trained_on or taken_by == trained_on.partition(":")[0]:  # some of its bands
        return
    fitting = _models_of_sensor(str(taken_by), model)
    advice = f"use {' or '.join(fitting)}" if fitting else f"a training with data.sensor={taken_by} makes one for it"
    what = "a photograph (sRGB)" if taken_by == "srgb" else f"from the sensor {taken_by!r}"
    _warn(f"the scene is {what}, but {model.name} was trained on the sensor {trained_on!r}; {advice}")


def wavelengths_of(scene: xr.DataArray) -> np.ndarray | None:
    """Return the band centres in nm, or None unless every band has one."""
    if "wavelength" not in scene.coords:
        return None
    values = np.asarray(scene.coords["wavelength"].values, dtype=float).reshape(-1)
    return values if values.size == scene.sizes["band"] and np.isfinite(values).all() else None


def input_wavelengths(model: Model, name: str | None = None) -> np.ndarray | None:
    """Return the band centres in nm of an input (the first): from the model's card, else of the card's sensor."""
    name = name or model.inputs[0]
    if model.card is None or name == "ref_rgb":
        return None
    is_msi = name.endswith("msi")
    values = model.card.ms_wavelengths_nm if is_msi else model.card.wavelengths_nm
    if values is None and is_msi and model.card.sensor is not None:
        from finewave.physics.sensors import get_sensor

        values = get_sensor(model.card.sensor).centres.tolist()
    if not values or len(values) != model.bands_of(name):
        return None  # trained on some of the sensor's bands only: then the order decides
    return np.asarray(values, dtype=float)


def output_wavelengths(model: Model, scene: xr.DataArray, bands: list[int]) -> np.ndarray | None:
    """Return the band centres in nm of the output: the card's, or the scene's where bands do not change."""
    if model.card is not None:
        values = model.card.wavelengths_nm if model.output.endswith("hsi") else model.card.ms_wavelengths_nm
        if values is not None:
            return np.asarray(values, dtype=float)
    given = wavelengths_of(scene)
    same_kind = model.inputs[0].partition("_")[2] == model.output.partition("_")[2]
    return given[bands] if given is not None and same_kind else None


def expected_bands(model: Model, name: str | None = None) -> str:
    """Return the names, else the wavelengths, of the bands of an input (the first), in brackets."""
    name = name or model.inputs[0]
    if model.card is not None and model.card.ms_bands and name.endswith("msi"):
        return f" ({', '.join(model.card.ms_bands)})"
    return _in_brackets(input_wavelengths(model, name))


def _models_of_sensor(sensor: str, model: Model) -> list[str]:
    from finewave.zoo.bundled_weights import CARD, weight_folders
    from finewave.zoo.card import Card

    names = []
    for name, folder in weight_folders().items():
        card = Card.read(folder / CARD)
        if card.sensor == sensor and card.task == model.task and card.scale == model.scale:
            names.append(name)
    return names


def _nm(wavelengths: np.ndarray) -> str:
    shown = [f"{w:.0f}" for w in wavelengths]
    if len(shown) > 12:
        shown = [*shown[:3], "...", shown[-1]]
    return ", ".join(shown) + " nm"


def _in_brackets(wavelengths: np.ndarray | None) -> str:
    return "" if wavelengths is None else f" ({_nm(wavelengths)})"


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=4)
