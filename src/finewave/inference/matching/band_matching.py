"""Which bands of a scene are those that a model was trained on."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np

from finewave.band_names import base_of, code_of, colour_of, is_possible, plain
from finewave.errors import InputError
from finewave.scene import band_labels, band_values
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

    from finewave.zoo.card import Card
    from finewave.zoo.runnable import RunnableModel

SAME_BAND_NM = 15.0
"""Maximum difference of centres, in nm, for bands of two sensors to match, or..."""
SAME_BAND_PART = 0.01
"""...this part of the wavelength: bands are wider in the infrared, and B12 of Sentinel-2A and 2B are 17 nm apart."""
OTHER_BAND_NM = 60.0
"""If the number of bands is as expected, larger differences of centres in nm trigger a warning."""


def match_bands(
    scene: xr.DataArray, model: RunnableModel, name: str | None = None, *, advise: bool = True
) -> list[int]:
    """Return, for each band of the model's input ``name`` (by default the first), the index of the matching scene band.

    Bands are matched by the first applicable rule: by wavelength, if both scene and card have them (in order of
    wavelength if the number of bands is equal, otherwise the nearest within `SAME_BAND_NM`); by band names, which
    contain a colour or are those of the model's sensor; by the colours stated by the file format; in the given order.
    Unneeded bands are dropped, first those flagged bad (``good_band``). A refusal names other models that fit, unless
    ``advise`` is False.

    Raises
    ------
    InputError
        If the scene lacks the model's bands, or has contradictory facts about a band.

    Warns
    -----
    FinewaveWarning
        If bands are dropped, wavelengths are far off, or bands are identified only by their order.
    """
    name = name or model.inputs[0]
    expected = model.bands_of(name)
    count = scene.sizes["band"]
    scene_nm = wavelengths_of(scene)
    model_nm = input_wavelengths(model, name)
    if count != expected and model.card is not None and model.card.sensor == "srgb" and name.endswith("msi"):
        model_nm = None  # display primaries are no bands: red is not what is nearest to 579 nm
    _refuse_contradictions(scene, scene_nm)
    if model_nm is not None and scene_nm is not None:
        matched = _by_wavelength(scene, model, scene_nm, model_nm)
        if matched is not None:
            return matched
    names = expected_names(model, name)
    if names is not None and (model_nm is None or scene_nm is None):
        matched = _by_name(scene, model, names, model_nm)
        if matched is not None:
            return matched
    if expected is not None and count != expected:
        raise InputError(
            f"scene has {count} band{'s' * (count != 1)}{_in_brackets(scene_nm)}; "
            f"{model.name} expects {expected}{expected_bands(model, name)}"
            f"{_other_models(scene, model, name) if advise else ''}"
        )
    if count > 1 and (names is not None or model_nm is not None):
        _warn(
            f"the scene does not say which band is which: taken in the order of the file as those of {model.name}"
            f"{expected_bands(model, name)}; {_remedy(model)}"
        )
    return list(range(count))


def _by_wavelength(
    scene: xr.DataArray, model: RunnableModel, scene_nm: np.ndarray, model_nm: np.ndarray
) -> list[int] | None:
    """Return the bands by their wavelengths: of the good ones, if those will do; None where too few are near."""
    flags = band_values(scene, "good_band")
    everything = np.arange(scene_nm.size)
    usable = everything if flags is None else np.flatnonzero(flags.astype(bool))
    for candidates in (usable, everything) if 0 < usable.size < scene_nm.size else (everything,):
        nearest = _nearest_bands(scene_nm[candidates], model_nm)
        if nearest is None:
            continue
        off = np.abs(scene_nm[candidates][nearest] - model_nm)
        worst = float(off.max())
        if candidates.size < scene_nm.size and (off > _same_band(model_nm)).any():
            continue
        bands = [int(candidates[i]) for i in nearest]
        if len(model_nm) < scene_nm.size:
            _warn_of_others(scene, model, bands)
        elif worst > OTHER_BAND_NM:
            _warn(
                f"the scene's bands ({_nm(scene_nm)}) are up to {worst:.0f} nm off those that {model.name} was trained "
                f"on ({_nm(model_nm)}); expect wrong spectra, or state other band centres with wavelengths="
            )
        return bands
    return None


def _nearest_bands(scene_nm: np.ndarray, model_nm: np.ndarray) -> np.ndarray | None:
    if scene_nm.size == model_nm.size:
        order = np.empty(scene_nm.size, dtype=int)
        order[np.argsort(model_nm, kind="stable")] = np.argsort(scene_nm, kind="stable")
        return order
    nearest = np.abs(scene_nm[:, None] - model_nm[None, :]).argmin(0)
    near = (np.abs(scene_nm[nearest] - model_nm) <= _same_band(model_nm)).all() and len(set(nearest)) == len(model_nm)
    return nearest if near else None


def _same_band(model_nm: np.ndarray) -> np.ndarray:
    """Return how far off in nm the centre of each band may be."""
    return np.maximum(SAME_BAND_NM, SAME_BAND_PART * model_nm)


def _warn_of_others(scene: xr.DataArray, model: RunnableModel, selected: list[int]) -> None:
    labels, wavelengths = band_labels(scene), wavelengths_of(scene)
    flags = band_values(scene, "good_band")
    bad = [i for i in range(scene.sizes["band"]) if flags is not None and not flags[i] and i not in selected]
    which = (
        f"those at {_nm(wavelengths[selected])}" if wavelengths is not None else ", ".join(labels[i] for i in selected)
    )
    why = f" ({', '.join(labels[i] for i in bad)} flagged bad)" if bad else ""
    _warn(
        f"of the scene's {scene.sizes['band']} bands, {model.name} uses {which}; the others are left out{why}; choose "
        "others with scene[[...]]"
    )


def _by_name(
    scene: xr.DataArray, model: RunnableModel, names: list[str], model_nm: np.ndarray | None
) -> list[int] | None:
    """Return the bands matched by name or colour; None if names and colours do not identify them."""
    labels = _names_of(scene)
    colours = [each if each is not None else _colours_of(scene)[i] for i, each in enumerate(map(colour_of, labels))]
    targets = [
        colour_of(each) or (_colour_at(model_nm[j]) if model_nm is not None else None) for j, each in enumerate(names)
    ]
    same_sensor = _may_be_of(scene, model)
    matches: list[int | None] = []
    by_code = False
    for target, colour in zip(names, targets, strict=True):
        code = code_of(target)
        options = [i for i, label in enumerate(labels) if label and plain(label) == plain(target) and code is None]
        if not options and code is not None and same_sensor:
            options = [i for i, label in enumerate(labels) if code_of(label) == code]
            by_code = by_code or bool(options)
        if not options and colour is not None:
            options = [i for i, each in enumerate(colours) if each == colour]
            options = options or [i for i, each in enumerate(colours) if each and base_of(each) == base_of(colour)]
        matches.append(options[0] if len(options) == 1 else None)
    bands = [i for i in matches if i is not None]
    if len(bands) == len(names) and len(set(bands)) == len(names):
        if len(bands) < scene.sizes["band"]:
            _warn_of_others(scene, model, bands)
        if by_code and not scene.attrs.get("sensor") and not _made_for_a_sensor(model):
            _warn(
                f"bands were matched by number alone ({', '.join(str(labels[i]) for i in bands)} as "
                f"{', '.join(names)} of {model.name}), which other sensors have, too; state wavelengths= "
                "(--wavelengths) to be sure"
            )
        return bands
    says = any(colours) if any(targets) else bool(bands)
    in_order = len(names) == scene.sizes["band"] and all(i in (None, j) for j, i in enumerate(matches))
    if says and not (in_order and any(each is None for each in colours)):
        raise InputError(
            f"the scene's bands are called {', '.join(str(each) for each in _called(labels, colours))}; "
            f"{model.name} expects {', '.join(names)}, and not each is among them exactly once: {_remedy(model)}"
        )
    return None


def _made_for_a_sensor(model: RunnableModel) -> bool:
    """Return whether weights for any sensor were made for the scene's, see `finewave.zoo.any_sensor.for_sensor`."""
    return model.card is not None and "library" in (model.card.data or {})


