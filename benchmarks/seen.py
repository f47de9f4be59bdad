"""Which pixels the shipped models were trained on: ``python -m benchmarks.seen [MODEL ...] [--write]``.

For cards of trainings that did not store it yet. The training scenes of CAVE in ``FINEWAVE_DATA`` are degraded as the
card says; with ``--write`` a description of their pixels goes into the cards in ``weights/``, and quality files and
warnings go by it. Printed is which part of each validation scene's pixels is unlike them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.command_line import names_and_flags
from finewave.datasets.patches import Sample
from finewave.datasets.registry import open_scenes
from finewave.errors import InputError
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.physics.sensors import get_sensor
from finewave.training.seen_pixels import seen_pixels
from finewave.zoo.card import Card
from finewave.zoo.distribution.bundled_weights import CARD
from finewave.zoo.model import Model, load_model
from finewave.zoo.seen import SeenPixels

MODELS = (
    "awan-cave",
    "jssunet-cave-x2",
    "jssunet-cave-x4",
    "jssunet-cave-x8",
    "jssunet-photo-x4",
    "mstpp-cave",
    "residual-fusion-cave-x4",
    "residual-fusion-cave-x8",
    "sschsr-cave-x4",
    "sspsr-cave-x4",
)


def scenes_of(model: Model, card: Card, part: str) -> Iterator[tuple[str, Sample]]:
    """Yield the scenes of a part of the card's split with their degraded versions."""
    if card.sensor is None or card.degradation is None or card.data is None:
        raise InputError(f"{model.name}: its card does not name sensor, degradation and data")
    names = list(card.data["split"][part])
    source = open_scenes(card.data["dataset"], names)
    degradation = {key: value for key, value in card.degradation.items() if key != "scale"}
    response = get_sensor(card.sensor).response(source.wavelengths)
    return WholeScenes(source, response, model.scale, degradation).samples(names)


def main(arguments: list[str]) -> None:
    """Print, and write if asked to, what was seen."""
    weights = Path(__file__).parents[1] / "weights"
    for name in [each for each in arguments if each != "--write"] or MODELS:
        model, card = load_model(name), Card.read(weights / name / CARD)
        seen = seen_pixels(model.net, (scene for _, scene in scenes_of(model, card, "train")))
        if seen is None:
            raise InputError(f"{name} takes images of any bands; it has no pixels that all scenes are like")
        first = model.inputs[0]
        unlike = ", ".join(
            f"{scene} {SeenPixels.from_card(seen).unlike(images[first][0].numpy()).mean():.2%}"
            for scene, images in scenes_of(model, card, "val")
        )
        print(f"{name}: limit {seen['limit']}; unlike: {unlike}", flush=True)
        if "--write" in arguments:
            changed = card.with_facts(data={**(card.data or {}), "seen": seen})
            (weights / name / CARD).write_text(changed.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main(names_and_flags(__doc__, "--write", names="MODEL"))
