"""What the numbers of the errors' model are worth over folds of CAVE: ``python -m benchmarks.anchor_kernel [CAMERA]``.

Each of the 20 training scenes is predicted by regression and neighbours fitted to the other 19, and corrected by 1 to
32 simulated spots at places that are chosen, of clusters of colours, and random. One number after the other is changed
from its default: the defaults are right if no row gains more without losing more than 0.1 dB in some scene.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import numpy as np
from torch import Tensor

from finewave.calibration import residual_kriging
from finewave.calibration.anchor_correction import fit_correction
from finewave.calibration.residual_kriging import ErrorModel, FloatArray
from finewave.studies.anchor_spots import CHOICES, simulated_places, spectra_at
from finewave.studies.fold_predictions import predicted_over_folds
from finewave.zoo.observation_model import colour_weights

COUNTS = (1, 2, 4, 8, 16, 32)
SIZE = 9
THIN = 8  # every eighth row and column is scored
TRIED = {
    "length": (0.05, 0.06, 0.085, 0.1),
    "noise": (0.06, 0.09, 0.18, 0.25),
    "shared": (0.2, 0.6, 0.8),
    "reach": (0.15, 0.4),
    "few": (2.0, 6.0, 24.0),
    "dark": (0.0, 0.04, 0.16),
    "log weight": (0.08, 0.18),
}


@dataclass(frozen=True)
class Try:
    """Spots of one scene: their places (n, 2) and spectra (n, C), measured and predicted."""

    choice: str
    places: FloatArray
    measured: FloatArray
    predicted: FloatArray


@dataclass(frozen=True)
class Case:
    """A scene, thinned, and what is tried on it."""

    predicted: Tensor
    truth: Tensor
    colour: FloatArray
    side: int
    tries: list[Try]


def cases(camera: str | None) -> Iterator[Case]:
    """Yield the training scenes with their spots."""
    for model, scene in predicted_over_folds("quadratic+knn", "cave", "loo", splits=("train",), sensor=camera):
        tries = []
        for choice in CHOICES:
            for count in COUNTS:
                places = simulated_places(scene.observed, count, choice, SIZE, 0)
                measured, predicted = (spectra_at(image, places, SIZE) for image in (scene.truth, scene.predicted))
                measured *= 1 + 0.01 * np.random.default_rng((0, 1)).standard_normal(measured.shape)
                tries.append(Try(choice, places, measured, predicted))
        thin = slice(THIN // 2, None, THIN)
        colour = colour_weights(model, len(scene.truth))
        yield Case(
            scene.predicted[:, thin, thin], scene.truth[:, thin, thin], colour, max(scene.truth.shape[1:]), tries
        )


def gain(case: Case, each: Try, model: ErrorModel) -> float:
    """Return what spots gain in dB."""
    found = fit_correction(each.measured, each.predicted, case.colour, each.places, case.side, start=model)
    corrected = replace(found, side=case.side // THIN)(case.predicted[None])[0]
    before, after = ((image - case.truth).square().mean() for image in (case.predicted, corrected))
    return float(10 * (before / after).log10())


@contextmanager
def log_weight(value: float) -> Iterator[None]:
    """Set what brightness counts among the features."""
    usual = residual_kriging.LOG_WEIGHT
    residual_kriging.LOG_WEIGHT = value
    try:
        yield
    finally:
        residual_kriging.LOG_WEIGHT = usual


def line(label: str, scenes: list[Case], model: ErrorModel) -> str:
    """Return mean gains by choice of places, and the largest loss of any scene."""
    gains: dict[str, list[float]] = {choice: [] for choice in CHOICES}
    for case in scenes:
        for each in case.tries:
            gains[each.choice].append(gain(case, each, model))
    worst = min(min(values) for values in gains.values())
    means = "  ".join(f"{choice} {np.mean(values):+.2f}" for choice, values in gains.items())
    return f"{label:18s} {means}  least {worst:+.2f}{'' if worst >= -0.1 else ' (loses more than 0.1 dB)'}"


def main(arguments: list[str]) -> None:
    """Print the defaults, and one row for each number changed."""
    scenes = list(cases(arguments[0] if arguments else None))
    usual = ErrorModel()
    print(line("defaults", scenes, usual), flush=True)
    for name, values in TRIED.items():
        for value in values:
            label = f"{name} {value:g}"
            if name in asdict(usual):
                print(line(label, scenes, replace(usual, **{name: value})), flush=True)
            else:
                with log_weight(value):
                    print(line(label, scenes, usual), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