def _remedy(model: RunnableModel) -> str:
    """Return how a file says which band is which; of weights for any sensor, wavelengths= are those of the result."""
    if _made_for_a_sensor(model):
        return "name the bands in the file so, or order them so"
    return "name the bands in the file, or state their centres with wavelengths= (--wavelengths)"


def _called(labels: list[str | None], colours: list[str | None]) -> list[str]:
    """Return each band's name, or its colour in the file format, or its number."""
    pairs = enumerate(zip(labels, colours, strict=True), start=1)
    return [label or colour or f"band {i}" for i, (label, colour) in pairs]


def _refuse_contradictions(scene: xr.DataArray, scene_nm: np.ndarray | None) -> None:
    """Raise an error for a scene whose wavelengths, names and colours contradict each other."""
    file_colours = _colours_of(scene)
    nominal = _nominal(scene)
    for i, label in enumerate(_names_of(scene)):
        named, coloured = colour_of(label), file_colours[i]
        facts = []
        if named and coloured and base_of(named) != base_of(coloured):
            facts = [f"is named {label!r}", f"is {coloured} by its colour interpretation"]
        elif scene_nm is not None and (colour := named or coloured) and not is_possible(colour, float(scene_nm[i])):
            facts = [f"is named {label!r}" if named else f"is {colour} by its colour interpretation"]
            facts.append(f"has a wavelength of {scene_nm[i]:g} nm")
        elif scene_nm is not None and label in nominal and abs(nominal[label] - scene_nm[i]) > OTHER_BAND_NM:
            facts = [f"is {label} of {scene.attrs['sensor']} ({nominal[label]:g} nm)"]
            facts.append(f"has a wavelength of {scene_nm[i]:g} nm")
        if facts:
            raise InputError(
                f"band {i + 1} of the scene {' and '.join(facts)}, which cannot both be; correct the file, or the "
                "wavelengths that were stated"
            )


