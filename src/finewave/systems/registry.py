"""The registry of systems, and construction of untrained networks.

Adding a system is one line in `SYSTEMS`. Classes are imported on first use, so that names, tasks and inputs are known
without loading PyTorch.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import math
import types
import typing
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finewave.errors import InputError, unknown_name
from finewave.systems.signatures import annotations_of
from finewave.text.plain_numbers import as_plain
from finewave.types import TASKS, ImageKind
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    from finewave.systems.base import SRNetwork

PLUGINS = "finewave.systems"
"""Group of entry points by which other packages add systems: ``finewave.systems.<task>``."""


@dataclass(frozen=True)
class System:
    """A network's class (``"module:Class"``) and task, known without importing it.

    A ``baseline`` needs no training: it has no weights, or a closed-form fit. What is ``fitted`` is trained by its
    `prepare_from` alone, without phases, so that folds can train it again.
    """

    home: str
    task: str
    baseline: bool = False
    fitted: bool = False

    @property
    def inputs(self) -> tuple[ImageKind, ...]:
        """Inputs of the task."""
        return TASKS[self.task].inputs

    @property
    def output(self) -> ImageKind:
        """Output of the task."""
        return TASKS[self.task].output

    @property
    def module(self) -> str:
        """Dotted name of the module of the network."""
        return self.home.partition(":")[0]

    def load(self) -> type[SRNetwork]:
        """Import and return the class of the network."""
        module, _, name = self.home.partition(":")
        return vars(importlib.import_module(module))[name]


SYSTEMS: dict[str, System] = {
    "jssunet": System("finewave.systems.jssunet.network:JSSUNet", "sssr"),
    "awan": System("finewave.systems.awan.network:AWAN", "ssr"),
    "mst++": System("finewave.systems.mstpp.network:MSTPlusPlus", "ssr"),
    "us3rn": System("finewave.systems.us3rn.network:US3RN", "sssr"),
    "sspsr": System("finewave.systems.sspsr.network:SSPSR", "sr"),
    "fusformer": System("finewave.systems.fusformer.network:Fusformer", "fusion"),
    "ssfin": System("finewave.systems.ssfin.network:SSFIN", "sssr"),
    "mulsr": System("finewave.systems.mulsr.network:MulSR", "fusion"),
    "ssc-hsr": System("finewave.systems.sschsr.network:SSCHSR", "refsr"),
    "jssunet-sr": System("finewave.systems.jssunet.branches:JSSUNetSR", "sr"),
    "jssunet-ssr": System("finewave.systems.jssunet.branches:JSSUNetSSR", "ssr"),
    "kernel-ridge": System("finewave.systems.kernel_ridge.network:KernelRidge", "ssr", fitted=True),
    "any-sensor": System("finewave.systems.any_sensor.network:AnySensor", "ssr", fitted=True),
    "residual-fusion": System("finewave.systems.residual_fusion.network:ResidualFusion", "fusion", fitted=True),
    "scene-ridge": System("finewave.systems.scene_ridge.network:SceneRidge", "ssr", fitted=True),
    "blue-end": System("finewave.systems.scene_ridge.blue_end:BlueEnd", "ssr", fitted=True),
    "jssunet-fusion": System("finewave.systems.jssunet.branches:JSSUNetFusion", "fusion"),
    "ssjsr": System("finewave.systems.ssjsr.network:SSJSR", "sssr"),
    "residual-sr": System("finewave.systems.residual_sr.network:ResidualSR", "sr"),
    "bandwise-sr": System("finewave.systems.residual_sr.bandwise:BandwiseSR", "sr"),
    "edsr": System("finewave.systems.edsr.network:EDSR", "sr"),
    "gdrrn": System("finewave.systems.gdrrn.network:GDRRN", "sr"),
    "3d-fcnn": System("finewave.systems.fcnn3d.network:FCNN3D", "sr"),
    "sr-ssr": System("finewave.systems.compositions.networks:SRThenSSR", "sssr"),
    "ssr-sr": System("finewave.systems.compositions.networks:SSRThenSR", "sssr"),
    "sr-ssr-fusion": System("finewave.systems.compositions.networks:SRAndSSRThenFusion", "sssr"),
    "ensemble-ssr": System("finewave.systems.ensembles.network:SpectralEnsemble", "ssr"),
    "ensemble-sr": System("finewave.systems.ensembles.network:SpatialEnsemble", "sr"),
    "ensemble-sssr": System("finewave.systems.ensembles.network:JointEnsemble", "sssr"),
    "ensemble-fusion": System("finewave.systems.ensembles.network:FusionEnsemble", "fusion"),
    "bicubic": System("finewave.systems.baselines.bicubic:Bicubic", "sr", baseline=True),
    "ibp": System("finewave.systems.baselines.back_projection:BackProjection", "sr", baseline=True),
    "ridge": System("finewave.systems.baselines.pixel_regression:RidgeRegression", "ssr", baseline=True),
    "quadratic": System("finewave.systems.baselines.pixel_regression:QuadraticRegression", "ssr", baseline=True),
    "root-polynomial": System(
        "finewave.systems.baselines.pixel_regression:RootPolynomialRegression",
        "ssr",
        baseline=True,
    ),
    "ridge-knn": System("finewave.systems.baselines.residual_neighbours:ResidualNeighbours", "ssr", baseline=True),
    "knn": System("finewave.systems.baselines.nearest_neighbours:NearestNeighbours", "ssr", baseline=True),
    "gsa": System("finewave.systems.baselines.gsa:GSA", "fusion", baseline=True),
    "cnmf": System("finewave.systems.baselines.cnmf:CNMF", "fusion", baseline=True),
    "local-regression": System("finewave.systems.baselines.local_regression:LocalRegression", "fusion", baseline=True),
}


def _add_plugins() -> None:
    """Add the systems of other packages from their entry points, without importing them."""
    for task in TASKS:
        for point in importlib.metadata.entry_points(group=f"{PLUGINS}.{task}"):
            if point.name in SYSTEMS:
                message = (
                    f"the system {point.name!r} of {point.value} is ignored: the name is already in use; choose another"
                )
                warnings.warn(message, FinewaveWarning, stacklevel=2)
            else:
                SYSTEMS[point.name] = System(point.value, task)


_add_plugins()


LARGEST = {
    "batch_size": 1000,
    "centres": 10**5,
    "crop": 1000,
    "endmembers": 1000,
    "flow_iterations": 1000,
    "ms_bands": 1000,
    "nodes": 10**7,
    "pixels": 10**9,
    "scale": 1000,
    "spectra": 10**7,
    "steps": 10**5,
    "turns": 1000,
    "units": 1000,
}
"""Largest values of options that are not `LARGEST_OTHER`: those that say how much is fitted to, how large parts of an
image are, and how often a layer is run."""
LARGEST_OTHER = 10_000
"""Largest value of any other whole number. A card of a file from anywhere asks for no more time or memory than these:
tables are computed before layers are made, which alone are compared with the weights."""


def list_systems(task: str | None = None) -> list[str]:
    """Return the names of systems, of one task if that is given, sorted."""
    if task is not None and task not in TASKS:
        raise unknown_name("task", task, TASKS)
    return sorted(name for name, system in SYSTEMS.items() if task in (None, system.task))


def system_named(name: str) -> System:
    """Return the entry of a system, or raise `InputError` naming the nearest one."""
    if not isinstance(name, str) or name not in SYSTEMS:
        raise unknown_name("model", name, SYSTEMS)
    return SYSTEMS[name]


def takes_reference(name: str | None) -> bool:
    """Return whether a system uses an RGB reference; False for an unknown name."""
    return name in SYSTEMS and "ref_rgb" in SYSTEMS[name].inputs


def options_of(name: str) -> set[str]:
    """Return the options that a system has, see `create_model`."""
    return set(annotations_of(system_named(name)))


def with_degradation(name: str, options: Mapping[str, Any], degradation: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a system, with the degradation for what inverts one and states none: it, or its parts.

    Parameters
    ----------
    name : str
        A system.
    options : mapping
        For `create_model`.
    degradation : mapping
        Keyword arguments of `degrade`, without ``scale``.
    """
    known, stated = options_of(name), dict(options)
    if "degradation" in known and stated.get("degradation") is None:
        stated["degradation"] = dict(degradation)
    for part in TASKS:  # options of compositions that name a system; its own are in <part>_options
        own, system = f"{part}_options", stated.get(part)
        if own in known and isinstance(system, str) and "degradation" in options_of(system):
            stated[own] = {"degradation": dict(degradation), **(stated.get(own) or {})}
    return stated


