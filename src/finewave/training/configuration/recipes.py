"""Recipes: YAML files with every value of an experiment, and overrides by key."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from finewave.datasets.block_split import measured_bands
from finewave.datasets.registry import get_dataset, open_dataset, rgb_sensor, sensor_of
from finewave.datasets.store import Store
from finewave.errors import InputError, unknown_name
from finewave.physics.blur_options import BLUR
from finewave.physics.sensors import get_sensor
from finewave.systems.registry import (
    SYSTEMS,
    check_options,
    options_of,
    system_named,
    takes_reference,
    with_degradation,
)
from finewave.systems.signatures import annotations_of, phase_options_of
from finewave.text.sections import checked, keys_of, unknown_key
from finewave.text.yaml_text import checked_text, read_yaml
from finewave.training.configuration.phase_options import PhaseOptions, SupervisedOptions
from finewave.training.configuration.recipe_options import CropOptions, ModelOptions, RecipeOptions
from finewave.warnings import FinewaveWarning

PROTOCOL_OPTIONS = ("scale", "ms_bands", "hs_bands")
"""Options of a network that belong to the experiment."""
PART_DATA = tuple(field.name for field in dataclasses.fields(CropOptions))
"""Keys of ``data`` that a phase may override under ``phaseN.data``."""

_PHASE = re.compile(r"phase\d+")
_KEY = re.compile(r"\$\{[\w.\[\]-]+\}")


PLUGINS = "finewave.recipes"
"""Group of entry points by which other packages add recipes: each names a package with YAML files."""


def recipe_folders() -> Iterator[Path]:
    """Yield the folders of recipes by name: of an installation, of a checkout, of other packages."""
    installed = Path(str(resources.files("finewave"))) / "_recipes"
    checkout = Path(__file__).parents[4] / "recipes"
    yield from (folder for folder in (installed, checkout) if folder.is_dir())
    for point in importlib.metadata.entry_points(group=PLUGINS):
        try:
            yield Path(str(resources.files(point.value)))
        except Exception as error:  # any of the other package's
            message = f"the recipes of {point.value} are ignored: {type(error).__name__}: {error}"
            warnings.warn(message, FinewaveWarning, stacklevel=3)


def list_recipes() -> list[str]:
    """Return the names of the included recipes."""
    return sorted({path.stem for folder in recipe_folders() for path in folder.glob("*.yaml")})


def find_recipe(recipe: str | Path) -> Path:
    """Return the file of a recipe given by name or path."""
    path = Path(recipe)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise InputError(f"recipe {path} does not exist")
        return path
    for folder in recipe_folders():
        if (folder / f"{recipe}.yaml").is_file():
            return folder / f"{recipe}.yaml"
    raise unknown_name("recipe", str(recipe), list_recipes())


def list_keys(recipe: str | Path) -> list[str]:
    """Return the keys of a recipe and its bases, unchecked.

    Raises
    ------
    InputError
        If there is no such recipe, or it is not YAML.
    """
    keys: dict[str, None] = {}
    while recipe:
        path = find_recipe(recipe)
        tree = read_yaml(path) or {}
        recipe = tree.pop("base", "")
        keys |= dict.fromkeys(_keys(_of_parts(tree.pop("parts", {}))))
        keys |= dict.fromkeys(_keys(tree))
    return [key for key in keys if not any(other.startswith(f"{key}.") for other in keys)]


def load_recipe(recipe: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a recipe with its bases and overrides.

    Parameters
    ----------
    recipe : str or Path
        Name of an included recipe, or a YAML file. Its key ``base`` names the recipe that it modifies. A composition
        may name the recipes of its parts, ``parts: {sr: sspsr-cave-x4, ssr: awan-cave}``: each contributes its network
        and its training, as a phase, in this order.
    overrides : sequence of str
        ``key.sub=value`` with YAML values, e.g. ``model.features=64``. Where ``data.sensor``, ``model.ms_bands`` and
        ``model.hs_bands`` are null, they follow from the data set. ``epochs`` of a phase take precedence over
        ``steps``, which are the equivalent on the recipe's own data set. Steps given later replace epochs.

    Returns
    -------
    dict
        Plain nested dictionary.

    Raises
    ------
    InputError
        If a key does not exist in the recipe (the nearest that does is named) or YAML is malformed.
    """
    from omegaconf import OmegaConf

    path = find_recipe(recipe)
    config = _read(path)
    source = f"recipe {path if str(recipe) == str(path) else recipe}"
    sections = set(config)
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals:
            raise InputError(f"override {override!r} is not of the form key=value")
        if _PHASE.fullmatch(key.partition(".")[0]) and key.partition(".")[0] not in sections:
            raise unknown_key(key, _keys(OmegaConf.to_container(config)), source)
        if re.fullmatch(r"phase\d+\.losses\.\w+", key):
            _check_loss(key, list(_keys(OmegaConf.to_container(config))), source)
        try:
            given = OmegaConf.from_dotlist([override])
            config = OmegaConf.merge(config, given)
        except Exception as error:
            raise InputError(f"override {' '.join(override.split())}: {_first_line(error)}") from error
        _check_references(OmegaConf.to_container(given), f"override {' '.join(override.split())}")
    _steps_for_epochs(config, [override.partition("=")[0] for override in overrides])
    try:
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]  # a mapping
    except Exception as error:
        raise InputError(f"{source}: {_first_line(error)}") from error
    plain = check_recipe(plain, source)
    _follow_dataset(plain)
    return plain


