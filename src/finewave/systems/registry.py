"""The list of systems, and the one way to build an untrained network.

Adding a system is one line in `SYSTEMS`. A network's class is imported when it is first built, so that names,
tasks and inputs are known without loading PyTorch.
"""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finewave.errors import InputError, unknown_name

if TYPE_CHECKING:
    from torch import nn

TASKS = ("sssr", "sr", "ssr", "fusion", "refsr")

OTHER_NAMES: dict[str, dict[str, str]] = {
    "sr": {"lr_msi": "lr_hsi", "hr_msi": "hr_hsi"},
    "ssr": {"lr_msi": "hr_msi", "lr_hsi": "hr_hsi"},
}
"""Images that a task's networks take and make, too, and the name that the networks themselves have for them.

Spatial super-resolution does the same to multispectral images, and spectral super-resolution to small ones.
"""


@dataclass(frozen=True)
class System:
    """Where a network lives (``"module:Class"``) and what it maps to what.

    A ``baseline`` has no weights to be trained beforehand: it has none, or finds them in closed form.
    """

    home: str
    task: str
    inputs: tuple[str, ...]
    output: str
    baseline: bool = False

    @property
    def module(self) -> str:
        """Dotted name of the module of the network, and of its ``from_reference``."""
        return self.home.partition(":")[0]

    def load(self) -> type[nn.Module]:
        """Import and return the class of the network."""
        module, _, name = self.home.partition(":")
        return getattr(importlib.import_module(module), name)


SYSTEMS: dict[str, System] = {
    "jssunet": System("finewave.systems.jssunet.network:JSSUNet", "sssr", ("lr_msi",), "hr_hsi"),
    "awan": System("finewave.systems.awan.network:AWAN", "ssr", ("hr_msi",), "hr_hsi"),
    "mst++": System("finewave.systems.mstpp.network:MSTPlusPlus", "ssr", ("hr_msi",), "hr_hsi"),
    "us3rn": System("finewave.systems.us3rn.network:US3RN", "sssr", ("lr_msi",), "hr_hsi"),
    "sspsr": System("finewave.systems.sspsr.network:SSPSR", "sr", ("lr_hsi",), "hr_hsi"),
    "fusformer": System("finewave.systems.fusformer.network:Fusformer", "fusion", ("lr_hsi", "hr_msi"), "hr_hsi"),
    "ssfin": System("finewave.systems.ssfin.network:SSFIN", "sssr", ("lr_msi",), "hr_hsi"),
    "mulsr": System("finewave.systems.mulsr.network:MulSR", "fusion", ("lr_hsi", "hr_msi"), "hr_hsi"),
    "ssc-hsr": System("finewave.systems.sschsr.network:SSCHSR", "refsr", ("lr_hsi", "ref_rgb"), "hr_hsi"),
    "jssunet-sr": System("finewave.systems.jssunet.branches:JSSUNetSR", "sr", ("lr_hsi",), "hr_hsi"),
    "jssunet-ssr": System("finewave.systems.jssunet.branches:JSSUNetSSR", "ssr", ("hr_msi",), "hr_hsi"),
    "jssunet-fusion": System(
        "finewave.systems.jssunet.branches:JSSUNetFusion", "fusion", ("lr_hsi", "hr_msi"), "hr_hsi"
    ),
    "ssjsr": System("finewave.systems.ssjsr.network:SSJSR", "sssr", ("lr_msi",), "hr_hsi"),
    "edsr": System("finewave.systems.edsr.network:EDSR", "sr", ("lr_hsi",), "hr_hsi"),
    "gdrrn": System("finewave.systems.gdrrn.network:GDRRN", "sr", ("lr_hsi",), "hr_hsi"),
    "3d-fcnn": System("finewave.systems.fcnn3d.network:FCNN3D", "sr", ("lr_hsi",), "hr_hsi"),
    "sr-ssr": System("finewave.systems.compositions.networks:SRThenSSR", "sssr", ("lr_msi",), "hr_hsi"),
    "ssr-sr": System("finewave.systems.compositions.networks:SSRThenSR", "sssr", ("lr_msi",), "hr_hsi"),
    "sr-ssr-fusion": System("finewave.systems.compositions.networks:SRAndSSRThenFusion", "sssr", ("lr_msi",), "hr_hsi"),
    "bicubic": System("finewave.systems.baselines.bicubic:Bicubic", "sr", ("lr_hsi",), "hr_hsi", baseline=True),
    "ibp": System(
        "finewave.systems.baselines.back_projection:BackProjection", "sr", ("lr_hsi",), "hr_hsi", baseline=True
    ),
    "ridge": System(
        "finewave.systems.baselines.pixel_regression:RidgeRegression", "ssr", ("hr_msi",), "hr_hsi", baseline=True
    ),
    "quadratic": System(
        "finewave.systems.baselines.pixel_regression:QuadraticRegression", "ssr", ("hr_msi",), "hr_hsi", baseline=True
    ),
    "root-polynomial": System(
        "finewave.systems.baselines.pixel_regression:RootPolynomialRegression",
        "ssr",
        ("hr_msi",),
        "hr_hsi",
        baseline=True,
    ),
    "gsa": System("finewave.systems.baselines.gsa:GSA", "fusion", ("lr_hsi", "hr_msi"), "hr_hsi", baseline=True),
    "cnmf": System("finewave.systems.baselines.cnmf:CNMF", "fusion", ("lr_hsi", "hr_msi"), "hr_hsi", baseline=True),
}


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
    """Tell whether a system looks at an RGB reference; False for a name that is none."""
    return name in SYSTEMS and "ref_rgb" in SYSTEMS[name].inputs


def options_of(name: str) -> set[str]:
    """Return the options that a system has, see `create_model`."""
    return set(inspect.signature(system_named(name).load()).parameters)


def create_model(name: str, **config: Any) -> nn.Module:
    """Build an untrained network.

    Parameters
    ----------
    name : str
        A system, see `list_systems`.
    **config
        Keyword arguments of the system's class; the rest keep their defaults.

    Returns
    -------
    torch.nn.Module
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
    missing = [
        key for key, p in signature.parameters.items() if p.default is inspect.Parameter.empty and key not in config
    ]
    if missing:
        raise InputError(f"{name} needs a value for {', '.join(missing)}")
    hints = typing.get_type_hints(network.__init__)
    for key, value in config.items():
        _check_kind(name, key, value, hints.get(key, Any))
    bound = signature.bind(**config)
    bound.apply_defaults()
    net = network(**bound.arguments)
    vars(net).update(system=name, config=dict(bound.arguments))
    return net


def was_created(net: nn.Module) -> bool:
    """Tell whether `create_model` built a network, so that `config_of` knows its arguments."""
    return {"system", "config"} <= vars(net).keys()


def config_of(net: nn.Module) -> tuple[str, dict[str, Any]]:
    """Return system and constructor arguments of a network that `create_model` built.

    Raises
    ------
    InputError
        A ``ValueError``, if the network's class was called directly: its arguments are then not known.
    """
    if not was_created(net):
        raise InputError(
            f"{type(net).__name__} does not know the arguments it was built with; build it by create_model"
        )
    return vars(net)["system"], dict(vars(net)["config"])


def _check_kind(system: str, key: str, value: Any, hint: Any) -> None:
    """Refuse a value that a constructor's annotation excludes; leave unusual annotations alone."""
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
    raise InputError(f"{system}: {key}={value!r} is of the wrong kind; it must be {' or '.join(accepted)}")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool):  # a bool is an int to Python, but no band count
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
