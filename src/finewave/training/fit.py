"""Training on custom scenes for any sensor: from files to a folder for `load_model`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from finewave.datasets.block_split import MSI, BlockSplit, split_blocks
from finewave.datasets.registry import list_datasets, open_dataset
from finewave.datasets.store import Store
from finewave.errors import InputError, unknown_name
from finewave.evaluation.baselines import FLOORS, SMALL_FLOORS, BaselineBuilder, Floor
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.extras import check_extra
from finewave.physics.sensors import Sensor, get_sensor
from finewave.systems.registry import config_of, options_of, system_named
from finewave.text.plain_numbers import as_plain
from finewave.training.configuration.recipes import list_recipes, load_recipe
from finewave.training.fit_size import FEWEST, size_for
from finewave.training.processes import is_first_process, sole_run
from finewave.types import TASKS
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import Card
from finewave.zoo.distribution.bundled_weights import CARD, WEIGHTS, weight_folders
from finewave.zoo.distribution.listing import list_models
from finewave.zoo.model import Model, load_model

TRAINING = "training"
"""Subfolder of the training run."""
JOINT, SPECTRAL, SPATIAL = "sr-ssr", "jssunet-ssr", "bandwise-sr"
FUSING = "residual-fusion"
ENLARGING = "bandwise-sr-any-x{scale}"
"""Weights for any sensor, from which the part that enlarges starts."""
CLOSED_FORMS = {"sssr": JOINT, "sr": SPATIAL, "ssr": "kernel-ridge", "fusion": FUSING}
"""By task what is fitted where the time is too short for steps."""
KERNELS: Mapping[str, Mapping[str, Floor]] = {
    "ssr": {"kernel ridge regression": ("kernel-ridge", {})},
    "sssr": {
        "bicubic + kernel ridge regression": ("sr-ssr", {"sr": "bicubic", "ssr": "kernel-ridge"}),
        "back-projection + kernel ridge regression": ("sr-ssr", {"sr": "ibp", "ssr": "kernel-ridge"}),
    },
    "fusion": {"residual fusion": (FUSING, {})},
}
"""Beside the floors: fitted to the training blocks in seconds, fusion in a minute, and hard to beat with few blocks."""
UNBOUNDED = 1_000_000
"""Steps of a training that ends by the clock."""
FINE_TUNING = 0.3
"""Learning rate of a training that starts from trained weights, in parts of the recipe's."""
PIXELS_DIFFER = 1.5
"""Ratio of the scene's coarser pixels to the sensor's above which a warning is given."""


@dataclass(frozen=True)
class FitOptions:
    """How to fit.

    Attributes
    ----------
    scale : int
        s >= 2 for joint super-resolution; 1 for spectra alone.
    sensor : str or None
        Whose multispectral bands are simulated, a name or file for `finewave.get_sensor`; bands may follow behind a
        colon. Not needed with measured images. Without either, a system for ``sr`` is trained, which sees none.
    sensor_bands : sequence of str
        Only these bands of it.
    msi : sequence of str
        Measured multispectral images of the same pixels: a file for each scene, or the name of a data set's companion.
    mtf : float or None
        MTF at the Nyquist frequency of the low-resolution pixels; None: the sensor's, if known.
    system : str or None
        Network; None: `JOINT`, or `SPECTRAL` at scale 1, or `SPATIAL` without multispectral images. The parts of the
        first and last that enlarge start from weights for any sensor, where there are some of the scale.
    start : str or None
        Trained model to start from: a name or a folder.
    wavelengths, full_scale
        See `finewave.datasets.block_split.BlockSplit`.
    minutes : float or None
        Length of the training; None: the recipe's steps. The network becomes as small as some hundred steps in that
        time require, see `finewave.training.fit_size`; where none is small enough, a closed form is fitted.
    steps : int or None
        The same in steps; with ``minutes``, at most. Refused by what is solved in one go.
    devices : int
        See `finewave.training.trainer.train`.
    overrides : sequence of str
        ``key=value`` for the recipe.
    """

    scale: int
    sensor: str | None = None
    sensor_bands: Sequence[str] = ()
    msi: Sequence[str] = ()
    mtf: float | None = None
    system: str | None = None
    start: str | None = None
    wavelengths: Sequence[float] | str | None = None
    full_scale: float | None = None
    minutes: float | None = None
    steps: int | None = None
    devices: int = 1
    overrides: Sequence[str] = ()


