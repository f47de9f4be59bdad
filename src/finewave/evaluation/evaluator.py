"""Metrics of a model on the scenes of a dataset, by the protocol that its card states."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from finewave.datasets.patches import Sample
from finewave.datasets.registry import get_dataset, known_split, open_scenes, sensor_of
from finewave.datasets.store import Store
from finewave.datasets.synthetic_views import DEFAULTS as REFERENCE_DEFAULTS
from finewave.errors import InputError, unknown_name
from finewave.evaluation.baselines import FLOORS, BaselineBuilder, Floor, best_of, list_baselines
from finewave.evaluation.scorer import Names, Scorer
from finewave.evaluation.whole_scenes import REFERENCE, WholeScenes
from finewave.metrics import Summary
from finewave.physics.sensors import get_sensor
from finewave.zoo.model import Model


def evaluate_model(
    model: Model,
    dataset: str,
    split: str = "test",
    *,
    baseline: bool = False,
    floors: Mapping[str, Floor] | None = None,
    store: Store | None = None,
    precision: str = "float32",
    pooling: str = "image",
    progress: Callable[[str], None] = lambda line: None,
    count: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Score a model on whole scenes.

    Parameters
    ----------
    model : Model
        With a card: its sensor and degradation make the inputs.
    dataset : str
        Name, see `finewave.datasets.registry.list_datasets`.
    split : {"train", "val", "test"}
        Which scenes.
    baseline : bool
        Also score the task's baselines on the same images, see `FLOORS`.
    floors : mapping, optional
        Other baselines: system and options by name.
    store : Store, optional
        Store of the prepared data set; by default the standard one, or the files in ``FINEWAVE_DATA``.
    precision : {"float32", "bfloat16", "auto"}
        Precision of inner features, see `Model`; float32 by default, so that results do not depend on the machine.
    pooling : {"image", "local"}
        Region of the means in channel attention, see `Model`.
    progress : callable
        Called with a line for each image.
    count : callable
        Called with the images that are scored and their number, those of the baselines included.

    Returns
    -------
    dict
        ``images`` (metrics by name), ``mean``, ``left_out`` (zero spectra, dark bands, invalid pixels), ``protocol``
        (what made the numbers), and with ``baseline`` the means of all of them by name under
        ``"baselines"``, and ``name`` and ``mean`` of the one with the highest PSNR under ``"baseline"``.

    Raises
    ------
    InputError
        If scenes of the split are nowhere to be found, or the model does not fit its bands.
    """
    model = model.with_precision(precision).with_pooling(pooling)
    measured = None if model.card is None else model.card.measured_msi
    spectral = any(name.endswith("_msi") for name in model.inputs)
    if model.card is None or model.card.degradation is None or (spectral and not (model.card.sensor or measured)):
        raise InputError("only weights whose card names sensor and degradation can be evaluated on a dataset")
    known = known_split(dataset) if store is None else store.attributes["split"]
    if split not in known:
        raise unknown_name("split", split, known)
    names = list(known[split])
    if not names:
        raise InputError(f"dataset {dataset} has no scenes for {split}; others: {_filled(known)}")
    source = open_scenes(dataset, names) if store is None else store
    wavelengths = source.wavelengths
    bands = model.bands_of("hr_hsi")
    if bands not in (None, len(wavelengths)):  # None: of any number
        raise InputError(f"{model.name} makes {bands} bands; {dataset} has {len(wavelengths)}")
    # of measured multispectral images no response is needed
    nothing = np.empty((0, len(wavelengths)))
    response = nothing if model.card.sensor is None else get_sensor(model.card.sensor).response(wavelengths)
    degradation = {key: value for key, value in model.card.degradation.items() if key != "scale"}
    if measured is not None and measured not in source.companions:
        raise InputError(f"{model.name} was trained on measured images ({measured}), which {dataset} does not have")

    reference = reference_options(model)
    scenes = WholeScenes(source, response, model.scale, degradation, measured, reference)
    paired = REFERENCE in source.companions

    floors = (floors or FLOORS[model.task]) if baseline else {}
    all_images, done = len(names) * (1 + len(floors)), itertools.count(1)

    def scores(scored: Model, label: str) -> Summary:
        def note(name: Names) -> None:
            progress(f"{label}: {name}")
            count(next(done), all_images)

        return Scorer(partial(_compared, scored), model.scale).over(scenes.samples(names), note)

    summary = scores(model, model.name)
    result: dict[str, Any] = {
        "model": model.name,
        "images": summary.by_image,
        "mean": summary.means,
        "left_out": summary.left_out,
        "protocol": {
            "dataset": dataset,
            "split": split,
            "images": "whole scenes",
            "scale": model.scale,
            "sensor": model.card.sensor,
            **({} if measured is None else {"msi": measured}),
            "degradation": degradation,
            "precision": precision,
            "pooling": pooling,
            **({} if reference is None else {"reference": {"measured": REFERENCE} if paired else reference}),
            "metrics": f"convention {summary.convention}, data range {summary.data_range:g}, mean over images",
            "scenes_sha256": {name: source.checksum(name) for name in names},
        },
    }
    if baseline:

        def training() -> Iterable[Sample]:
            train = replace(scenes, source=open_scenes(dataset, known["train"]) if store is None else store)
            return (train.sample(name) for name in known["train"])

        builder = BaselineBuilder(
            wavelengths=wavelengths,
            sensor=model.card.sensor,
            ms_bands=model.card.ms_bands,
            scale=model.scale,
            degradation=degradation,
            samples=training,
        )
        means = {
            label: scores(builder.build(system, **options), label).means for label, (system, options) in floors.items()
        }
        best = best_of(means)
        result["baseline"] = {"name": best, "mean": means[best]}
        result["baselines"] = means
    return result


