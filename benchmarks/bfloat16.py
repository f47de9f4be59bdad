"""What bfloat16 changes of the shipped models' figures: ``python -m benchmarks.bfloat16 [MODEL ...] [--write]``.

Measured on the middles of the validation scenes of the card's data set in ``FINEWAVE_DATA``; with ``--write`` the
differences go into the cards in ``weights/``, by which ``precision="auto"`` decides. Processor time is printed beside
them: on a processor without instructions for bfloat16 it tells nothing of one that has them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.command_line import names_and_flags
from finewave.datasets.registry import SceneSource, known_split, open_scenes
from finewave.evaluation.evaluator import reference_options
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.metrics import evaluate
from finewave.physics.sensors import get_sensor
from finewave.zoo.card import Card
from finewave.zoo.distribution.bundled_weights import CARD
from finewave.zoo.model import Model, load_model
from finewave.zoo.precision import MOST_LOST, keeps_its_digits

MODELS = (
    "awan-cave",
    "jssunet-cave-x2",
    "jssunet-cave-x4",
    "jssunet-cave-x8",
    "jssunet-photo-x4",
    "mstpp-cave",
    "sspsr-cave-x4",
)
SIDE = 256
"""Of the middle of each scene, in pixels."""


def pairs(
    model: Model, split: str = "val", *, side: int = SIDE, most: int = 6
) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """Yield the model's inputs by name and the HR-HSI (C, H, W) of the middles of scenes, made as its card says.

    Parameters
    ----------
    model : Model
        With a card; the data set is that of its scores.
    split : {"val", "train"}
        Which scenes.
    side : int
        Of the HR-HSI, in pixels.
    most : int
        How many scenes at most.
    """
    card = model.card
    assert card is not None
    assert card.metrics is not None
    assert card.degradation is not None
    dataset = next(iter(card.metrics)).partition("/")[0]
    names = known_split(dataset)[split][:most]
    source = _Middles(open_scenes(dataset, names), side)
    bands = source.wavelengths
    response = np.empty((0, len(bands))) if card.sensor is None else get_sensor(card.sensor).response(bands)
    degradation = {key: value for key, value in card.degradation.items() if key != "scale"}
    # a source without what only stores and their checks ask for: attributes, checksums, membership
    scenes = WholeScenes(source, response, model.scale, degradation, reference=reference_options(model))  # type: ignore[arg-type]
    for _, sample in scenes.samples(names):
        yield {name: sample[name] for name in model.inputs}, sample["hr_hsi"][0]


class _Middles:
    """Scenes of a source, of which the middle is read; what is smaller continues as in a mirror."""

    def __init__(self, source: SceneSource, side: int) -> None:
        self.source, self.side = source, side
        self.wavelengths, self.companions = source.wavelengths, list[str]()
        self.full_scale = source.full_scale

    def read(self, name: str) -> np.ndarray:
        """Return a square of a scene, as stored."""
        whole, side = self.source.read(name), self.side
        more = [max(0, side - n) for n in whole.shape[1:]]
        whole = np.pad(whole, ((0, 0), *((n // 2, n - n // 2) for n in more)), mode="symmetric")
        top, left = ((n - side) // 2 for n in whole.shape[1:])
        return whole[:, top : top + side, left : left + side]


def scores(model: Model) -> tuple[dict[str, float], float]:
    """Return the mean of each metric over the scenes, and processor seconds of the network."""
    seconds, rows = 0.0, list[dict[str, float]]()
    for images, truth in pairs(model):
        if not rows:
            model.run(images)  # what is prepared at first use is not counted
        start = time.process_time()
        output = model.run(images)
        seconds += time.process_time() - start
        rows.append(evaluate(output[0], truth, scale=model.scale))
    return {metric: float(np.mean([row[metric] for row in rows])) for metric in MOST_LOST}, seconds


def main(arguments: list[str]) -> None:
    """Print, and write if asked to, what bfloat16 changes."""
    weights = Path(__file__).parents[1] / "weights"
    for name in [each for each in arguments if each != "--write"] or MODELS:
        (single, full), (mixed, half) = (scores(load_model(name, precision=p)) for p in ("float32", "bfloat16"))
        changes = {metric: round(mixed[metric] - single[metric], 5) for metric in MOST_LOST}
        kept = "used" if keeps_its_digits(changes) else "not used"
        print(f"{name}: {changes}, {kept}; {full:.2f} s in float32, {half:.2f} s in bfloat16", flush=True)
        if "--write" in arguments:
            card = Card.read(weights / name / CARD).with_facts(bfloat16=changes)
            (weights / name / CARD).write_text(card.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main(names_and_flags(__doc__, "--write", names="MODEL"))