def fit(
    scenes: Sequence[str | Path],
    out: Path,
    options: FitOptions,
    progress: Callable[[str], None] = lambda line: None,
) -> Model:
    """Train a network on scenes; blocks of each are held out, by which the weights are chosen and scored.

    Parameters
    ----------
    scenes : sequence of str or Path
        Files for `finewave.open_scene`, or the name of a data set, whose split is then used.
    out : Path
        Folder: weights and card, and `TRAINING` with the run, which continues where it was if it was stopped.
    options : FitOptions
    progress : callable
        Called with a line now and then.

    Returns
    -------
    Model
        Its card has, under ``metrics``, the scores on the validation blocks beside those of the floors. If one of
        these has a higher PSNR than the network, it is the model: ``metrics`` then names it under ``"kept"``, and has
        the scores of the network under ``"network"``.

    Raises
    ------
    InputError
        If scenes, sensor, scale or system do not fit together, or the folder has other contents.

    Warns
    -----
    FinewaveWarning
        If the MTF of the sensor is unknown, or its pixel size differs from that of the degraded scenes.
    """
    check_extra("train", "finewave fit")
    options = replace(options, **{each.name: as_plain(getattr(options, each.name)) for each in fields(options)})
    with sole_run(out):
        return _fit(scenes, out, options, progress)


def _fit(scenes: Sequence[str | Path], out: Path, options: FitOptions, progress: Callable[[str], None]) -> Model:
    if options.scale < 1:
        raise InputError(f"scale {options.scale} is out of range; it must be 1 (spectra alone), 2, 3, ...")
    _check_folder(out)
    if options.start is not None:
        options = replace(options, start=_network_in(str(options.start)))
    system, network = _network(options)
    task = system_named(system).task
    if system_named(system).baseline:
        raise InputError(
            f"{system} is a baseline, which needs no training: finewave predict --model {system} sets it up for a "
            "scene; leave --system out, or name a network"
        )
    sensor = _sensor_of(options, task)
    if (task == "ssr") != (options.scale == 1):
        listed = list_models("ssr" if options.scale == 1 else "sssr")
        others = ", ".join(name for name in listed if not system_named(name).baseline)
        raise InputError(
            f"{system} is a system for {task}, which does not go with scale {options.scale}; that takes one of {others}"
        )
    recipe = _recipe_of(system)
    if options.start is None and system in (JOINT, SPATIAL):
        options = replace(options, start=_weights_for_any_sensor(recipe, options))
    known = load_recipe(recipe)
    if options.start is not None and not any(key.startswith("phase") for key in known):
        raise InputError(f"{system} is fitted from nothing in one go and takes no start; leave --from out")
    length = _length(known, system, options)
    crop = _crop(recipe, system, options)
    store, companion = _store(scenes, out, options, crop, sensor, progress)
    experiment = [f"model.scale={options.scale}", f"data.degradation={json.dumps(_degradation(options, sensor))}"]
    if options.msi:  # augmentation would hide how the two instruments' pixels lie to each other
        experiment += ["data.augment=false", "data.gain=[1.0, 1.0]"]
    experiment += [f"data.dataset={store.attributes['dataset']}", f"data.store={json.dumps(str(store.path))}"]
    experiment += [f"data.crop={crop}"]
    experiment += [f"data.msi={companion}"] if companion else [f"data.sensor={json.dumps(_spec(options))}"]
    experiment += [f"name={json.dumps(out.resolve().name)}", f"out={json.dumps(str(out / TRAINING))}"]
    overrides = [f"model.system={system}", *experiment, *_start(known, options, network), *length]
    if system == "sspsr" and options.start is None:  # begins at the bicubic image if no band has to share a feature
        overrides += [f"model.features={max(known['model']['features'], len(store.wavelengths))}"]
    if sensor is not None and not companion:
        _warn_of_pixel_size(scenes, options.scale, sensor)
    overrides += options.overrides
    if options.minutes is not None and not network and not system_named(system).fitted:
        recipe, overrides = _in_time(recipe, overrides, experiment, task, store, out, options, progress)
    from finewave.training.trainer import train

    outcome = train(recipe, overrides, devices=options.devices)
    if not is_first_process():
        raise SystemExit(0)  # only the first process continues
    trained = load_model(outcome)
    assert trained.card is not None
    model = Model(trained.net, _card(trained.card, store, sensor, options))
    if finished(out) and trained.card.sha256 in (Card.read(out / CARD).sha256, _better_than(out)):
        return load_model(out)
    model = _best(model, store)
    model.save(out)
    return model


