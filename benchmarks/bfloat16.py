"""What bfloat16 changes of the shipped models' figures: ``python -m benchmarks.bfloat16 [MODEL ...] [--write]``.

Measured on the middles of CAVE's validation scenes in ``FINEWAVE_DATA``; with ``--write`` the differences go into the
cards in ``weights/``, by which ``precision="auto"`` decides. Processor time is printed beside them: on a processor
without instructions for bfloat16 it tells nothing of one that has them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.command_line import names_and_flags
from benchmarks.halos import SCENES
from finewave.datasets.registry import open_scenes
from finewave.metrics import evaluate
from finewave.physics.degradation import degrade
from finewave.zoo.card import Card
from finewave.zoo.distribution.bundled_weights import CARD
from finewave.zoo.model import Model, load_model
from finewave.zoo.precision import MOST_LOST, keeps_its_digits

MODELS = ("awan-cave", "jssunet-cave-x4", "jssunet-photo-x4", "mstpp-cave", "sspsr-cave-x4")
SIDE = 256
"""Of the middle of each scene, in pixels."""


def pairs(model: Model, scenes: Sequence[str] = SCENES) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """Yield the model's input and the HR-HSI (C, H, W) of each scene."""
    (name,) = model.inputs
    source = open_scenes("cave", scenes)
    sensor = model.card.sensor if model.card is not None and name.endswith("msi") else None
    for scene in scenes:
        whole = source.read(scene)
        top, left = ((n - SIDE) // 2 for n in whole.shape[1:])
        values = whole[:, top : top + SIDE, left : left + SIDE].astype(np.float32) / source.full_scale(scene)
        truth = torch.from_numpy(values)
        yield {name: degrade(truth, model.scale, sensor=sensor, wavelengths=source.wavelengths)[None]}, truth


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
