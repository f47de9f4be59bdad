"""What the numbers of the errors' models are worth over folds of CAVE.

    python -m benchmarks.anchor_kernel [--camera NAME] [--scenes N]

The 20 training scenes are predicted by regression and neighbours in four folds, each by what was fitted to the other
three, and corrected by 1 to 32 simulated spots at places that are chosen, of clusters of colours, and random. One
number after the other is changed from its default: the defaults are right if no row gains more without losing more than
0.1 dB in some scene. Every sixteenth row and column is scored. Scenes of the validation are neither fitted nor scored.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from types import ModuleType

import numpy as np
from torch import Tensor

from finewave.calibration import anchor_correction, residual_kriging, spot_choice
from finewave.calibration.anchor_correction import fit_correction
from finewave.calibration.residual_kriging import OF_DARK_PIXELS, ErrorModel, FloatArray
from finewave.metrics import sam
from finewave.studies.measurements.anchor_spots import simulated_places, spectra_at
from finewave.studies.measurements.fold_predictions import predicted_over_folds
from finewave.zoo.observation_model import colour_weights

COUNTS = (1, 2, 4, 8, 16, 32)
FOLDS = 4
SIZE = 9
THIN = 16  # rows and columns of which one is scored
WEIGHTS = (0.0, 0.5)  # exponents of brightness in the choice of places, beside the default
TRIED = {
    "length": (0.05, 0.07, 0.1),
    "noise": (0.06, 0.25),
    "few_noise": (2.0, 30.0),
    "power": (2.0, 1000.0),
    "few_power": (0.0, 60.0),
    "shared": (0.2, 0.8),
    "reach": (0.15, 0.4),
    "few": (6.0, 12.0, 40.0),
    "dark": (0.0, 0.16),
    "brightness": (0.5, 1.0),
    "trust": (0.1, 1e6),
}
TRIED_IN_THE_DARK = {
    "length": (0.08, 0.12, 0.24),
    "noise": (0.01, 0.04),
    "shared": (0.5, 1.0),
    "few": (2.0, 12.0),
    "few_noise": (5.0, 30.0),
    "brightness": (0.1, 1.0),
}
DARKNESS = (0.001, 0.03, 0.12)
FEW_IN_THE_DARK = (0.0, 3.0, 30.0)
ALIKE = (0.02, 0.1)


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
    for model, scene in predicted_over_folds("quadratic+knn", "cave", FOLDS, splits=("train",), sensor=camera):
        tries = []
        for label, count, places in places_of(scene.observed):
            measured, predicted = (spectra_at(image, places, SIZE) for image in (scene.truth, scene.predicted))
            measured *= 1 + 0.01 * np.random.default_rng((0, 1)).standard_normal(measured.shape)
            counts = COUNTS if count is None else (count,)
            tries += [Try(label, places[:n], measured[:n], predicted[:n]) for n in counts]
        thin = slice(THIN // 2, None, THIN)
        colour = colour_weights(model, len(scene.truth))
        print(scene.name, file=sys.stderr, flush=True)
        yield Case(
            scene.predicted[:, thin, thin], scene.truth[:, thin, thin], colour, max(scene.truth.shape[1:]), tries
        )


def places_of(observed: Tensor) -> Iterator[tuple[str, int | None, FloatArray]]:
    """Yield choices of places: of most spots, if the first of them are the places of fewer; else of each number."""
    yield "greedy", None, simulated_places(observed, max(COUNTS), "greedy", SIZE, 0)
    for weight in WEIGHTS:
        with changed(spot_choice, "_BRIGHT_COUNTS", weight):
            yield f"greedy {weight:g}", None, simulated_places(observed, max(COUNTS), "greedy", SIZE, 0)
    for count in COUNTS:
        yield "kmeans", count, simulated_places(observed, count, "kmeans", SIZE, 0)
    yield "random", None, simulated_places(observed, max(COUNTS), "random", SIZE, 0)


def gains(case: Case, each: Try, model: ErrorModel, dark: ErrorModel) -> tuple[float, float]:
    """Return what spots gain in dB, and in degrees."""
    found = fit_correction(
        each.measured, each.predicted, case.colour, each.places, case.side, start=model, dark_start=dark
    )
    corrected = replace(found, side=case.side // THIN)(case.predicted[None])[0]
    before, after = ((image - case.truth).square().mean() for image in (case.predicted, corrected))
    return float(10 * (before / after).log10()), sam(case.predicted, case.truth) - sam(corrected, case.truth)


@contextmanager
def changed(module: ModuleType, name: str, value: float) -> Iterator[None]:
    """Set a number of a module."""
    usual = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, usual)


def line(label: str, scenes: list[Case], model: ErrorModel, dark: ErrorModel, every_choice: bool = False) -> str:
    """Return mean gains by choice of places, and the largest loss of any scene."""
    by_choice: dict[str, list[tuple[float, float]]] = {}
    for case in scenes:
        for each in case.tries:
            if every_choice or each.choice in ("greedy", "kmeans", "random"):
                by_choice.setdefault(each.choice, []).append(gains(case, each, model, dark))
    means = "  ".join(
        f"{choice} {np.mean([db for db, _ in found]):+.2f} dB {np.mean([angle for _, angle in found]):.2f} deg"
        for choice, found in by_choice.items()
    )
    worst = min(db for found in by_choice.values() for db, _ in found)
    return f"{label:24s} {means}  least {worst:+.2f}{'' if worst >= -0.1 else ' (loses more than 0.1 dB)'}"


def main() -> None:
    """Print the defaults, and one row for each number changed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anchor_kernel")
    parser.add_argument("--camera", help="sensor that sees the scenes, the data set's by default")
    parser.add_argument("--scenes", type=int, help="only the first ones, to try it out")
    arguments = parser.parse_args()
    scenes = list(islice(cases(arguments.camera), arguments.scenes))
    usual, dark = ErrorModel(), OF_DARK_PIXELS
    print(line("defaults", scenes, usual, dark, every_choice=True), flush=True)
    for brightness in DARKNESS:
        with changed(anchor_correction, "DARK", brightness):
            print(line(f"dark below {brightness:g}", scenes, usual, dark), flush=True)
    for few in FEW_IN_THE_DARK:
        with changed(anchor_correction, "FEW_IN_THE_DARK", few):
            print(line(f"few in the dark {few:g}", scenes, usual, dark), flush=True)
    for alike in ALIKE:
        with changed(residual_kriging, "_ALIKE", alike):
            print(line(f"alike {alike:g}", scenes, usual, dark), flush=True)
    for name, values in TRIED_IN_THE_DARK.items():
        for value in values:
            print(line(f"in the dark, {name} {value:g}", scenes, usual, replace(dark, **{name: value})), flush=True)
    for name, values in TRIED.items():
        for value in values:
            print(line(f"{name} {value:g}", scenes, replace(usual, **{name: value}), dark), flush=True)


if __name__ == "__main__":
    main()