def with_scores(model: Model, store: Store, floors: Mapping[str, Floor] | None = None) -> Model:
    """Return a model whose card has its scores on the validation scenes of a store, and the baselines' beside them."""
    assert model.card is not None
    dataset = store.attributes["dataset"]
    scores = evaluate_model(model, dataset, "val", baseline=True, floors=floors, store=store)
    metrics = {f"{dataset}/val": {key: value for key, value in scores.items() if key not in ("model", "images")}}
    return Model(model.net, replace(model.card, metrics=metrics))


def baseline_for(
    system: str,
    dataset: str,
    *,
    scale: int = 4,
    sensor: str | None = None,
    degradation: dict[str, Any] | None = None,
    store: Store | None = None,
) -> Model:
    """Return a baseline by name, fitted on the training scenes of a dataset where it has coefficients.

    Parameters
    ----------
    system : str
        One of `finewave.evaluation.baselines.list_baselines`.
    dataset : str
        See `evaluate_model`.
    scale : int
        s; a spectral baseline keeps the size whatever it is.
    sensor : str, optional
        Whose multispectral bands; by default the dataset's.
    degradation : dict, optional
        Keyword arguments of `degrade` that make the LR images; by default its Gaussian of FWHM s.
    store : Store, optional
        See `evaluate_model`.

    Returns
    -------
    Model
        With a card, so that `evaluate_model` scores it like any other.
    """
    if system not in list_baselines():
        raise unknown_name("baseline", system, list_baselines())
    described = get_dataset(dataset)
    known = known_split(dataset) if store is None else store.attributes["split"]
    wavelengths = described.wavelengths if store is None else store.wavelengths
    sensor = sensor or sensor_of(described)
    response = get_sensor(sensor).response(wavelengths)
    options = {"kernel": "gaussian"} if degradation is None else degradation

    def training() -> Iterable[Sample]:
        source = open_scenes(dataset, known["train"]) if store is None else store
        # a spectral baseline is fitted to the HR pair, which no degradation touches
        scenes = WholeScenes(source, response, 1, {})
        return (scenes.sample(name) for name in known["train"])

    builder = BaselineBuilder(
        wavelengths=wavelengths, sensor=sensor, scale=scale, degradation=options, samples=training
    )
    return builder.build(system)


def _filled(split: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(part for part, names in split.items() if names)


def _compared(model: Model, image: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    return model.predict(**{name: image[name] for name in model.inputs}), image["hr_hsi"]


def reference_options(model: Model) -> dict[str, Any] | None:
    """Return all options of the synthetic reference: those that the model was trained with, by its card."""
    if REFERENCE not in model.inputs:
        return None
    return {**REFERENCE_DEFAULTS, **((model.card.reference if model.card is not None else None) or {})}