def _check_loss(key: str, known: list[str], source: str) -> None:
    """Raise an error for a loss that is neither in the recipe nor common to all systems."""
    from finewave.nn.losses import LOSSES

    known += [f"{key.rpartition('.')[0]}.{name}" for name in LOSSES]
    if key not in known:
        raise unknown_key(key, known, source)


def check_recipe(config: dict[str, Any], source: str) -> dict[str, Any]:
    """Return a recipe with values of the types that `finewave.training.configuration.recipe_options` states.

    Parameters
    ----------
    config : dict
        The recipe with all that it is based on.
    source : str
        Name of the recipe in messages.

    Raises
    ------
    InputError
        If a key is unknown or missing, or a value is of the wrong type or out of range: one line that names the key.
    """
    phases = {key: _mapping(value, key) for key, value in config.items() if _PHASE.fullmatch(str(key))}
    model = _mapping(config.get("model", {}), "model")
    common = {field.name for field in dataclasses.fields(ModelOptions)}
    of_system = {key: value for key, value in model.items() if key not in common}
    known = [*keys_of(RecipeOptions), *(f"{key}.{name}" for key in phases for name in keys_of(PhaseOptions))]
    known += [f"model.{key}" for key in of_system]
    for key in _keys(config):
        if key.partition(".")[0] not in {name.partition(".")[0] for name in known} and key not in config:
            raise unknown_key(key, known, source)
    shared = {key: value for key, value in config.items() if key not in phases}
    if "model" in config:
        shared["model"] = {key: value for key, value in model.items() if key in common}
    result = checked(RecipeOptions, shared, "", source)
    for key, phase in phases.items():
        result[key] = _checked_phase(phase, model["system"], f"{key}.", source)
    if of_system:
        _check_model(model["system"], of_system, "model.", source)
        result["model"] |= of_system
    return {key: result[key] for key in config}


def phase_sections(system: str, kind: Any, key: str) -> tuple[type, ...]:
    """Return the dataclasses with the options of a kind of phase: the common ones, and its own.

    Raises
    ------
    InputError
        If the system has no such kind; ``key`` names it in the message.
    """
    if kind == "supervised":
        return PhaseOptions, SupervisedOptions
    own = phase_options_of(system_named(system))
    if not isinstance(kind, str) or kind not in own:
        raise unknown_name(f"{key}, a kind of phase of {system},", kind, ("supervised", *own))
    module, _, name = own[kind].partition(":")
    return PhaseOptions, vars(importlib.import_module(module))[name]


def _checked_phase(phase: dict[str, Any], system: str, prefix: str, source: str) -> dict[str, Any]:
    sections = phase_sections(system, phase.get("kind"), f"{prefix}kind")
    known = [name for each in sections for name in keys_of(each, prefix)]
    result: dict[str, Any] = {}
    for key in phase:
        if f"{prefix}{key}" not in known:
            raise unknown_key(f"{prefix}{key}", known, source)
    for each in sections:
        own = {field.name for field in dataclasses.fields(each)}
        result |= checked(each, {key: value for key, value in phase.items() if key in own}, prefix, source)
    return {key: result[key] for key in phase}


