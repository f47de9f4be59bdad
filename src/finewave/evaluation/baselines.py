"""Baselines for a data set: built for its bands and, where they have coefficients, fitted on its training scenes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from finewave.datasets.patches import Sample
from finewave.physics.sensors import get_sensor
from finewave.systems.registry import SYSTEMS, create_model, options_of, with_degradation
from finewave.systems.start_weights import prepare_rest, start_from
from finewave.zoo.card import describe
from finewave.zoo.ensemble import ENSEMBLES, ensemble
from finewave.zoo.model import Model

Floor = tuple[str, dict[str, Any]]
FLOORS: dict[str, dict[str, Floor]] = {
    "sssr": {
        "bicubic + quadratic regression": ("sr-ssr", {"sr": "bicubic", "ssr": "quadratic"}),
        "bicubic + nearest neighbours": ("sr-ssr", {"sr": "bicubic", "ssr": "knn"}),
        "back-projection + mean of both": (
            "sr-ssr",
            {"sr": "ibp", "ssr": "ensemble-ssr", "ssr_options": {"members": ["quadratic", "knn"]}},
        ),
    },
    "sr": {"bicubic": ("bicubic", {}), "back-projection": ("ibp", {})},
    "ssr": {
        "quadratic regression": ("quadratic", {}),
        "nearest neighbours": ("knn", {}),
        "regression + neighbours' residuals": ("ridge-knn", {}),
        "mean of both": ("ensemble-ssr", {"members": ["quadratic", "knn"]}),
    },
    "fusion": {
        "bicubic": ("bicubic", {}),
        "GSA": ("gsa", {}),
        "CNMF": ("cnmf", {}),
        "local regression": ("local-regression", {}),
    },
    "refsr": {"bicubic": ("bicubic", {}), "back-projection": ("ibp", {})},
}
"""For each task what a network has to beat, by name for tables: system and options. The floor is the best of them."""

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


def best_of(means: Mapping[str, Mapping[str, float]]) -> str:
    """Return which of several baselines is the floor: the one with the highest PSNR."""
    return max(means, key=lambda label: means[label]["psnr"])


class BaselineBuilder:
    """Baselines for one data set and protocol, ready to be scored; each is fitted once.

    Parameters
    ----------
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
    """

    def __init__(
        self,
        *,
        wavelengths: np.ndarray,
        sensor: str | None,
        scale: int,
        degradation: dict[str, Any],
        samples: Callable[[], Iterable[Sample]],
        ms_bands: Sequence[str] | None = None,
    ) -> None:
        known = None if sensor is None else get_sensor(sensor)
        self.wavelengths, self.samples, self.degradation = wavelengths, samples, degradation
        self.bands = list((ms_bands or ()) if known is None else known.bands)
        self.whole = {"scale": scale, "ms_bands": len(self.bands), "hs_bands": len(wavelengths)}
        self.facts = {
            "wavelengths_nm": [float(w) for w in wavelengths],
            "ms_bands": self.bands,
            "ms_wavelengths_nm": None if known is None else [round(float(c), 1) for c in known.centres],
            "sensor": sensor,
        }
        self._built: dict[str, Model] = {}

    def build(self, system: str, *, seed: int = 0, start: Model | None = None, **options: Any) -> Model:
        """Return a baseline, another system that is fitted in one go, a composition or an ensemble of such ones.

        Parameters
        ----------
        system : str
        seed : int
            Of the fit.
        start : Model, optional
            Trained weights that it starts from, or one of its parts; see `finewave.systems.start_weights.start_from`.
        **options
            The system's.
        """
        key = json.dumps([system, seed, None if start is None else start.name, options], sort_keys=True)
        if key not in self._built:
            together = system in ENSEMBLES
            self._built[key] = (
                self._ensemble(system, seed, **options) if together else self._one(system, seed, start, options)
            )
        return self._built[key]

    def _one(self, system: str, seed: int, start: Model | None, options: dict[str, Any]) -> Model:
        known = options_of(system)
        options = with_degradation(system, options, {k: v for k, v in self.degradation.items() if k != "scale"})
        net = create_model(system, **options, **{key: value for key, value in self.whole.items() if key in known})
        begun = None if start is None else start.net
        source = "" if start is None else start.name
        complete = begun is not None and start_from(net, begun, source)
        if net.prepares and not complete:
            prepare_rest(net, self.samples(), seed, begun, source)
        net.eval()
        facts = {**self.facts, "degradation": {**self.degradation, "scale": net.scale}}
        return Model(net, describe(net, name=system, **facts))

    def _ensemble(
        self,
        system: str,
        seed: int,
        members: Sequence[str],
        options: Sequence[dict[str, Any]] = (),
        consistent: bool = True,
        **weighting: Any,
    ) -> Model:
        each = options or [{}] * len(members)
        models = [self.build(member, seed=seed, **own) for member, own in zip(members, each, strict=True)]
        # measured images follow no response that is known
        consistent = consistent and self.facts["sensor"] is not None
        return ensemble(*models, consistent=consistent, name=system, **weighting)
