"""An ensemble of models that are trained or fitted already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finewave.errors import InputError
from finewave.systems.ensembles.network import FROM_THE_WHOLE, Ensemble
from finewave.systems.registry import config_of, create_model, options_of
from finewave.zoo.card import describe
from finewave.zoo.model import Model
from finewave.zoo.observation_model import forward_operators

TASKS = ("ssr", "sr", "sssr", "fusion")
ENSEMBLES = tuple(f"ensemble-{task}" for task in TASKS)
AGREED = ("wavelengths_nm", "ms_bands", "sensor", "degradation")
"""Facts of cards that members must share, as far as they state them."""


def ensemble(*models: Model, consistent: bool = True, name: str = "ensemble", **weighting: Any) -> Model:
    """Return the mean of models of one task as one model, to be saved as one folder with one card.

    Parameters
    ----------
    *models : Model
        Two or more of a task `ssr`, `sr`, `sssr` or `fusion`, which keep their weights.
    consistent : bool
        Project the mean on the images consistent with the inputs, by the cards' observation model.
    name : str
        On the card, which names the members in its notes.
    **weighting
        For `ssr`: ``weights`` and ``half_at``, see `finewave.systems.ensembles.network.SpectralEnsemble`.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        A ``ValueError``, if a member has another task, scale, bands, sensor or degradation than the first; or
        ``consistent`` is set and the first card does not state the observation model.

    Examples
    --------
    >>> from finewave.systems.registry import create_model
    >>> members = [Model(create_model(name, scale=2, hs_bands=4)) for name in ("bicubic", "ibp")]
    >>> ensemble(*members, consistent=False)
    Model(ensemble: lr_hsi -> hr_hsi, scale 2)
    """
    if len(models) < 2:
        raise InputError(f"an ensemble has two or more models; given: {', '.join(m.name for m in models) or 'none'}")
    first = models[0]
    if first.task not in TASKS:
        raise InputError(f"{first.name} is a model for {first.task}; ensembles are for {', '.join(TASKS)}")
    for other in models[1:]:
        _check_fit(first, other)
    systems, options = [], []
    for model in models:
        system, config = config_of(model.net)
        systems.append(system)
        options.append({key: value for key, value in config.items() if key not in FROM_THE_WHOLE})
    facts = _facts(models)
    system = f"ensemble-{first.task}"
    whole: dict[str, Any] = {"ms_bands": first.net.ms_bands, "hs_bands": first.net.hs_bands, "scale": first.scale}
    if facts["degradation"] is not None:
        whole["degradation"] = {key: value for key, value in facts["degradation"].items() if key != "scale"}
    known = options_of(system)
    net = create_model(
        system,
        members=systems,
        options=options,
        consistent=consistent,
        **weighting,
        **{key: value for key, value in whole.items() if key in known},
    )
    assert isinstance(net, Ensemble)
    for member, model in zip(net.members, models, strict=True):
        member.load_state_dict(model.net.state_dict())
    net.eval()
    made = Model(net, describe(net, name=name, **facts))
    if consistent:
        for operator in forward_operators(made, "a consistent ensemble (leave that out: consistent=False)"):
            if operator.response is not None:
                net.set_response(operator.response)
        net.projection  # noqa: B018 - what cannot be made consistent shows here
    return made


def joined(members: list[str]) -> str:
    """Return the name of an ensemble by those of its members, of which some may be folders."""
    return "+".join(Path(member).name for member in members)[:200]


def _check_fit(first: Model, other: Model) -> None:
    """Refuse a member that is not like the first."""
    facts = (
        ("task", first.task, other.task),
        ("scale", first.scale, other.scale),
        ("number of MS bands", first.net.ms_bands, other.net.ms_bands),
        ("number of HS bands", first.net.hs_bands, other.net.hs_bands),
    )
    for what, one, two in facts:
        if one != two:
            raise InputError(f"{other.name} does not fit the ensemble: its {what} is {two}, that of {first.name} {one}")


def _facts(models: tuple[Model, ...]) -> dict[str, Any]:
    """Return the cards' common facts about inputs and output, on which they must agree."""
    facts: dict[str, Any] = {}
    for key in AGREED:
        facts[key], by = None, ""
        for model in models:
            value = getattr(model.card, key, None)
            if value is None:
                continue
            # a spectral network keeps the size, however the images of its card's figures were made
            binding = key != "degradation" or model.task != "ssr"
            if binding and facts[key] is not None and value != facts[key]:
                own, common = _short(value), _short(facts[key])
                raise InputError(
                    f"{model.name} does not fit the ensemble: {key} is {own} on its card, {common} on that of {by}"
                )
            facts[key], by = (value, model.name) if facts[key] is None else (facts[key], by)
    crops = {card.training_crop for model in models if (card := model.card) and card.training_crop}
    facts["training_crop"] = next(iter(crops)) if len(crops) == 1 else None  # windows of local pooling
    facts["ms_wavelengths_nm"] = next(
        (card.ms_wavelengths_nm for model in models if (card := model.card) and card.ms_wavelengths_nm), None
    )
    facts["notes"] = "mean of " + ", ".join(
        f"{model.name} (sha256 {(model.card.sha256[:12] if model.card else '') or 'not saved'})" for model in models
    )
    return facts


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