def _recipe_of(system: str) -> str:
    """Return the recipe that a system is fitted by."""
    if f"fit-{system}" in list_recipes():
        return f"fit-{system}"
    return "fit-closed-form" if system_named(system).fitted else "fit"


def _weights_for_any_sensor(recipe: str, options: FitOptions) -> str | None:
    """Return the weights that the enlarging starts from, if there are some of this scale and network."""
    name = ENLARGING.format(scale=options.scale)
    if name not in weight_folders():
        return None
    model = load_recipe(recipe, list(options.overrides))["model"]
    own = Card.read(weight_folders()[name] / CARD).config
    network = model["sr_options"] if model["system"] == JOINT else model
    same = model.get("sr", SPATIAL) == SPATIAL and all(network.get(key, own[key]) == own[key] for key in _NETWORK)
    return name if same else None


_NETWORK = ("features", "blocks", "neighbours")


def _in_time(
    recipe: str,
    overrides: list[str],
    experiment: list[str],
    task: str,
    store: Store,
    out: Path,
    options: FitOptions,
    progress: Callable[[str], None],
) -> tuple[str, list[str]]:
    """Return recipe and overrides of a network that can be trained in the time; if none can, those of a closed form."""
    assert options.minutes is not None
    smaller = size_for(options.minutes, recipe, overrides, options.overrides, out / TRAINING)
    if smaller:
        progress(f"sized to {options.minutes:g} minutes: {' '.join(smaller)}")
    if smaller is not None or task not in CLOSED_FORMS:
        return recipe, [*overrides, *(smaller or [])]
    system = CLOSED_FORMS[task]
    progress(
        f"{options.minutes:g} minutes are too few for {FEWEST} steps of even a small network: {system} is fitted in "
        "closed form instead; give more --minutes for a network"
    )
    closed = [f"model.system={system}", *experiment]
    if system == FUSING:
        closed += _length({}, FUSING, options)
    if system == JOINT:
        closed += [
            f"model.{key}={json.dumps(value)}"
            for key, value in load_recipe("fit-sr-ssr")["model"].items()
            if key in ("sr", "ssr", "sr_options", "ssr_options")
        ]
    if system in (JOINT, SPATIAL) and (
        start := _weights_for_any_sensor(_recipe_of(system), replace(options, overrides=()))
    ):
        closed += [f"init_from={start}"]
    return "fit-closed-form", closed


def _floors(model: Model) -> dict[str, Floor]:
    """Return what a network has to beat."""
    assert model.card is not None
    floors = {**SMALL_FLOORS.get(model.task, FLOORS[model.task]), **KERNELS.get(model.task, {})}
    if model.card.system == FUSING:  # would be the same once more
        floors = {name: floor for name, floor in floors.items() if floor[0] != FUSING}
    return floors


def _best(model: Model, store: Store) -> Model:
    """Return the network or a floor, whichever has the higher PSNR on the validation blocks, all scores in its card."""
    from finewave.evaluation.evaluator import with_scores

    floors = _floors(model)
    scored = with_scores(model, store, floors)
    assert model.card is not None
    assert scored.card is not None
    assert scored.card.metrics is not None
    ((place, scores),) = scored.card.metrics.items()
    best = scores["baseline"]
    if best["mean"]["psnr"] <= scores["mean"]["psnr"]:
        return scored
    floor = _floor(model, floors[best["name"]], store)
    assert floor.card is not None
    scores = {**scores, "kept": best["name"], "network": scores["mean"], "mean": best["mean"]}
    card = replace(
        model.card,
        **{key: getattr(floor.card, key) for key in _OF_THE_NETWORK},
        metrics={place: scores},
        data={**(model.card.data or {}), "better_than": model.card.sha256},
        notes=f"Not the trained network, but {best['name']}, which was better on the validation blocks. "
        f"{model.card.notes or ''}".strip(),
    )
    return Model(floor.net, card)


_OF_THE_NETWORK = (
    *("system", "config", "task", "inputs", "output", "scale"),
    *("size_multiple", "receptive_field", "parameters"),
)


def _better_than(folder: Path) -> str | None:
    """Return the checksum of the network in whose place a floor was kept; None if it was not."""
    return (Card.read(folder / CARD).data or {}).get("better_than")


