"""Baselines for a data set: built for its bands and, where they have coefficients, fitted on its training scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from finewave.datasets.patches import Sample
from finewave.physics.sensors import get_sensor
from finewave.systems.registry import SYSTEMS, create_model, options_of
from finewave.zoo.card import describe
from finewave.zoo.model import Model

JOINT = "bicubic + quadratic regression"
Floor = tuple[str, dict[str, Any]]
FLOORS: dict[str, dict[str, Floor]] = {
    "sssr": {JOINT: ("sr-ssr", {"sr": "bicubic", "ssr": "quadratic"})},
    "sr": {"bicubic": ("bicubic", {})},
    "ssr": {"quadratic regression": ("quadratic", {})},
    "fusion": {"bicubic": ("bicubic", {}), "GSA": ("gsa", {}), "CNMF": ("cnmf", {})},
    "refsr": {"bicubic": ("bicubic", {})},
}
"""Baselines of each task, by name in tables: system and options."""

SMALL_FLOORS: dict[str, dict[str, Floor]] = {
    "sssr": {
        "bicubic + linear regression": ("sr-ssr", {"sr": "bicubic", "ssr": "ridge", "ssr_options": {"penalty": 0.0}}),
        **FLOORS["sssr"],
    },
    "ssr": {"linear regression": ("ridge", {"penalty": 0.0}), **FLOORS["ssr"]},
}
"""On few pixels squares and products may be too many terms: there the plain regression is the harder floor."""


def list_baselines() -> list[str]:
    """Return the names of the systems that need no training beforehand."""
    return sorted(name for name, system in SYSTEMS.items() if system.baseline)


def build_baseline(
    system: str,
    *,
    wavelengths: np.ndarray,
    sensor: str | None,
    scale: int,
    degradation: dict[str, Any],
    samples: Callable[[], Iterable[Sample]],
    ms_bands: Sequence[str] | None = None,
    **options: Any,
) -> Model:
    """Return a baseline ready to be scored.

    Parameters
    ----------
    system : str
        One of `list_baselines`, or a composition of them.
    wavelengths : ndarray (C,)
        Band centres of the scenes in nm.
    sensor : str or None
        Sensor of the multispectral bands; None: measured ones, named ``ms_bands``.
    scale : int
        s.
    degradation : dict
        Keyword arguments of `degrade` that make the LR images.
    samples : callable
        Returns the training images; called if there is something to be fitted.
    ms_bands : sequence of str, optional
        Names of the multispectral bands, where there is no sensor.
    **options
        Of the system.
    """
    known_sensor = None if sensor is None else get_sensor(sensor)
    names = list((ms_bands or ()) if known_sensor is None else known_sensor.bands)
    known = options_of(system)
    protocol = {"scale": scale, "ms_bands": len(names), "hs_bands": len(wavelengths)}
    if "degradation" in known:
        options = {"degradation": {k: v for k, v in degradation.items() if k != "scale"}, **options}
    net = create_model(system, **options, **{key: value for key, value in protocol.items() if key in known})
    if net.prepares:
        net.prepare_from(samples(), 0)
    net.eval()
    card = describe(
        net,
        name=system,
        wavelengths_nm=[float(w) for w in wavelengths],
        ms_bands=names,
        ms_wavelengths_nm=None if known_sensor is None else [round(float(c), 1) for c in known_sensor.centres],
        sensor=sensor,
        degradation={**degradation, "scale": net.scale},
    )
    return Model(net, card)
