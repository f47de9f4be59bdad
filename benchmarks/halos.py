"""What each of the shipped models has to see around a tile: ``python -m benchmarks.halos [MODEL ...] [--write]``.

Measured on CAVE's validation scenes in ``FINEWAVE_DATA``, in the middle of each, at full resolution; a hyperspectral
image that is fused with a sharper one is made of it by the card's degradation. With ``--write`` the halos go into the
cards in ``weights/``; ``--check`` looks for none, but prints by how much those of the card change each scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.command_line import names_and_flags
from finewave.datasets.registry import open_scenes
from finewave.inference.tiling.plan import halos_of
from finewave.inference.tiling.smallest_halos import difference_of, smallest_halos
from finewave.physics.degradation import degrade
from finewave.zoo.card import Card
from finewave.zoo.distribution.bundled_weights import CARD
from finewave.zoo.model import Model, load_model

SCENES = ("balloons", "beads", "cloth", "fake_and_real_food", "jelly_beans", "pompoms")
MODELS = (
    "jssunet-cave-x2",
    "jssunet-cave-x4",
    "jssunet-cave-x8",
    "jssunet-photo-x4",
    "sspsr-cave-x4",
    "residual-sr-cave-x2",
    "residual-sr-cave-x4",
    "residual-sr-cave-x8",
    "residual-sr-photo-x4",
    "bandwise-sr-any-x2",
    "bandwise-sr-any-x4",
    "residual-fusion-cave-x4",
    "residual-fusion-cave-x8",
)
"""Those whose tiles can be exact."""
CORE = 32
"""Side of the tile measured on, in pixels of the first input."""


def windows(model: Model, side: int) -> Iterator[dict[str, Tensor]]:
    """Yield a window of each scene as the model's inputs: as the hyperspectral camera sees it, or another sensor.

    Where it is larger than the scene it goes on as in a mirror.
    """
    fused = len(model.inputs) > 1
    finer = model.scale if fused else 1
    degradation = {} if model.card is None or model.card.degradation is None else dict(model.card.degradation)
    degradation.pop("scale", None)
    source = open_scenes("cave", SCENES)
    for scene in SCENES:
        whole = source.read(scene)
        more = [max(0, side * finer - n) for n in whole.shape[1:]]
        whole = np.pad(whole, ((0, 0), *((n - n // 2, n // 2) for n in more)), mode="symmetric")
        top, left = ((n - side * finer) // 2 for n in whole.shape[1:])
        values = whole[:, top : top + side * finer, left : left + side * finer].astype(np.float32)
        image = torch.from_numpy(values / source.full_scale(scene))
        images = {}
        for name in model.inputs:
            each = image
            if name.endswith("msi"):
                sensor = "nikon-d5100" if model.card is None else model.card.sensor
                each = degrade(each, 1, sensor=sensor, wavelengths=source.wavelengths)
            if fused and name.startswith("lr_"):
                each = degrade(each, finer, **degradation)
            images[name] = each[None]
        yield images


def main(arguments: list[str]) -> None:
    """Print, and write if asked to, the halos of models."""
    weights = Path(__file__).parents[1] / "weights"
    for name in [each for each in arguments if not each.startswith("--")] or MODELS:
        model = load_model(name, precision="float32").with_pooling("local")
        assert model.reach is not None, f"{name} looks at the whole image"
        if "--check" in arguments:
            halos_of_card = halos_of(model, "auto", CORE)
            images = windows(model, CORE + 2 * model.reach)
            changes = (f"{difference_of(model, each, halos_of_card, CORE):.1e}" for each in images)
            for scene, change in zip(SCENES, changes, strict=True):
                print(name, halos_of_card, scene, change, flush=True)
            continue
        halos = smallest_halos(model, windows(model, CORE + 2 * model.reach), CORE)
        print(name, halos, "exact:", {stage.name: stage.halo for stage in model.tile_stages}, flush=True)
        if "--write" in arguments:
            card = Card.read(weights / name / CARD)
            card = card.with_facts(halos=halos, receptive_field=model.receptive_field)
            (weights / name / CARD).write_text(card.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main(names_and_flags(__doc__, "--write", "--check", names="MODEL"))
