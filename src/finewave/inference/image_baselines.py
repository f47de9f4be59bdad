"""Baselines on images: built for the images' bands, with sensor and scale from options or images.

Spatial baselines (``bicubic``, ``ibp``) need the scale. Fusion (``gsa``, ``cnmf``, ``local-regression``) takes it from
the two images. Spectral baselines (``ridge``, ``quadratic``, ``root-polynomial``, ``ridge-knn``, ``knn``) learn from
spectra (``spectra``) that the sensor observes: a hyperspectral scene in a file, or the training scenes of a data set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.systems.registry import SYSTEMS
from finewave.zoo.names import ANY_SENSOR, is_exported, member_names
from finewave.zoo.runnable import RunnableModel

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

    from finewave.inference.options import PredictOptions
    from finewave.zoo.model import Model

_OPTIONS = ("sensor", "scale", "kernel", "spectra")


def is_baseline(model: Any) -> bool:
    """Return whether a model is given by the name of a baseline, which is built for the given images.

    Also true for ensembles ``"a+b"`` with a baseline, see `finewave.zoo.ensemble`.
    """
    return isinstance(model, str) and any(_is_one(name) for name in member_names(model) or [model])


def is_built(model: Any) -> bool:
    """Return whether a model is given by a name of what is built for the given images."""
    return is_baseline(model) or (isinstance(model, str) and is_any_sensor(model))


def is_any_sensor(model: Any) -> bool:
    """Return whether a model is made for the sensor of the given images, see `finewave.inference.sensor_choice`."""
    return model == ANY_SENSOR if isinstance(model, str) else isinstance(model, RunnableModel) and model.any_sensor


def _is_one(name: str) -> bool:
    return name in SYSTEMS and SYSTEMS[name].baseline


def model_to_run(model: Any, scene: xr.DataArray, guide: xr.DataArray | None, options: PredictOptions) -> RunnableModel:
    """Return a model, loaded by its name if that is given, or the baseline of that name for a scene and its guide.

    Raises
    ------
    InputError
        As `load_model`; or a baseline lacks an input or option, or another model gets options of baselines.
    """
    if is_any_sensor(model):
        from finewave.inference.sensor_choice import model_for

        return model_for(model, scene, options)
    if is_baseline(model):
        members = member_names(model)
        if members:
            return _ensemble(members, scene, guide, options)
        return build_baseline_for(str(model), scene, guide, options)
    stated = [name for name in _OPTIONS if getattr(options, name) is not None]
    loaded = load_runnable(model, options.precision)
    if loaded.any_sensor:
        return model_to_run(loaded, scene, guide, options)
    if stated:
        name = model.name if isinstance(model, RunnableModel) else model
        raise InputError(
            f"{' and '.join(f'--{each} ({each}=)' for each in stated)} {'is' if len(stated) == 1 else 'are'} for "
            f"baselines ({', '.join(sorted(n for n in SYSTEMS if SYSTEMS[n].baseline))}) and {ANY_SENSOR}; {name} "
            "states its own"
        )
    return loaded


def load_runnable(model: Any, precision: str) -> RunnableModel:
    """Return a model that is no baseline, loaded if its name is given: of one, of several joined by +, of a file."""
    if isinstance(model, RunnableModel):
        return model
    if is_exported(model):
        from finewave.zoo.exports.onnx_model import OnnxModel

        return OnnxModel(Path(model)).with_precision(precision)
    if members := member_names(model):
        return _load_ensemble(members, precision)
    from finewave.zoo.model import as_model, load_model

    return load_model(model, precision=precision) if isinstance(model, str | Path) else as_model(model)


def _load_ensemble(members: list[str], precision: str) -> RunnableModel:
    from finewave.zoo.ensemble import ensemble, joined
    from finewave.zoo.model import load_model

    return ensemble(*(load_model(each) for each in members), name=joined(members)).with_precision(precision)


def _ensemble(members: list[str], scene: xr.DataArray, guide: xr.DataArray | None, options: PredictOptions) -> Model:
    """Return an ensemble with baselines, which take sensor and scale from the trained members where these are."""
    from finewave.zoo.ensemble import ensemble, joined
    from finewave.zoo.model import load_model

    trained = {name: load_model(name) for name in members if not _is_one(name)}
    for model in trained.values():
        if options.sensor is None and model.card is not None and model.task == "ssr":
            options = replace(options, sensor=model.card.sensor)
        if options.scale is None and model.scale > 1:
            options = replace(options, scale=model.scale)
    models = [trained[name] if name in trained else build_baseline_for(name, scene, guide, options) for name in members]
    return ensemble(*models, name=joined(members)).with_precision(options.precision)


def build_baseline_for(name: str, scene: xr.DataArray, guide: xr.DataArray | None, options: PredictOptions) -> Model:
    """Return a baseline for a scene and its guide; see `model_to_run`."""
    task = SYSTEMS[name].task
    unused = {"sr": ("spectra",), "fusion": ("spectra",), "ssr": ("scale", "kernel")}[task]
    for option in unused:
        if getattr(options, option) is not None:
            raise InputError(f"--{option} ({option}=) has no meaning for {name}")
    if options.scale is not None and (not isinstance(options.scale, int) or options.scale < 2):
        raise InputError(f"scale={options.scale!r} is out of range; it must be an integer >= 2 for {name}")
    if task == "ssr":
        return _spectral(name, scene, options)
    if task == "sr":
        if options.scale is None:
            raise InputError(f"{name} needs to know how many times finer the result is: give --scale (scale=), >= 2")
        return _spatial(name, scene, None, int(options.scale), options)
    if guide is None:
        raise InputError(f"{name} needs lr_hsi and hr_msi: give the hr_msi with --guide (guide=)")
    return _spatial(name, scene, guide, int(options.scale or _ratio(name, scene, guide)), options)


def _spatial(name: str, scene: xr.DataArray, guide: xr.DataArray | None, scale: int, options: PredictOptions) -> Model:
    """Return a baseline that upsamples the scene's bands, except bad ones, by ``scale``."""
    from finewave.inference.matching.band_matching import wavelengths_of
    from finewave.scene import band_values
    from finewave.systems.registry import create_model, options_of
    from finewave.zoo.card import describe
    from finewave.zoo.model import Model

    wavelengths = wavelengths_of(scene)
    good = band_values(scene, "good_band")
    if wavelengths is not None and good is not None and good.any():
        wavelengths = wavelengths[good.astype(bool)]
    hs_bands = scene.sizes["band"] if wavelengths is None else len(wavelengths)
    config: dict[str, Any] = {"scale": scale, "hs_bands": hs_bands}
    facts: dict[str, Any] = {} if guide is None else _of_multispectral(guide, options)
    if guide is not None:
        config["ms_bands"] = guide.sizes["band"]
    blur = {"kernel": options.kernel or "gaussian"}
    if "degradation" in options_of(name):
        config["degradation"] = blur
    if "degradation" in config or options.kernel is not None:
        facts["degradation"] = {**blur, "scale": scale}
    net = create_model(name, **config)
    facts["wavelengths_nm"] = None if wavelengths is None else [float(each) for each in wavelengths]
    return Model(net.eval(), describe(net, name=name, **facts))