def _nominal(scene: xr.DataArray) -> dict[str | None, float]:
    """Return the band centres of the scene's sensor by name; empty unless it is a known satellite."""
    sensor = str(scene.attrs.get("sensor", ""))
    if not sensor:
        return {}
    from finewave.physics.sensors.satellites import nominal_bands, satellite_names

    return {k: v[0] for k, v in nominal_bands(sensor).items()} if sensor in satellite_names() else {}


def _may_be_of(scene: xr.DataArray, model: RunnableModel) -> bool:
    """Return whether band numbers may be compared: scene and model do not have different known sensors."""
    scene_sensor = scene.attrs.get("sensor")
    model_sensor = model.card.sensor if model.card is not None else None
    return not scene_sensor or not model_sensor or _family(str(scene_sensor)) == _family(model_sensor.partition(":")[0])


def _family(sensor: str) -> str:
    return {"landsat9": "landsat8", "landsat5": "landsat4"}.get(sensor, re.sub(r"^(sentinel2)[a-z]$", r"\1", sensor))


def _names_of(scene: xr.DataArray) -> list[str | None]:
    names = band_values(scene, "band_name")
    return [None] * scene.sizes["band"] if names is None else [str(each) for each in names]


def _colours_of(scene: xr.DataArray) -> list[str | None]:
    """Return the colours that the file's format has for the bands."""
    colours = band_values(scene, "colour")
    return [None] * scene.sizes["band"] if colours is None else [str(each) or None for each in colours]


_COLOURS_FROM = (
    (0, "coastal"),
    (455, "blue"),
    (515, "green"),
    (590, "yellow"),
    (620, "red"),
    (695, "rededge"),
    (760, "nir"),
    (1000, "swir"),
)


def _colour_at(wavelength: float) -> str:
    """Return the colour of a band of a satellite by its centre in nm."""
    return [colour for start, colour in _COLOURS_FROM if wavelength >= start][-1]


def warn_of_other_sensor(scene: xr.DataArray, model: RunnableModel) -> None:
    """Warn if the scene is from another sensor than the model's, and suggest a better model."""
    scene_sensor = scene.attrs.get("sensor")
    trained_on = model.card.sensor if model.card is not None else None
    if not scene_sensor or not trained_on or scene_sensor == trained_on.partition(":")[0]:  # some of its bands
        return
    fitting = _models_of_sensor(str(scene_sensor), model)
    if not fitting and model.task in ("ssr", "sssr"):
        fitting = ["--model any-sensor"] * (str(scene_sensor) in _sensors_with_curves())
    advice = (
        f"use {' or '.join(fitting)}" if fitting else f"a training with data.sensor={scene_sensor} makes one for it"
    )
    source = "a photograph (sRGB)" if scene_sensor == "srgb" else f"from the sensor {scene_sensor!r}"
    _warn(f"the scene is {source}, but {model.name} was trained on the sensor {trained_on!r}; {advice}")


def wavelengths_of(scene: xr.DataArray) -> np.ndarray | None:
    """Return the band centres in nm, or None unless every band has one."""
    if "wavelength" not in scene.coords:
        return None
    values = np.asarray(scene.coords["wavelength"].values, dtype=float).reshape(-1)
    return values if values.size == scene.sizes["band"] and np.isfinite(values).all() else None


def input_wavelengths(model: RunnableModel, name: str | None = None) -> np.ndarray | None:
    """Return the band centres in nm of an input (by default the first), from the model's card or the card's sensor."""
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


def output_wavelengths(model: RunnableModel, scene: xr.DataArray, bands: list[int]) -> np.ndarray | None:
    """Return the band centres in nm of the output: the card's, or the scene's where bands do not change."""
    if model.card is not None:
        values = model.card.wavelengths_nm if model.output.endswith("hsi") else model.card.ms_wavelengths_nm
        if values is not None:
            return np.asarray(values, dtype=float)
    scene_nm = wavelengths_of(scene)
    same_kind = model.inputs[0].partition("_")[2] == model.output.partition("_")[2]
    return scene_nm[bands] if scene_nm is not None and same_kind else None


