"""Baselines over folds of all scenes of a set: every scene is scored by what was fitted to others.

What needs no training, or is fitted in a moment, need not stand or fall by one split. The scenes of the ``train`` and
``val`` splits take turns; those of ``test`` stay apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from finewave.datasets.patches import Sample
from finewave.datasets.registry import get_dataset, known_split, open_scenes, sensor_of
from finewave.datasets.store import Store
from finewave.errors import InputError
from finewave.evaluation.baselines import FLOORS, BaselineBuilder, Floor, best_of, list_baselines
from finewave.evaluation.finished_scores import FinishedScores, Scores
from finewave.evaluation.scorer import Scorer
from finewave.evaluation.statistics import bootstrap_interval, paired_test
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.metrics import psnr, sam
from finewave.metrics.evaluate_images import mean_values
from finewave.physics.sensors import get_sensor
from finewave.systems.registry import SYSTEMS, create_model
from finewave.zoo.model import Model, load_model
from finewave.zoo.names import member_names

LEAVE_ONE_OUT = "loo"
SEEN = 0.25
"""Part of a band's peak response above which the camera counts as seeing a wavelength."""
THIN = 4
"""Rows and columns of spectral training pairs of which one is taken: what is left is a hundred thousands of pixels."""
RANKED = ("psnr", "sam")


@dataclass(frozen=True)
class Fold:
    """Scenes that are scored together, and those that baselines are fitted to for it."""

    scored: tuple[str, ...]
    training: tuple[str, ...]


@dataclass(frozen=True)
class Refit:
    """How a row is fitted again for each fold: by the seed of its recipe, from weights of the recipe's ``init_from``.

    Attributes
    ----------
    seed : int
    weights : str, optional
        Folder; for each fold the weights that have not seen its scenes lie beside it, see `weights_of_fold`.
    """

    seed: int = 0
    weights: str | None = None


def make_folds(names: Sequence[str], folds: int | str, seed: int = 0) -> list[Fold]:
    """Deal scenes to folds, always alike.

    Parameters
    ----------
    names : sequence of str
    folds : int or "loo"
        Number of folds, 2 to the number of scenes; ``"loo"``: one per scene.
    seed : int
        Of the order in which they are dealt.

    Raises
    ------
    InputError
        If there are not so many scenes.
    """
    ordered = sorted(names)
    if folds == LEAVE_ONE_OUT:
        folds = len(ordered)
    if isinstance(folds, str) or not 2 <= folds <= len(ordered):
        raise InputError(f"folds={folds!r} is out of range; 2 to {len(ordered)}, as many as there are scenes, or 'loo'")
    dealt = [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]
    parts = [tuple(sorted(dealt[i::folds])) for i in range(folds)]
    return [Fold(part, tuple(name for name in ordered if name not in part)) for part in parts]


def weights_of_fold(folder: Path, number: int, folds: int) -> Path:
    """Return the folder of the weights that were trained as those of ``folder``, without fold ``number`` (from 1)."""
    return folder.with_name(f"{folder.name}-fold-{number}-of-{folds}")


def seen_bands(response: np.ndarray) -> np.ndarray:
    """Return which bands (C,) a camera with response (c, C) sees: any of its own has a quarter of its peak there."""
    return (np.abs(response) >= SEEN * np.abs(response).max(1, keepdims=True)).any(0)