def _of_multispectral(image: xr.DataArray, options: PredictOptions) -> dict[str, Any]:
    """Return a card's facts about multispectral bands: sensor, if stated, names and centres."""
    from finewave.inference.matching.band_matching import wavelengths_of
    from finewave.scene import band_values

    names, centres = band_values(image, "band_name"), wavelengths_of(image)
    facts = {
        "ms_bands": None if names is None else [str(each) for each in names],
        "ms_wavelengths_nm": None if centres is None else [float(each) for each in centres],
    }
    if options.sensor is None:
        return facts
    sensor = _sensor(options.sensor)
    if len(sensor.bands) != image.sizes["band"]:
        from finewave.physics.sensors import split_bands

        raise InputError(
            f"the sensor {options.sensor} has {len(sensor.bands)} bands ({', '.join(sensor.bands)}), the guide "
            f"{image.sizes['band']}; name those that it has: --sensor {split_bands(options.sensor)[0]}:BAND,..."
        )
    if centres is None:
        facts |= {"ms_bands": list(sensor.bands), "ms_wavelengths_nm": _centres(sensor)}
    return {**facts, "sensor": options.sensor}


def _spectral(name: str, scene: xr.DataArray, options: PredictOptions) -> Model:
    """Return a baseline from the sensor's bands to those of the spectra that it learns from."""
    from finewave.physics.sensors import apply_response
    from finewave.systems.registry import create_model
    from finewave.zoo.card import describe
    from finewave.zoo.model import Model

    stated = options.sensor or scene.attrs.get("sensor")
    if not stated:
        raise InputError(f"{name} needs to know whose bands the scene has: give --sensor (sensor=)")
    if options.spectra is None:
        raise InputError(
            f"{name} learns from spectra: give a hyperspectral scene, or a data set, with --spectra (spectra=), or "
            "train a model with finewave fit"
        )
    sensor = _sensor(str(stated))
    wavelengths, images = _spectra(options.spectra, len(sensor.bands))
    response = sensor.response(wavelengths)
    net = create_model(name, ms_bands=len(sensor.bands), hs_bands=len(wavelengths))
    net.prepare_from(({"hr_hsi": image, "hr_msi": apply_response(response, image)} for image in images), 0)
    card = describe(
        net,
        name=name,
        wavelengths_nm=[float(each) for each in wavelengths],
        ms_bands=list(sensor.bands),
        ms_wavelengths_nm=_centres(sensor),
        sensor=str(stated),
    )
    return Model(net.eval(), card)


