"""Scenes of a data set, each predicted by a baseline that was fitted to the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from finewave.datasets.registry import get_dataset, known_split, open_scenes, sensor_of
from finewave.errors import InputError, unknown_name
from finewave.evaluation.baselines import BaselineBuilder
from finewave.evaluation.folds import (
    LEAVE_ONE_OUT,
    looks_around,
    make_folds,
    rows_named,
    thin_pairs,
    training_samples,
)
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.physics.sensors import get_sensor
from finewave.studies.anchor_spots import PredictedScene
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
    """Yield the scenes of splits, each with the model that predicted it, fitted to the scenes of the other folds.

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
    source = open_scenes(dataset, names)
    camera = sensor or sensor_of(get_dataset(dataset))
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
