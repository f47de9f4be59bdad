"""Models by name for a data set: trained ones, baselines fitted to its training scenes, ensembles of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finewave.errors import InputError
from finewave.evaluation.baselines import list_baselines
from finewave.evaluation.evaluator import baseline_for
from finewave.systems.registry import SYSTEMS
from finewave.zoo.ensemble import ensemble, joined
from finewave.zoo.model import Model, load_model
from finewave.zoo.names import member_names


def model_named(name: str | Path, dataset: str, **options: Any) -> Model:
    """Return a model by name.

    Parameters
    ----------
    name : str or Path
        As for `load_model`; a baseline; or several of them with + between them, for their ensemble.
    dataset : str
        Data set to whose training scenes baselines are fitted.
    **options
        ``scale``, ``sensor`` and ``degradation`` of `baseline_for`, for baselines. Of an ensemble with trained members
        they are theirs.

    Raises
    ------
    InputError
        As `load_model`, `baseline_for` and `finewave.zoo.ensemble.ensemble`; or options are given and there is no
        baseline.
    """
    members = member_names(name) or [str(name)]
    trained = {each: load_model(each) for each in members if each not in list_baselines()}
    if options and len(trained) == len(members):
        raise InputError(f"--scale, --sensor and --kernel are for baselines; the card of {name} says them")
    for model in trained.values():
        options = {**_protocol_of(model), **options}
    models = [trained[each] if each in trained else _baseline(each, dataset, options) for each in members]
    return ensemble(*models, name=joined(members)) if len(models) > 1 else models[0]


def _baseline(name: str, dataset: str, options: dict[str, Any]) -> Model:
    if SYSTEMS[name].task == "ssr":  # keeps the size
        options = {key: value for key, value in options.items() if key == "sensor"}
    return baseline_for(name, dataset, **options)


def _protocol_of(model: Model) -> dict[str, Any]:
    """Return the options of `baseline_for` that a trained model's card states."""
    if model.card is None:
        return {}
    degradation = model.card.degradation
    blur = None if degradation is None else {key: value for key, value in degradation.items() if key != "scale"}
    stated = {"sensor": model.card.sensor, "degradation": blur, "scale": model.scale if model.scale > 1 else None}
    return {key: value for key, value in stated.items() if value is not None}