def _floor(model: Model, floor: Floor, store: Store) -> Model:
    """Return a floor fitted to the training blocks, as it was scored."""
    card = model.card
    assert card is not None
    nothing = np.empty((0, len(store.wavelengths)))
    response = nothing if card.sensor is None else get_sensor(card.sensor).response(store.wavelengths)
    degradation = {key: value for key, value in (card.degradation or {}).items() if key != "scale"}
    scenes = WholeScenes(store, response, model.scale, degradation, card.measured_msi)
    system, options = floor
    builder = BaselineBuilder(
        wavelengths=store.wavelengths,
        sensor=card.sensor,
        ms_bands=card.ms_bands,
        scale=model.scale,
        degradation=degradation,
        samples=lambda: (scenes.sample(name) for name in store.attributes["split"]["train"]),
    )
    return builder.build(system, **options)


def _check_folder(out: Path) -> None:
    """Raise an error if the folder has other contents."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give a folder for the model")
    if out.is_dir() and not (out / TRAINING).is_dir() and any(out.iterdir()):
        raise InputError(f"{out} holds something else than a fit; choose another folder, or empty it")


def _spec(options: FitOptions) -> str | None:
    """Return the sensor with its bands as `get_sensor` takes them."""
    bands = ",".join(options.sensor_bands)
    return options.sensor if not bands or options.sensor is None else f"{options.sensor}:{bands}"


def _sensor_of(options: FitOptions, task: str) -> Sensor | None:
    spec = _spec(options)
    if spec is None:
        if not options.msi and any(name.endswith("_msi") for name in TASKS[task].inputs):
            raise InputError(
                "a sensor is needed, whose bands are simulated, or measured multispectral images (--msi); to sharpen "
                f"hyperspectral images alone leave both out and choose a scale >= 2 and --system {SPATIAL}"
            )
        return None
    return get_sensor(spec)


def _network_in(start: str) -> str:
    """Return the trained network of a fit whose model is a floor; anything else as it is."""
    from finewave.training.trainer import MODEL_FOLDER

    trained = Path(start) / TRAINING / MODEL_FOLDER
    return str(trained) if finished(Path(start)) and _better_than(Path(start)) and finished(trained) else start


def _network(options: FitOptions) -> tuple[str, dict[str, Any]]:
    """Return system and options: those of the model to start from, if there is one."""
    if options.start is None:
        alone = options.sensor is None and not options.msi
        return options.system or (SPECTRAL if options.scale == 1 else SPATIAL if alone else JOINT), {}
    start = load_model(options.start)
    system, config = config_of(start.net)
    if options.system not in (None, system):
        raise InputError(f"{options.start} is a {system}; it cannot be the start of a {options.system}")
    if start.scale != options.scale:
        raise InputError(f"{options.start} has scale {start.scale}; it cannot be the start for scale {options.scale}")
    return system, config


def _start(recipe: dict[str, Any], options: FitOptions, network: dict[str, Any]) -> list[str]:
    """Return the overrides for a training that starts from trained weights."""
    if options.start is None:
        return []
    overrides = [f"init_from={json.dumps(str(options.start))}"]
    for key, value in network.items():
        if key not in ("scale", "ms_bands", "hs_bands"):
            overrides.append(f"model.{key}={json.dumps(value)}")
    for phase, config in recipe.items():
        if phase.startswith("phase"):
            overrides.append(f"{phase}.learning_rate={FINE_TUNING * config['learning_rate']:.3g}")
            if config.get("output_start"):
                overrides.append(f"{phase}.output_start=null")
    return overrides


def _degradation(options: FitOptions, sensor: Sensor | None) -> dict[str, Any]:
    """Return the blur: by the given MTF, the sensor's, or as wide as an LR pixel."""
    if options.scale == 1:
        return {"kernel": "gaussian"}
    mtf = options.mtf if options.mtf is not None else sensor.nyquist_mtf if sensor is not None else None
    if mtf is not None:
        return {"kernel": "gaussian", "mtf": round(mtf, 4)}
    owner = sensor.name if sensor is not None else "measured images" if options.msi else "the scenes' instrument"
    warnings.warn(
        f"the MTF of {owner} is not known; a Gaussian as wide as a low-resolution pixel is assumed, "
        "an MTF of 0.41 at Nyquist; state another with --mtf, or in the sensor's file",
        FinewaveWarning,
        stacklevel=4,
    )
    return {"kernel": "gaussian"}


def _length(recipe: dict[str, Any], system: str, options: FitOptions) -> list[str]:
    """Return steps and minutes of each phase, in the recipe's proportions; without phases, the system's own steps."""
    phases = {key: value["steps"] for key, value in recipe.items() if key.startswith("phase")}
    if not phases and options.steps is not None:
        if "steps" not in options_of(system):
            raise InputError(f"{system} is solved in one go and takes no steps; leave --steps out")
        return [f"model.steps={options.steps}"]
    whole = sum(phases.values())
    overrides = []
    for phase, steps in phases.items():
        if options.steps is not None:
            overrides.append(f"{phase}.steps={max(1, round(options.steps * steps / whole))}")
        elif options.minutes is not None:
            overrides.append(f"{phase}.steps={UNBOUNDED}")
        if options.minutes is not None:
            overrides.append(f"{phase}.minutes={options.minutes * steps / whole:g}")
    return overrides


