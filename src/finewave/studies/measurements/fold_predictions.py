"""Scenes of a data set, each predicted by a baseline that was fitted to the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from finewave.datasets.registry import get_dataset, known_split, open_scenes, sensor_of
from finewave.errors import InputError, unknown_name
from finewave.evaluation.baselines import BaselineBuilder
from finewave.evaluation.folds import (
    LEAVE_ONE_OUT,
    Fold,
    looks_around,
    make_folds,
    rows_named,
    thin_pairs,
    training_samples,
)
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.physics.sensors import get_sensor
from finewave.studies.measurements.anchor_spots import PredictedScene
from finewave.systems.registry import SYSTEMS
from finewave.zoo.model import Model


def predicted_over_folds(
    name: str,
    dataset: str,
    folds: int | str,
    *,
    splits: Sequence[str] = ("train", "val"),
    sensor: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Iterator[tuple[Model, PredictedScene]]:
    """Yield the scenes of splits, each with the baseline that predicted it, fitted to the scenes of the other folds.

    Parameters
    ----------
    name : str
        A baseline of spectra, or several with + between them; see `finewave.evaluation.folds.rows_named`.
    dataset : str
    folds : int or "loo"
        See `finewave.evaluation.folds.make_folds`.
    splits : sequence of str
        Whose scenes take turns.
    sensor : str, optional
        By default the data set's.
    progress : callable

    Raises
    ------
    InputError
        The name is not of baselines of spectra, or there are not so many scenes.
    """
    rows, _ = rows_named(name, baseline=False)
    ((system, options),) = rows.values()
    if SYSTEMS[system].inputs != ("hr_msi",):
        raise InputError(f"{name} is not a baseline of spectra from one image; quadratic and knn are, for example")
    known = known_split(dataset)
    for split in splits:
        if split not in known:
            raise unknown_name("split", split, known)
    names = [each for split in splits for each in known[split]]
    dealt = make_folds(names, folds)
    camera = sensor or sensor_of(get_dataset(dataset))
    yield from _predicted(system, options, dataset, names, dealt, camera, progress)


def refitted_over_folds(
    model: Model, dataset: str, folds: int | str, *, progress: Callable[[str], None] = lambda line: None
) -> Iterator[tuple[Model, PredictedScene]]:
    """Yield the scenes that a closed-form model was fitted to, each predicted by the same fitted to the other folds.

    Parameters
    ----------
    model : Model
        Of spectra from one image, its weights a closed form; its card names sensor and the scenes of the training.
    dataset : str
        That of the training.
    folds : int or "loo"
        See `finewave.evaluation.folds.make_folds`.
    progress : callable

    Raises
    ------
    InputError
        It is another model, or there are not so many scenes.
    """
    card = model.card
    known = SYSTEMS.get(card.system) if card is not None else None
    if card is None or known is None or not known.fitted or known.inputs != ("hr_msi",) or card.sensor is None:
        raise InputError(
            f"{model.name} is not a closed form of spectra from one image, kernel-ridge for example; other models are "
            "calibrated on scenes that they have not seen (--split, --scene)"
        )
    trained = card.data or {}
    names = list((trained.get("split") or {}).get("train") or ())
    if trained.get("dataset") != dataset or not names:
        raise InputError(f"{model.name} was not fitted to scenes of {dataset}, as its card has it; give --dataset")
    options = {key: value for key, value in card.config.items() if key not in ("ms_bands", "hs_bands", "scale")}
    yield from _predicted(card.system, options, dataset, names, make_folds(names, folds), card.sensor, progress)


def _predicted(
    system: str,
    options: Mapping[str, Any],
    dataset: str,
    names: Sequence[str],
    dealt: Sequence[Fold],
    camera: str,
    progress: Callable[[str], None],
) -> Iterator[tuple[Model, PredictedScene]]:
    """Yield the scenes of folds, each with the model that was fitted to the other ones."""
    source = open_scenes(dataset, names)
    scenes = WholeScenes(source, get_sensor(camera).response(source.wavelengths), 1, {})
    pairs = None if looks_around(system, options) else thin_pairs(scenes, names)
    for fold in dealt:
        builder = BaselineBuilder(
            wavelengths=source.wavelengths,
            sensor=camera,
            scale=1,
            degradation={},
            samples=partial(training_samples, fold, scenes, pairs),
        )
        model = builder.build(system, **options).with_precision("float32")
        for scene, image in scenes.samples(fold.scored):
            progress(scene)
            observed = image["hr_msi"]
            yield model, PredictedScene(scene, observed[0], model.predict(hr_msi=observed)[0], image["hr_hsi"][0])


def folds_of(text: str) -> int | str:
    """Return the argument of `make_folds` that an option says: a number, or loo."""
    if text == LEAVE_ONE_OUT:
        return text
    if not text.isdecimal():
        raise InputError(f"--folds {text}: a number of folds, or loo for leaving out one scene at a time, is accepted")
    return int(text)