def evaluate_folds(
    rows: Mapping[str, Floor],
    dataset: str,
    folds: int | str,
    *,
    floors: Sequence[str] = (),
    refits: Mapping[str, Refit] | None = None,
    scale: int = 4,
    sensor: str | None = None,
    degradation: dict[str, Any] | None = None,
    store: Store | None = None,
    resume: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
    count: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Score baselines on every scene of a set, each fitted to the other folds.

    Parameters
    ----------
    rows : mapping
        What is scored: system and options by name, of one task.
    dataset : str
        See `evaluate_model`.
    folds : int or "loo"
        See `make_folds`.
    floors : sequence of str
        The rows of which the best is the floor; by default all.
    refits : mapping, optional
        For rows that a recipe describes; see `Refit`.
    scale, sensor, degradation, store
        See `finewave.evaluation.evaluator.baseline_for`.
    resume : Path, optional
        File that every score is added to as soon as it is made, and that those of an interrupted run are taken from;
        see `FinishedScores`. The caller removes it once the result is kept.
    progress, count : callable
        See `evaluate_model`.

    Returns
    -------
    dict
        ``rows`` by name, each with ``images`` (metrics by scene), ``mean``, ``interval`` (95 % of the mean over scenes,
        by bootstrap), ``seen`` (PSNR and SAM on the bands that the camera sees alone) and ``against_floor`` (mean
        difference, p of the signed-rank test and scenes on which it is better); ``floor``, its name; ``protocol``.

    Raises
    ------
    InputError
        If scenes are missing, there are not so many, or weights to start from are missing or have seen a fold's scenes.
    """
    refits = {} if refits is None else refits
    tasks = {SYSTEMS[system].task for system, _ in rows.values()}
    if tasks == {"fusion", "sr"}:  # what enlarges the LR-HSI leaves the guide alone
        tasks = {"fusion"}
    if len(tasks) != 1:
        raise InputError(f"folds are of one task; given: {', '.join(sorted(tasks)) or 'none'}")
    split = known_split(dataset) if store is None else store.attributes["split"]
    names = [*split["train"], *split["val"]]
    dealt = make_folds(names, folds)
    source = open_scenes(dataset, names) if store is None else store
    camera = sensor or sensor_of(get_dataset(dataset))
    response = get_sensor(camera).response(source.wavelengths)
    blur = {"kernel": "gaussian"} if degradation is None else degradation
    spectral = tasks == {"ssr"}
    scenes = WholeScenes(source, response, 1 if spectral else scale, {} if spectral else blur)
    thinned = spectral and not any(looks_around(*row) for row in rows.values())
    shown = seen_bands(response)

    nm = source.wavelengths[shown]
    protocol = {
        "dataset": dataset,
        "task": tasks.pop(),
        "folds": [list(fold.scored) for fold in dealt],
        "images": "whole scenes",
        "scale": scenes.scale,
        "sensor": camera,
        "degradation": None if spectral else blur,
        "seen_nm": [float(nm.min()), float(nm.max())],
        "fitted_to": f"every {THIN}th row and column" if thinned else "all pixels",
        "systems": {label: [system, options] for label, (system, options) in rows.items()},
        "scenes_sha256": {name: source.checksum(name) for name in names},
    }
    starts = {label: _starts(refit.weights, dataset, dealt) for label, refit in refits.items() if refit.weights}
    if refits:
        protocol["recipes"] = {
            label: {"seed": refit.seed, "weights_sha256": [_checksum(model) for model in starts.get(label, [])]}
            for label, refit in refits.items()
        }
    finished = FinishedScores(resume, protocol)
    every = [(label, name) for label in rows for name in names]
    missing = {key for key in every if key not in finished}
    done = len(every) - len(missing)
    if finished:
        progress(f"{done} of {len(every)} scores are there already")
    pairs = thin_pairs(scenes, names) if thinned and missing else None
    for number, fold in enumerate(dealt, 1):
        builder = BaselineBuilder(
            wavelengths=source.wavelengths,
            sensor=camera,
            scale=scenes.scale,
            degradation=blur,
            samples=partial(training_samples, fold, scenes, pairs),
        )
        left = {name: [label for label in rows if (label, name) in missing] for name in fold.scored}
        wanted = {label for labels in left.values() for label in labels}
        models = {
            label: builder.build(
                system,
                seed=refits.get(label, Refit()).seed,
                start=starts[label][number - 1] if label in starts else None,
                **options,
            )
            for label, (system, options) in rows.items()
            if label in wanted
        }
        for name, image in scenes.samples(name for name in fold.scored if left[name]):
            for label in left[name]:
                model = models[label]
                estimate = model.with_precision("float32").predict(**{each: image[each] for each in model.inputs})
                finished.add(label, name, _scores(estimate, image["hr_hsi"], scenes.scale, shown))
                done += 1
                count(done, len(every))
            progress(f"fold {number} of {len(dealt)}: {name}")
    result = {label: _row({name: finished[label, name] for name in names}) for label in rows}
    floor = best_of({label: result[label]["mean"] for label in (floors or rows)})
    for label, row in result.items():
        row["against_floor"] = None if label == floor else compare(row["images"], result[floor]["images"])
    return {"rows": result, "floor": floor, "protocol": protocol}


def _starts(folder: str, dataset: str, dealt: Sequence[Fold]) -> list[Model]:
    """Return the weights that the folds start from, which have not seen the scenes that are scored."""
    models = []
    for number, fold in enumerate(dealt, 1):
        path = weights_of_fold(Path(folder), number, len(dealt))
        if not path.is_dir():
            raise InputError(f"{path} is missing: weights as those of {folder}, trained without fold {number}")
        model = load_model(path)
        data = (None if model.card is None else model.card.data) or {}
        split = data.get("split", {})
        if data.get("dataset") != dataset or not split.get("train"):
            raise InputError(f"{path} does not say in its card on which scenes of {dataset} it was trained")
        # validation scenes, too: a training keeps the weights that are best on them
        if seen := {scene for part in split.values() for scene in part} & set(fold.scored):
            raise InputError(f"{path} was trained or chosen on {', '.join(sorted(seen))}, which fold {number} scores")
        recipe = (None if model.card is None else model.card.recipe) or {}
        if earlier := recipe.get("init_from") or data.get("started_from"):
            raise InputError(f"{path} was itself trained from {earlier}, which may have seen what fold {number} scores")
        models.append(model)
    return models


def _checksum(model: Model) -> str:
    return "" if model.card is None else model.card.sha256


def compare(mine: Mapping[str, Mapping[str, float]], other: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return by metric how one row differs from another on the same scenes."""
    found = {}
    for metric in RANKED:
        pairs = [(mine[name][metric], other[name][metric]) for name in mine]
        test = paired_test([a for a, _ in pairs], [b for _, b in pairs])
        better = sum(a > b if metric == "psnr" else a < b for a, b in pairs)
        found[metric] = {"difference": test.difference, "p": test.wilcoxon, "better": better, "scenes": test.scenes}
    return found


def _scores(estimate: Tensor, truth: Tensor, scale: int, shown: np.ndarray) -> Scores:
    """Return the metrics of a scene (1, C, H, W) on all bands, and on those that the camera sees."""
    whole = Scorer(lambda pair: (pair["estimate"], pair["truth"]), scale)
    whole.add({"estimate": estimate, "truth": truth}, "scene")
    a, b = estimate[0, shown], truth[0, shown]
    return {"whole": whole.summary().by_image["scene"], "seen": {"psnr": psnr(a, b), "sam": sam(a, b)}}


def _row(by_scene: Mapping[str, Scores]) -> dict[str, Any]:
    """Return a row's metrics by scene, and what they say together."""
    images = {name: scores["whole"] for name, scores in by_scene.items()}
    values = {metric: [row[metric] for row in images.values()] for metric in RANKED}
    seen = [scores["seen"] for scores in by_scene.values()]
    return {
        "images": images,
        "mean": mean_values(list(images.values())),
        "interval": {metric: list(bootstrap_interval(each)) for metric, each in values.items()},
        "seen": {metric: float(np.nanmean([row[metric] for row in seen])) for metric in RANKED},
    }


def looks_around(system: str, options: Mapping[str, Any]) -> bool:
    """Return whether a system uses the surroundings of a pixel, which thinned images do not have."""
    return create_model(system, **options).receptive_field != 0


def thin_pairs(scenes: WholeScenes, names: Iterable[str]) -> dict[str, Sample]:
    """Return the spectral training pairs of all scenes, thinned, so that a fold reads nothing again."""
    pairs = {}
    for name, image in scenes.samples(names):
        pairs[name] = {key: image[key][..., ::THIN, ::THIN].contiguous() for key in ("hr_msi", "hr_hsi")}
    return pairs


def training_samples(fold: Fold, scenes: WholeScenes, pairs: Mapping[str, Sample] | None) -> Iterable[Sample]:
    """Return the images of the scenes to which a fold's models are fitted."""
    if pairs is not None:
        return (pairs[name] for name in fold.training)
    return (scenes.sample(name) for name in fold.training)


def rows_named(name: str, *, baseline: bool) -> tuple[dict[str, Floor], list[str]]:
    """Return what `evaluate_folds` scores for a name, and which of the rows may be the floor.

    Parameters
    ----------
    name : str
        A baseline or a system that is fitted in one go, or several with + between them.
    baseline : bool
        Add all of `FLOORS` of its task, of which one is the floor; else the floor is sought among all rows.

    Raises
    ------
    InputError
        If one of them is neither: trained weights have seen scenes that folds would score.
    """
    members = member_names(name) or [name]
    accepted = sorted({*list_baselines(), *(each for each, system in SYSTEMS.items() if system.fitted)})
    for each in members:
        if each not in accepted:
            raise InputError(
                f"folds are for what is refitted for each ({', '.join(accepted)}); {each!r} is not, and weights would "
                "be scored on scenes that they were trained on: leave out --folds"
            )
    task = SYSTEMS[members[0]].task
    row: Floor = (name, {}) if len(members) == 1 else (f"ensemble-{task}", {"members": members})
    if not baseline:
        return {name: row}, [name]
    floors = FLOORS[task]
    known = [label for label, floor in floors.items() if floor == row]
    return ({} if known else {name: row}) | floors, list(floors)
