"""A composition of parts that are trained already."""

from __future__ import annotations

from typing import Any

from finewave.errors import InputError, unknown_name
from finewave.systems.base import SRNetwork
from finewave.systems.compositions.networks import PROTOCOL, Composition
from finewave.systems.registry import SYSTEMS, config_of, create_model, options_of, system_named
from finewave.zoo.card import describe
from finewave.zoo.model import Model


def compositions() -> list[str]:
    """Return the names of the compositions."""
    return [name for name, system in SYSTEMS.items() if system.module == Composition.__module__]


def compose(name: str, **parts: Model) -> Model:
    """Build a composition from models, which keep their weights.

    Parameters
    ----------
    name : {"sr-ssr", "ssr-sr", "sr-ssr-fusion"}
        Composition.
    **parts : Model
        ``sr=``, ``ssr=``, ``fusion=``, from `load_model` for instance.

    Returns
    -------
    Model
        One network, to be saved as one folder with one card. The card has sensor, wavelengths and degradation from
        the parts' cards, and names them in its notes.

    Raises
    ------
    InputError
        A ``ValueError``, if a part is missing or does not fit its task or the others' bands, scale, sensor or
        wavelengths; both sides are named.

    Examples
    --------
    >>> from finewave.systems.registry import create_model
    >>> sr = Model(create_model("bicubic", scale=2, hs_bands=3))
    >>> ssr = Model(create_model("ridge", ms_bands=3, hs_bands=31))
    >>> compose("sr-ssr", sr=sr, ssr=ssr)
    Model(sr-ssr: lr_msi -> hr_hsi, scale 2)
    """
    if name not in compositions():
        raise unknown_name("composition", name, compositions())
    kind = system_named(name).load()
    assert issubclass(kind, Composition)
    part_names = [step.part for step in kind.steps]
    for part in parts:
        if part not in part_names:
            raise unknown_name(f"part of {name}", part, part_names)
    for part in part_names:
        if part not in parts:
            raise InputError(f"{name} needs the part {part}; given: {', '.join(parts) or 'none'}")
        if parts[part].task != part:
            raise InputError(
                f"{parts[part].name} is a model for {parts[part].task}; the part {part} of {name} is needed"
            )
    whole = _agreed(kind, name, parts)
    options: dict[str, Any] = {}
    for part, model in parts.items():
        system, config = config_of(model.net)
        options[part] = system
        options[f"{part}_options"] = {key: value for key, value in config.items() if key not in PROTOCOL}
    net = create_model(name, **whole, **options)
    for part, model in parts.items():
        net.part(part).load_state_dict(model.net.state_dict())
    return Model(net.eval(), _card(net, name, parts))


def _agreed(kind: type[Composition], name: str, parts: dict[str, Model]) -> dict[str, int]:
    """Return scale and band counts of the composition, on which all parts must agree."""
    stated: dict[str, tuple[int, str]] = {}

    def agree(quantity: str, value: int, source: str) -> None:
        before, by = stated.setdefault(quantity, (value, source))
        if before != value:
            raise InputError(f"{name}: {quantity} is {before} for {by}, but {value} for {source}")

    for step in kind.steps:
        model = parts[step.part]
        origin = f"{step.part} ({model.name})"
        system, _ = config_of(model.net)
        if "scale" in options_of(system):
            agree("scale", model.scale, origin)
        for own, image in {**step.reads, model.output: step.makes}.items():
            bands = model.bands_of(own)
            if bands is not None:
                agree("ms_bands" if image.endswith("msi") else "hs_bands", bands, origin)
    return {key: value for key, (value, _) in stated.items()}


def _card(net: SRNetwork, name: str, parts: dict[str, Model]) -> Any:
    """Return the composition's card, with the facts on which the parts' cards agree."""
    cards = {part: model.card for part, model in parts.items() if model.card is not None and not model.untrained}
    if len(cards) < len(parts):
        return None
    facts: dict[str, Any] = {}
    for key in ("sensor", "ms_bands", "ms_wavelengths_nm"):
        facts[key] = _same(name, key, {part: getattr(card, key) for part, card in cards.items()})
    # a spatial network before the spectral one works on the sensor's bands
    makers = {part: card for part, card in cards.items() if not (part == "sr" and name != "ssr-sr")}
    facts["wavelengths_nm"] = _same(name, "wavelengths_nm", {part: c.wavelengths_nm for part, c in makers.items()})
    spatial = {part: card.degradation for part, card in cards.items() if part != "ssr"}
    facts["degradation"] = _same(name, "degradation", spatial)
    facts["licence"] = next(iter(licences)) if len(licences := {card.licence for card in cards.values()}) == 1 else None
    facts["notes"] = "composed of " + ", ".join(
        f"{part}: {card.name} (sha256 {card.sha256[:12] or 'not saved'})" for part, card in cards.items()
    )
    return describe(net, name=name, **facts)


def _same(name: str, key: str, values: dict[str, Any]) -> Any:
    """Return the value that all parts who know it have."""
    known = {part: value for part, value in values.items() if value is not None}
    for part, value in known.items():
        first = next(iter(known))
        if value != known[first]:
            raise InputError(f"{name}: {key} is {known[first]} for {first}, but {value} for {part}")
    return next(iter(known.values()), None)