def create_model(name: str, **config: Any) -> SRNetwork:
    """Build an untrained network.

    Parameters
    ----------
    name : str
        A system, see `list_systems`.
    **config
        Keyword arguments of the system's class.

    Returns
    -------
    SRNetwork
        The network, with ``.system`` (its name here) and ``.config`` (every constructor argument, defaults
        included), from which the same network can be built again.

    Raises
    ------
    InputError
        A ``ValueError``, if there is no such system or option, or a value is of the wrong kind or range.

    Examples
    --------
    >>> net = create_model("jssunet", scale=2, features=16, stages=1)
    >>> net.config["hs_bands"]
    31
    """
    network = system_named(name).load()
    signature = inspect.signature(network)
    for key in config:
        if key not in signature.parameters:
            raise unknown_name(f"option of {name}", key, signature.parameters)
    config = {key: as_plain(value) if getattr(value, "ndim", None) == 0 else value for key, value in config.items()}
    missing = [
        key for key, p in signature.parameters.items() if p.default is inspect.Parameter.empty and key not in config
    ]
    if missing:
        raise InputError(f"{name} needs a value for {', '.join(missing)}")
    check_options(name, config, typing.get_type_hints(network.__init__), f"{name}: ")
    bound = signature.bind(**config)
    bound.apply_defaults()
    try:
        net = network(**bound.arguments)
    except InputError:
        raise
    except (RuntimeError, ValueError, TypeError, ArithmeticError, LookupError, AssertionError, MemoryError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        arguments = ", ".join(f"{key}={value!r}" for key, value in config.items()) or "its defaults"
        raise InputError(f"{name} cannot be built with {arguments}: {reason}") from error
    net.system, net.config = name, dict(bound.arguments)
    return net


def was_created(net: SRNetwork) -> bool:
    """Return whether `create_model` built a network, so that `config_of` knows its arguments."""
    return net.config is not None


def config_of(net: SRNetwork) -> tuple[str, dict[str, Any]]:
    """Return system and constructor arguments of a network that `create_model` built.

    Raises
    ------
    InputError
        A ``ValueError``, if the network's class was called directly: its arguments are then not known.
    """
    if net.system is None or net.config is None:
        raise InputError(f"{type(net).__name__} does not know its constructor arguments; build it with create_model")
    return net.system, dict(net.config)


def check_options(system: str, options: Mapping[str, Any], annotations: Mapping[str, Any], prefix: str) -> None:
    """Check a system's options against the annotations of its constructor.

    Parameters
    ----------
    system : str
        A system, see `list_systems`.
    options : dict
        Values by the names of `options_of`.
    annotations : mapping
        Of the constructor's arguments.
    prefix : str
        Of the names in messages, ``"model."`` for instance.

    Raises
    ------
    InputError
        A ``ValueError``, if the annotation of an option excludes its value, or a number is negative, infinite or NaN.
    """
    for key, value in options.items():
        _check_kind(system, key, value, annotations.get(key, Any), prefix)
        if isinstance(value, int | float) and not 0 <= value < math.inf:
            raise InputError(f"{prefix}{key}={value!r} is out of range; it must be >= 0")
        if isinstance(value, int) and value > (most := LARGEST.get(key, LARGEST_OTHER)):
            raise InputError(f"{prefix}{key}={value!r} is out of range; it must be at most {most}")


def _check_kind(system: str, key: str, value: Any, hint: Any, prefix: str) -> None:
    """Raise an error for a value that its annotation excludes; unusual annotations are ignored."""
    alternatives = _alternatives(hint)
    choices = [choice for a in alternatives if typing.get_origin(a) is typing.Literal for choice in typing.get_args(a)]
    plain = [a for a in alternatives if a in (int, float, str, bool, type(None))]
    sequences = [typing.get_args(a)[0] for a in alternatives if typing.get_origin(a) is Sequence]
    literals = sum(typing.get_origin(a) is typing.Literal for a in alternatives)
    if len(plain) + len(sequences) + literals < len(alternatives):
        return
    if isinstance(value, list | tuple):
        if any(all(_is_a(each, kind) for each in value) for kind in sequences):
            return
    elif value in choices or any(_is_a(value, kind) for kind in plain):
        return
    if choices and isinstance(value, str):
        raise unknown_name(f"{key} of {system}", value, map(str, choices))
    accepted = [*map(repr, choices), *(f"a sequence of {kind.__name__}" for kind in sequences)]
    accepted += ["None" if kind is type(None) else kind.__name__ for kind in plain]
    raise InputError(f"{prefix}{key}={value!r} is of the wrong kind; it must be {' or '.join(accepted)}")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool):  # bool is a subclass of int in Python, but not a valid number here
        return kind is bool
    return isinstance(value, (int, float) if kind is float else typing.get_origin(kind) or kind)
