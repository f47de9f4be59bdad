"""Networks as Deepness runs them, the plugin of QGIS for networks in ONNX: tiles of a layer in, tiles out.

What the plugin does was read from its source (PUTvision/qgis-plugin-deepness): it cuts a layer into square tiles of one
size, divides their numbers by 255 whatever their type, hands over the first bands, and lays the output's tiles edge on
edge: they do not overlap. It reads facts about a network from the file's metadata, each value as JSON.
"""

from __future__ import annotations

import json

from torch import Tensor, nn, where

from finewave.errors import InputError
from finewave.zoo.card import Card
from finewave.zoo.model import Model

INPUT = "image"
DIVISOR = 255.0


class DeepnessNetwork(nn.Module):
    """A network with an input adapter for Deepness.

    Parameters
    ----------
    net : nn.Module
        With one input.
    name : str
        Of its input.
    full_scale : float
        The layer's number that represents 1.
    srgb : bool
        Whether the layer's numbers are those of a photograph, on sRGB's curve.
    """

    def __init__(self, net: nn.Module, name: str, full_scale: float, srgb: bool) -> None:
        super().__init__()
        self.net, self.name, self.factor, self.srgb = net, name, DIVISOR / full_scale, srgb

    def forward(self, image: Tensor) -> Tensor:
        """Return the output for a tile (1, bands, T, T) of the layer's numbers divided by 255."""
        x = image * self.factor
        if self.srgb:  # IEC 61966-2-1
            x = where(x <= 0.04045, x / 12.92, ((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)
        output: Tensor = self.net(**{self.name: x})
        return output


def for_deepness(model: Model, net: nn.Module, full_scale: float | None) -> DeepnessNetwork:
    """Return a network as Deepness runs it.

    Parameters
    ----------
    model : Model
    net : nn.Module
        Its network, ready for the export.
    full_scale : float, optional
        The layer's number that represents 1; default 255.

    Raises
    ------
    InputError
        If the network takes more than one image, or the scale is not positive.
    """
    if len(model.inputs) != 1:
        raise InputError(f"Deepness hands over one layer; {model.name} takes {' and '.join(model.inputs)}")
    if full_scale is not None and not full_scale > 0:
        raise InputError(f"full_scale={full_scale:g} is out of range; it must be positive")
    srgb = model.card is not None and model.card.sensor == "srgb"
    return DeepnessNetwork(net, model.inputs[0], full_scale or DIVISOR, srgb)


def deepness_metadata(card: Card, tile: int) -> dict[str, str]:
    """Return the metadata for the plugin: kind of network, tile size and names of the output bands."""
    facts: dict[str, object] = {"model_type": "Superresolution", "tile_size": tile, "tiles_overlap": 0}
    if card.wavelengths_nm is not None:
        facts["class_names"] = {str(i): f"{nm:g} nm" for i, nm in enumerate(card.wavelengths_nm)}
    return {key: json.dumps(value) for key, value in facts.items()}
