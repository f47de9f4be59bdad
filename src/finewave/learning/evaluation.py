"""Metrics of a model on the scenes of a dataset, by the protocol that its card states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from finewave.data.crops import Sample, Scene
from finewave.data.registry import SceneSource, get_dataset, open_scenes
from finewave.data.store import Store
from finewave.errors import InputError, unknown_name
from finewave.imaging.sensors import get_sensor
from finewave.learning.regression import QuadraticRegression
from finewave.metrics import MetricAccumulator
from finewave.models.pretrained import Model

BASELINE = "bicubic + quadratic regression"


def evaluate_model(
    model: Model,
    dataset: str,
    split: str = "test",
    *,
    baseline: bool = False,
    store: Store | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Score a model on whole scenes.

    Parameters
    ----------
    model : Model
        With a card: its sensor and degradation make the inputs.
    dataset : str
        Name, see `finewave.data.registry.list_datasets`.
    split : {"train", "val", "test"}
        Which scenes.
    baseline : bool
        Score `QuadraticRegression`, fitted on the training scenes, on the same images too.
    store : Store, optional
        A prepared dataset with a split of its own; by default the usual one, or the files in ``FINEWAVE_DATA``.
    progress : callable
        Called with a line for each image.

    Returns
    -------
    dict
        ``images`` (metrics by name), ``mean``, ``left_out`` (zero spectra, dark bands, invalid pixels), ``protocol``
        (what made the numbers), and with ``baseline`` its ``mean`` under ``"baseline"``.

    Raises
    ------
    InputError
        If scenes of the split are nowhere to be found, or the model does not fit its bands.
    """
    if model.card is None or model.card.sensor is None or model.card.degradation is None:
        raise InputError("only weights whose card names sensor and degradation can be evaluated on a dataset")
    known = get_dataset(dataset).SPLIT if store is None else store.attributes["split"]
    if split not in known:
        raise unknown_name("split", split, known)
    names = list(known[split])
    source = open_scenes(dataset, names) if store is None else store
    wavelengths, full_scale = source.wavelengths, float(source.attributes["full_scale"])
    bands = model.bands_of("hr_hsi")
    if bands != len(wavelengths):
        raise InputError(f"{model.name} makes {bands} bands; {dataset} has {len(wavelengths)}")
    response = get_sensor(model.card.sensor).response(wavelengths)
    degradation = {key: value for key, value in model.card.degradation.items() if key != "scale"}

    def sample(source: SceneSource, name: str) -> Sample:
        return Scene(name, source.read(name), full_scale, model.scale, degradation).whole(response)

    def scores(predict: Callable[[Sample], Tensor], label: str) -> Any:
        accumulator = MetricAccumulator(scale=model.scale)
        for name in names:
            image = sample(source, name)
            accumulator.update(predict(image), image["hr_hsi"], names=name)
            progress(f"{label}: {name}")
        return accumulator.compute()

    summary = scores(lambda image: model.predict(**{name: image[name] for name in model.inputs}), model.name)
    result: dict[str, Any] = {
        "model": model.name,
        "images": {row["name"]: {k: v for k, v in row.items() if k in summary.means} for row in summary.rows},
        "mean": summary.means,
        "left_out": summary.left_out,
        "protocol": {
            "dataset": dataset,
            "split": split,
            "images": "whole scenes",
            "scale": model.scale,
            "sensor": model.card.sensor,
            "degradation": degradation,
            "metrics": f"convention {summary.convention}, data range {summary.data_range:g}, mean over images",
            "scenes_sha256": {name: source.checksum(name) for name in names},
        },
    }
    if baseline:
        training = open_scenes(dataset, known["train"]) if store is None else store
        fitted = QuadraticRegression(sample(training, name) for name in known["train"])
        result["baseline"] = {"name": BASELINE, "mean": scores(fitted, BASELINE).means}
    return result
