"""Baselines for a data set: built for its bands and, where they have coefficients, fitted on its training scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from finewave.data.crops import Sample
from finewave.imaging.sensors import get_sensor
from finewave.models.card import describe
from finewave.models.pretrained import Model
from finewave.models.registry import SYSTEMS, create_model, options_of

JOINT = "bicubic + quadratic regression"
FLOORS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "sssr": {JOINT: ("sr-ssr", {"sr": "bicubic", "ssr": "quadratic"})},
    "sr": {"bicubic": ("bicubic", {})},
    "ssr": {"quadratic regression": ("quadratic", {})},
    "fusion": {"bicubic": ("bicubic", {}), "GSA": ("gsa", {}), "CNMF": ("cnmf", {})},
    "refsr": {"bicubic": ("bicubic", {})},
}
"""For each task what every network has to beat, by name for tables: system and options."""


def list_baselines() -> list[str]:
    """Return the names of the systems that need no training beforehand."""
    return sorted(name for name, system in SYSTEMS.items() if system.baseline)


def build_baseline(
    system: str,
    *,
    wavelengths: np.ndarray,
    sensor: str,
    scale: int,
    degradation: dict[str, Any],
    samples: Callable[[], Iterable[Sample]],
    **options: Any,
) -> Model:
    """Return a baseline ready to be scored.

    Parameters
    ----------
    system : str
        One of `list_baselines`, or a composition of them.
    wavelengths : ndarray (C,)
        Band centres of the scenes in nm.
    sensor : str
        Whose multispectral bands.
    scale : int
        s.
    degradation : dict
        Keyword arguments of `degrade` that make the LR images.
    samples : callable
        Returns the training images; called if there is something to be fitted.
    **options
        Of the system.
    """
    response = get_sensor(sensor)
    known = options_of(system)
    protocol = {"scale": scale, "ms_bands": len(response.bands), "hs_bands": len(wavelengths)}
    if "degradation" in known:
        options = {"degradation": {k: v for k, v in degradation.items() if k != "scale"}, **options}
    net = create_model(system, **options, **{key: value for key, value in protocol.items() if key in known})
    if hasattr(net, "prepare_from"):
        net.prepare_from(samples(), 0)
    net.eval()
    card = describe(
        net,
        name=system,
        wavelengths_nm=[float(w) for w in wavelengths],
        ms_bands=list(response.bands),
        ms_wavelengths_nm=[round(float(centre), 1) for centre in response.centres],
        sensor=sensor,
        degradation={**degradation, "scale": int(getattr(net, "scale", 1))},
    )
    return Model(net, card)