def _mapping(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{key}={value!r} is of the wrong kind; it must be a mapping of keys to values")
    return value


def _check_model(system: str, options: dict[str, Any], prefix: str, source: str) -> None:
    """Refuse options that a system does not have, or of another kind; of a composition, those of its parts, too."""
    known = annotations_of(system_named(system))
    for key in options:
        if key not in known:
            raise unknown_key(f"{prefix}{key}", (f"{prefix}{name}" for name in known), source)
    check_options(system, options, known, prefix)
    for key, value in options.items():
        part = key.removesuffix("_options")
        if part in options and part != key and isinstance(value, dict):
            _check_model(options[part], value, f"{prefix}{key}.", source)


def _follow_dataset(config: dict[str, Any]) -> None:
    """Fill in sensor and band counts that a recipe leaves to its data set."""
    data, model = config.get("data"), config.get("model")
    if not isinstance(data, dict) or not isinstance(model, dict) or data.get("dataset") is None:
        return
    measured = data.get("msi")  # a companion of the data set instead of a sensor
    network = SYSTEMS.get(str(model.get("system")))
    seen = ("hr_msi",) if network is None else network.inputs
    if (
        "sensor" in data
        and data["sensor"] is None
        and measured is None
        and any(name.endswith("msi") or name == "ref_rgb" for name in seen)
    ):
        sensor = sensor_of(get_dataset(data["dataset"], _store(data)))
        data["sensor"] = rgb_sensor(sensor) if takes_reference(model.get("system")) else sensor
    if "ms_bands" in model and model["ms_bands"] is None:
        if measured is None and data.get("sensor") is None:
            pass  # of a network that looks at no multispectral image
        elif measured is None:
            model["ms_bands"] = len(get_sensor(data["sensor"]).bands)
        else:
            names, _ = measured_bands(open_dataset(data["dataset"], _store(data)), measured)
            model["ms_bands"] = len(names)
    if "hs_bands" in model and model["hs_bands"] is None:
        store = _store(data)
        source = Store(store) if store and store.exists() else get_dataset(data["dataset"])
        model["hs_bands"] = len(source.wavelengths)


def _store(data: dict[str, Any]) -> Path | None:
    return Path(data["store"]) if data.get("store") else None


def _read(path: Path) -> Any:
    from omegaconf import DictConfig, OmegaConf

    checked_text(path)
    try:
        config = OmegaConf.load(path)
    except Exception as error:
        raise InputError(f"recipe {path} cannot be read: {_first_line(error)}") from error
    if not OmegaConf.is_dict(config):
        raise InputError(f"recipe {path} is not a mapping of keys to values")
    assert isinstance(config, DictConfig)
    _check_references(OmegaConf.to_container(config), f"recipe {path}")
    base = config.pop("base", None)
    if base is None:
        return config
    parts = config.pop("parts", None)
    if not isinstance(base, str):
        raise InputError(f"recipe {path}: base={base!r} is of the wrong kind; it must be the name of a recipe")
    if parts is not None and not (OmegaConf.is_dict(parts) and all(isinstance(name, str) for name in parts.values())):
        raise InputError(f"recipe {path}: parts={parts!r} is of the wrong kind; it must name a recipe for each part")
    parent = _read(find_recipe(base))
    if parts is not None:
        rest = {key: value for key, value in parent.items() if not _PHASE.fullmatch(str(key))}
        parent = OmegaConf.merge(rest, _of_parts(parts))
    for key in config:
        # further phases inherit from the first one
        if _PHASE.fullmatch(str(key)) and key not in parent and "phase1" in parent:
            parent[key] = OmegaConf.to_container(parent["phase1"])
    _steps_for_epochs(parent, list(_keys(OmegaConf.to_container(config))))
    return OmegaConf.merge(parent, config)


def _check_references(values: Any, source: str) -> None:
    """Refuse references to anything but other keys: ``${oc.env:NAME}`` would put the environment into a card."""
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, list):
        for each in values:
            _check_references(each, source)
    elif isinstance(values, str) and "${" in values:
        rest, before = values, ""
        while rest != before:
            rest, before = _KEY.sub("", rest), rest
        if "${" in rest:
            raise InputError(f"{source}: {values!r} refers to something else than a key; ${{name}} is accepted")


def _steps_for_epochs(config: Any, overrides: Sequence[str]) -> None:
    """Let a length in steps among the ``overrides`` replace one in epochs."""
    for key in overrides:
        phase, _, name = key.partition(".")
        if name == "steps" and f"{phase}.epochs" not in overrides and hasattr(config.get(phase), "pop"):
            config[phase].pop("epochs", None)


def _of_parts(parts: Mapping[str, str]) -> dict[str, Any]:
    """Return the networks of a composition's parts from their recipes, and a phase for each."""
    from omegaconf import OmegaConf

    tree: dict[str, Any] = {"model": {}}
    for number, (part, name) in enumerate(parts.items(), start=1):
        config: dict[str, Any] = OmegaConf.to_container(_read(find_recipe(name)))  # type: ignore[assignment]  # a mapping
        options = {key: value for key, value in config["model"].items() if key not in PROTOCOL_OPTIONS}
        tree["model"] |= {part: options.pop("system"), f"{part}_options": options}
        data = {key: config["data"][key] for key in PART_DATA if key in config["data"]}
        tree[f"phase{number}"] = {**config["phase1"], "part": part, "data": data}
    return tree


def phase_data(config: dict[str, Any], phase: dict[str, Any]) -> dict[str, Any]:
    """Return the section ``data`` of a recipe as one of its phases has it."""
    return {**config["data"], **(phase.get("data") or {})}


def network_options(config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the system of a recipe and the options for `create_model`.

    Scale and band counts belong to the experiment and are passed only to systems with these options. So does the
    degradation, to systems that invert it and parts of compositions, unless the recipe states another there.
    """
    options = dict(config["model"])
    system = options.pop("system")
    known = options_of(system)
    lacking = set(PROTOCOL_OPTIONS) - known
    options = {key: value for key, value in options.items() if key not in lacking}
    blur = {key: value for key, value in config["data"]["degradation"].items() if key in BLUR}
    return system, with_degradation(system, options, blur)


def _keys(tree: Any, prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