def _spectra(source: str | Path, ms_bands: int) -> tuple[NDArray[np.float64], Iterator[Tensor]]:
    """Return wavelengths in nm, and images (1, C, 1, N) of the spectra in a file or of a data set's training scenes."""
    import torch

    from finewave.datasets.registry import known_split, list_datasets, open_scenes
    from finewave.inference.matching.band_matching import wavelengths_of
    from finewave.io.open_save import load_scene

    if str(source) in list_datasets() and not Path(source).exists():
        names = known_split(str(source))["train"]
        scenes = open_scenes(str(source), names)
        images = (scenes.read(name).astype(np.float32) / np.float32(scenes.full_scale(name)) for name in names)
        return scenes.wavelengths, (torch.from_numpy(image.reshape(1, len(image), 1, -1)) for image in images)
    known = load_scene(Path(source))
    wavelengths = wavelengths_of(known)
    if wavelengths is None:
        raise InputError(f"{source} has no wavelengths, without which the sensor cannot observe its spectra")
    pixels = known.values.reshape(len(wavelengths), -1)
    pixels = pixels[:, np.isfinite(pixels).all(axis=0)]
    if pixels.shape[1] < ms_bands + 1:
        raise InputError(f"{source} has {pixels.shape[1]} spectra, too few to learn from")
    return wavelengths, iter([torch.from_numpy(np.ascontiguousarray(pixels, np.float32))[None, :, None]])


def _sensor(name: str) -> Any:
    from finewave.physics.sensors import get_sensor

    return get_sensor(name)


def _centres(sensor: Any) -> list[float]:
    return [round(float(each), 1) for each in sensor.centres]


def _ratio(name: str, scene: xr.DataArray, guide: xr.DataArray) -> int:
    """Return the guide's pixels per scene pixel along an axis: by georeference, otherwise by image size."""
    from finewave.inference.tiling.grid import pixel_ratio

    ratios = pixel_ratio(scene, guide) or tuple(guide.sizes[axis] / scene.sizes[axis] for axis in ("x", "y"))
    scale = round(ratios[0])
    if scale < 2 or any(abs(each - scale) > 0.02 * scale for each in ratios):
        raise InputError(
            f"{name}: pixels of the guide stand {ratios[0]:.3g} x {ratios[1]:.3g} on one of the scene; an integer >= 2 "
            "is expected: give another guide, or --scale (scale=) to which it is resampled"
        )
    return scale
