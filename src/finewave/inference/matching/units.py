"""Units and levels of a scene that are not those of a model's training: what was found, and what its card expects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finewave.zoo.runnable import RunnableModel

_KINDS = (
    (5.0, "glint, clouds or radiance", "nothing to do where few pixels are so bright; of radiance, "),
    (150.0, "reflectance in percent, or radiance,", "divide percent by 100 (--full-scale 100); of radiance, "),
    (1000.0, "digital numbers or radiance", ""),
    (20000.0, "reflectance times 10000, or digital numbers,", "divide by 10000 (--full-scale 10000); of numbers, "),
    (float("inf"), "digital numbers", ""),
)
"""Largest values in units of the range, what has such, and what to do about the first of them."""
_ANY = "give a product of reflectance, or divide by the number that stands for 1.0 (--full-scale, full_scale=)"


def out_of_range(largest: float, model: RunnableModel) -> str:
    """Return what to say of a scene whose values reach ``largest``, far beyond the model's range."""
    low, high = model.card.value_range if model.card is not None else (0.0, 1.0)
    reached = (largest - low) / (high - low)
    kind, remedy = next((kind, remedy) for limit, kind, remedy in _KINDS if reached <= limit)
    return f"the scene's values reach {largest:g}, as {kind} may; {_trained_on(model)}: {remedy}{_ANY}"


def another_quantity(given: Any, model: RunnableModel) -> str | None:
    """Return what to say of a scene that holds the quantity ``given``; None if the model was trained on such."""
    learned = model.data_facts.get("quantity")
    is_trained = learned or (model.data_facts and is_radiance(given))  # a baseline takes any quantity
    if not given or not is_trained or _level(given) == _level(learned):
        return None
    remedy = f"a product of {learned or 'reflectance'} (of Sentinel-2 and Landsat: level 2)"
    return f"the scene holds {given}; {_trained_on(model)}: expect wrong spectra, or give it {remedy}"


def is_other_quantity(given: Any, learned: Any) -> bool:
    """Return whether two quantities are of different levels: radiance, or reflectance above or below the atmosphere."""
    return _level(given) != _level(learned)


def is_radiance(quantity: Any) -> bool:
    """Return whether a quantity is radiance; one that is not stated is taken for reflectance."""
    return re.search(r"\bradiance\b", str(quantity).casefold()) is not None


def _level(quantity: Any) -> str:
    if is_radiance(quantity):
        return "radiance"
    return "top" if re.search(r"\btop[- ]of\b|\btoa\b", str(quantity).casefold()) else "surface"


def _trained_on(model: RunnableModel) -> str:
    low, high = model.card.value_range if model.card is not None else (0.0, 1.0)
    quantity = model.data_facts.get("quantity")
    return f"{model.name} was trained on {f'{quantity}, ' if quantity else ''}{low:g} to {high:g}"