def _crop(recipe: str, system: str, options: FitOptions) -> int:
    """Return the side of the crops: the recipe's, rounded to a multiple of the scale, or the requested one."""
    requested = [override for override in options.overrides if override.startswith("data.crop=")]
    crop = int(
        load_recipe(recipe, [f"model.system={system}", *options.overrides])["data"]["crop"]
    )  # an unknown key shows here
    if requested:
        return crop
    return max(options.scale * (crop // options.scale), 4 * options.scale)


def _store(
    scenes: Sequence[str | Path],
    out: Path,
    options: FitOptions,
    crop: int,
    sensor: Sensor | None,
    progress: Callable[[str], None],
) -> tuple[Store, str | None]:
    """Return the blocks that train and validate, and which companion has measured images."""
    if len(scenes) == 1 and not Path(scenes[0]).exists() and str(scenes[0]) in list_datasets():
        store = open_dataset(str(scenes[0]))
        if not options.msi:
            if sensor is not None:
                sensor.response(store.wavelengths)
            return store, None
        (companion, *others) = options.msi
        if others or companion not in store.companions:
            raise unknown_name(f"companion of {scenes[0]}", ", ".join(options.msi), store.companions)
        return store, companion
    split = BlockSplit(options.scale, crop, options.wavelengths, options.full_scale)
    destination = out / TRAINING / "scenes.zarr"
    measured = [Path(path) for path in options.msi]

    def check(wavelengths: np.ndarray) -> None:
        if sensor is not None and not measured:
            sensor.response(wavelengths)

    store = split_blocks([Path(scene) for scene in scenes], destination, split, measured, check, progress)
    return store, MSI if measured else None


def _warn_of_pixel_size(scenes: Sequence[str | Path], scale: int, sensor: Sensor) -> None:
    """Warn where the coarser pixels of the scenes are of another size than the sensor's."""
    from finewave.io.open_save import open_scene
    from finewave.scene import scene_crs, scene_transform

    if sensor.ground_sampling_distances is None:
        return
    finest = min(sensor.ground_sampling_distances)
    for path in scenes:
        if not Path(path).exists():
            return
        with open_scene(path) as scene:
            crs, transform = scene_crs(scene), scene_transform(scene)
        if crs is None or transform is None or not crs.is_projected:
            continue
        coarse = scale * abs(transform.determinant) ** 0.5 * crs.linear_units_factor[1]
        if not 1 / PIXELS_DIFFER <= coarse / finest <= PIXELS_DIFFER:
            warnings.warn(
                f"{path}: {scale} x its pixels is {coarse:.3g} m, the pixels of {sensor.name} have {finest:.3g} m; "
                "the network learns what the ground looks like at the scenes' size (scale= says which)",
                FinewaveWarning,
                stacklevel=3,
            )


def _card(card: Card, store: Store, sensor: Sensor | None, options: FitOptions) -> Card:
    """Return the card of the training with the facts of the fit."""
    notes = "The weights are those of the best of all validations, on the blocks that the scores are of."
    degradation = card.degradation or {}
    if options.scale > 1 and "mtf" not in degradation and "fwhm" not in degradation:
        notes += " The MTF of the sensor was not known: a Gaussian as wide as a low-resolution pixel is assumed."
    data = {
        **(card.data or {}),
        "files": store.attributes.get("made_from", {}).get("files"),
        "regions": {key: dict(value) for key, value in store.attributes.get("regions", {}).items()},
    }
    if sensor is not None:
        data["sensor"] = {
            "bands": list(sensor.bands),
            "centres_nm": [round(float(centre), 1) for centre in sensor.centres],
            "mtf": None if sensor.mtf is None else list(sensor.mtf),
            "ground_sampling_distances_m": sensor.ground_sampling_distances and list(sensor.ground_sampling_distances),
            "source": sensor.source,
        }
    if options.start is not None:
        data["started_from"] = str(options.start)
    return replace(card, data=data, notes=notes)


def finished(folder: Path) -> bool:
    """Whether a fit has left its model in a folder."""
    return (folder / WEIGHTS).is_file() and (folder / CARD).is_file()
