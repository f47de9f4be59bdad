"""Metrics of a model on the scenes of a dataset, by the protocol that its card states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from finewave.data.crops import Sample, Scene
from finewave.data.registry import get_dataset, open_dataset
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
        The prepared dataset; by default the usual one.
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
        If the dataset lacks the split's scenes, or the model does not fit its bands.
    """
    if model.card is None or model.card.sensor is None or model.card.degradation is None:
        raise InputError("only weights whose card names sensor and degradation can be evaluated on a dataset")
    known = get_dataset(dataset).SPLIT if store is None else store.attributes["split"]
    if split not in known:
        raise unknown_name("split", split, known)
    store = store or open_dataset(dataset)
    names = [name for name in known[split] if name in store]
    missing = [name for name in known[split] if name not in store]
    if missing:
        raise InputError(
            f"{dataset} at {store.path} lacks {len(missing)} scenes of the {split} split ({', '.join(missing)}); "
            f"run finewave data prepare {dataset} --from a folder that has them"
        )
    bands = model.bands_of("hr_hsi")
    if bands != len(store.wavelengths):
        raise InputError(f"{model.name} makes {bands} bands; {dataset} has {len(store.wavelengths)}")
    response = get_sensor(model.card.sensor).response(store.wavelengths)
    degradation = {key: value for key, value in model.card.degradation.items() if key != "scale"}

    def sample(name: str) -> Sample:
        full_scale = float(store.attributes["full_scale"])
        return Scene(name, store.read(name), full_scale, model.scale, degradation).whole(response)

    def scores(predict: Callable[[Sample], Tensor], label: str) -> Any:
        accumulator = MetricAccumulator(scale=model.scale)
        for name in names:
            image = sample(name)
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
            "scenes_sha256": {name: store.attributes["sha256"][name] for name in names},
        },
    }
    if baseline:
        fitted = QuadraticRegression(sample(name) for name in known["train"] if name in store)
        result["baseline"] = {"name": BASELINE, "mean": scores(fitted, BASELINE).means}
    return result
