"""The models that a page offers for uploads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from finewave.errors import InputError

if TYPE_CHECKING:
    from finewave.zoo.card import Card


@dataclass(frozen=True)
class OfferedModel:
    """A model of the list.

    Attributes
    ----------
    source : str
        Argument of `finewave.load_model`.
    label : str
        Name, input, scale and score, on one line.
    """

    source: str
    label: str


def offered_models(own: tuple[str, ...] = ()) -> dict[str, OfferedModel]:
    """Return the models with one input image, by name: bundled models and those of the user.

    Parameters
    ----------
    own : tuple of str
        Folders or files of weights, as `finewave.load_model` takes them.

    Raises
    ------
    InputError
        One of the user's is not a model, or needs two images.
    """
    from finewave.zoo.card import Card
    from finewave.zoo.distribution.bundled_weights import CARD, weight_folders

    shelf = {name: Card.read(folder / CARD) for name, folder in weight_folders().items()}
    # most uploads are photographs
    order = sorted(shelf, key=lambda name: (shelf[name].sensor != "srgb", name))
    offered = {
        name: OfferedModel(name, model_label(name, shelf[name])) for name in order if len(shelf[name].inputs) == 1
    }
    for each in own:
        from finewave.zoo.model import load_model

        model = load_model(each)
        if len(model.inputs) != 1:
            raise InputError(f"{each} needs {' and '.join(model.inputs)}; the page takes one image")
        label = model.name if model.card is None else model_label(model.name, model.card)
        offered[model.name] = OfferedModel(each, label)
    return offered


def model_label(name: str, card: Card) -> str:
    """Return what a user should know of a model to choose it: sensor, scale, bands and score."""
    sensor, _, bands = (card.sensor or "").partition(":")
    if sensor == "srgb":
        sensor = "an sRGB photograph"
    elif bands:
        sensor += f" ({bands.count(',') + 1} bands)"
    if card.task == "sr":
        sensor = ""  # its input has the bands of its output
    wavelengths = card.wavelengths_nm
    made = f"{len(wavelengths)} bands, {min(wavelengths):g}–{max(wavelengths):g} nm" if wavelengths else ""
    finer = f"{card.scale} × finer" if card.scale > 1 else "same pixels"
    facts = [f"from {sensor}" if sensor else "", finer, made, card.main_score]
    return f"{name}: {'; '.join(filter(None, facts))}"