def expected_names(model: RunnableModel, name: str | None = None) -> list[str] | None:
    """Return the names of the bands of an input (the first), None where the model does not know them."""
    name = name or model.inputs[0]
    if name == "ref_rgb":
        return ["red", "green", "blue"]
    if model.card is None or not name.endswith("msi"):
        return None
    names = model.card.ms_bands
    if not names and model.card.sensor is not None:
        from finewave.physics.sensors import get_sensor

        names = list(get_sensor(model.card.sensor).bands)
    return list(names) if names and len(names) == model.bands_of(name) else None


def expected_bands(model: RunnableModel, name: str | None = None) -> str:
    """Return the names or the wavelengths of the bands of an input (by default the first), in brackets."""
    if names := expected_names(model, name):
        return f" ({', '.join(names)})"
    return _in_brackets(input_wavelengths(model, name))


def _other_models(scene: xr.DataArray, model: RunnableModel, name: str) -> str:
    """Return advice for a scene with other bands: models that fit, those of the same task first, or `fit`."""
    from finewave.systems.registry import SYSTEMS
    from finewave.zoo.card import Card
    from finewave.zoo.distribution.bundled_weights import CARD, weight_folders

    fitting = []
    if name == model.inputs[0]:
        cards = [(each, Card.read(folder / CARD)) for each, folder in weight_folders().items()]
        taking = [(each, card) for each, card in cards if card.output == model.output and _takes(card, scene)]
        alike = [each for each, card in taking if card.task == model.task]
        fitting = alike or [each for each, card in taking if not _takes_any(card)]  # of another task: for these bands
    if fitting:
        return f"; of the trained models {', '.join(fitting)} take{'s' * (len(fitting) == 1)} these bands"
    if model.task == "fusion":
        any_bands = [each for each, system in SYSTEMS.items() if system.baseline and system.task == "fusion"]
        return f"; {', '.join(any_bands)} take any bands, and finewave fit trains a model for them"
    if model.task in ("ssr", "sssr") and name.endswith("msi"):
        return "; --model any-sensor takes the bands of any sensor (--sensor), and finewave fit trains a model for them"
    return "; no available model takes these bands: finewave fit trains one for them"


def _takes(card: Card, scene: xr.DataArray) -> bool:
    """Return whether a scene fits a card's first input: by wavelength, or by number of bands and sensor."""
    is_msi = card.inputs[0].endswith("msi")
    if is_msi and card.sensor == "srgb":
        return scene.sizes["band"] == 3 and scene.attrs.get("sensor") in (None, "srgb")
    if _takes_any(card):
        return True
    model_nm = card.ms_wavelengths_nm if is_msi else card.wavelengths_nm
    scene_nm = wavelengths_of(scene)
    if model_nm and scene_nm is not None:
        return _nearest_bands(scene_nm, np.asarray(model_nm)) is not None and len(model_nm) <= scene_nm.size
    count = card.config.get("ms_bands" if is_msi else "hs_bands", len(model_nm or ()))
    scene_sensor = scene.attrs.get("sensor")
    return count == scene.sizes["band"] and (not scene_sensor or str(card.sensor).partition(":")[0] == scene_sensor)


def _takes_any(card: Card) -> bool:
    """Return whether a card is of a model of any hyperspectral bands."""
    return not card.inputs[0].endswith("msi") and "hs_bands" in card.config and card.config["hs_bands"] is None


def _models_of_sensor(sensor: str, model: RunnableModel) -> list[str]:
    from finewave.zoo.card import Card
    from finewave.zoo.distribution.bundled_weights import CARD, weight_folders

    names = []
    for name, folder in weight_folders().items():
        card = Card.read(folder / CARD)
        if card.sensor == sensor and card.task == model.task and card.scale == model.scale:
            names.append(name)
    return names


def _sensors_with_curves() -> list[str]:
    from finewave.physics.sensors import list_sensors

    return [each for each in list_sensors() if each not in ("srgb", "cie1931")]


def _nm(wavelengths: np.ndarray) -> str:
    shown = [f"{w:.0f}" for w in wavelengths]
    if len(shown) > 12:
        shown = [*shown[:3], "...", shown[-1]]
    return ", ".join(shown) + " nm"


def _in_brackets(wavelengths: np.ndarray | None) -> str:
    return "" if wavelengths is None else f" ({_nm(wavelengths)})"


def _warn(message: str) -> None:
    warnings.warn(message, FinewaveWarning, stacklevel=4)
