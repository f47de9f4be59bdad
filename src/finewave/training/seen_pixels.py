"""What the card of a trained network says of the pixels that it was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from finewave.datasets.patches import Sample
from finewave.systems.base import SRNetwork
from finewave.zoo.seen import SeenPixels

_PIXELS = 20_000  # of a scene, about


def seen_pixels(net: SRNetwork, scenes: Iterable[Sample]) -> dict[str, Any] | None:
    """Return the description of the training pixels of a network's first input.

    Parameters
    ----------
    net : SRNetwork
    scenes : iterable of dict
        The training scenes, whole, as `finewave.datasets.patches.DegradedScene.whole` makes them.

    Returns
    -------
    dict or None
        See `finewave.zoo.seen.SeenPixels.to_card`. None for networks that take images of any bands, and where no pixel
        has a value.
    """
    first = net.inputs[0]
    if net.band_by_band or (net.ms_bands if first.endswith("msi") else net.hs_bands) is None:
        return None
    images = (scene[first][0] for scene in scenes)
    pixels = np.concatenate([image.flatten(1).T.numpy()[:: max(1, image[0].numel() // _PIXELS)] for image in images])
    return SeenPixels.of(pixels).to_card() if np.isfinite(pixels).all(1).any() else None
