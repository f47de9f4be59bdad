"""Metrics of a model by a protocol, on a split of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from finewave.datasets.patches import Sample
from finewave.datasets.registry import SceneSource, open_dataset, open_scenes
from finewave.errors import InputError, unknown_name
from finewave.evaluation.baselines import BaselineBuilder
from finewave.evaluation.evaluator import reference_options
from finewave.evaluation.protocols import Protocol
from finewave.evaluation.scorer import Scorer
from finewave.evaluation.whole_scenes import WholeScenes
from finewave.physics.sensors import get_sensor
from finewave.studies.dataset_facts import split_of
from finewave.studies.experiment import Cell
from finewave.systems.registry import config_of, create_model
from finewave.zoo.model import Model

AT_ONCE = 16
"""Crops that are predicted together."""


def score(model: Model, cell: Cell, progress: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Score a model for a cell.

    Parameters
    ----------
    model : Model
        Evaluated in float32 regardless of its precision, so that results do not depend on the machine.
    cell : Cell
        Cell with data set, split, scale, protocol and image.
    progress : callable
        Called with a line for each scene.

    Returns
    -------
    dict
        ``images`` (metrics by image; a crop is ``<scene>[<row>,<column>]`` in HR pixels), ``mean``, ``left_out``
        and ``scenes_sha256``.

    Raises
    ------
    InputError
        If scenes of the split are missing, or are smaller than the protocol's crops.
    """
    model = (model if cell.row.post else without_post(model)).with_precision("float32")
    source, names = scenes_of(cell.dataset, cell.split)
    scenes = replace(whole_scenes(source, cell), reference=reference_options(model))

    def compared(images: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        with exact_float32():
            return estimate(model, images, cell.row.image), images[cell.row.image]

    def crops() -> Iterator[tuple[list[str], Sample]]:
        for name, whole in scenes.samples(names):
            yield from _images(whole, name, cell.protocol, cell.scale)
            progress(f"{model.name}: {name}")

    summary = Scorer(compared, cell.scale, cell.protocol.convention).over(crops())
    return {
        "images": summary.by_image,
        "mean": summary.means,
        "left_out": summary.left_out,
        "scenes_sha256": {name: source.checksum(name) for name in names},
    }


@contextmanager
def exact_float32() -> Iterator[None]:
    """Disable TF32 and the search for quick convolutions, as trainings enable both, for reproducible scores."""
    matmul, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    searches = torch.backends.cudnn.benchmark
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.backends.cudnn.benchmark = searches


def scenes_of(dataset: str, split: str) -> tuple[SceneSource, list[str]]:
    """Return the source of a split's scenes, and their names.

    Raises
    ------
    InputError
        If there is no such split, or some of its scenes are missing.
    """
    store = open_dataset(dataset)
    splits = store.attributes["split"]
    if split not in splits:
        raise unknown_name("split", split, splits)
    names = list(splits[split])
    published = list(split_of(dataset).get(split, ()))
    if not names or (set(names) < set(published)):
        return open_scenes(dataset, published), published  # raises an error that names missing scenes
    return store, names


def whole_scenes(source: SceneSource, cell: Cell) -> WholeScenes:
    """Return scenes as a cell's protocol degrades them."""
    response = get_sensor(cell.sensor).response(source.wavelengths)
    return WholeScenes(source, response, cell.scale, dict(cell.protocol.degradation))


def estimate(model: Model, images: Mapping[str, Tensor], image: str) -> Tensor:
    """Return the prediction: the model's output, or an intermediate image of a composition."""
    if image == model.output:
        return model.predict(**{name: images[name] for name in model.inputs})
    model.net.eval()
    with torch.no_grad():
        made = model.net.estimates(images)
    if image not in made:
        raise InputError(f"{model.name} makes no {image}; it makes {', '.join(made)}")
    return made[image]


def without_post(model: Model) -> Model:
    """Return a model with the same weights and no post-processing."""
    system, config = config_of(model.net)
    net = create_model(system, **{**config, "post": False})
    net.load_state_dict({key: value for key, value in model.net.state_dict().items() if not key.startswith("post.")})
    return Model(net.eval(), model.card)


def baseline(cell: Cell) -> Model:
    """Return the baseline of a cell, fitted on the training scenes if it has coefficients."""
    store = open_dataset(cell.dataset)

    def training() -> Iterable[Sample]:
        return (sample for _, sample in whole_scenes(store, cell).samples(store.attributes["split"]["train"]))

    builder = BaselineBuilder(
        wavelengths=store.wavelengths,
        sensor=cell.sensor,
        scale=cell.scale,
        degradation=dict(cell.protocol.degradation),
        samples=training,
    )
    return builder.build(cell.row.system, **cell.row.options)


def _images(whole: Sample, name: str, protocol: Protocol, scale: int) -> Iterator[tuple[list[str], Sample]]:
    """Yield names and images, as a protocol cuts them out of a scene."""
    if protocol.crop is None:
        yield [name], whole
        return
    side, (rows, columns) = protocol.crop, whole["hr_hsi"].shape[2:]
    if side % scale or side > min(rows, columns):
        raise InputError(
            f"protocol {protocol.name} cuts {side} x {side} crops: scene {name} ({rows} x {columns}) at scale {scale} "
            "has none; choose another one with --protocol"
        )
    places = [(y, x) for y in range(0, rows - side + 1, side) for x in range(0, columns - side + 1, side)]
    for start in range(0, len(places), AT_ONCE):
        some = places[start : start + AT_ONCE]
        yield (
            [f"{name}[{y},{x}]" for y, x in some],
            {key: torch.cat([_cut(image, y, x, side, rows) for y, x in some]) for key, image in whole.items()},
        )


def _cut(image: Tensor, y: int, x: int, side: int, rows: int) -> Tensor:
    """Cut the area of an HR crop out of an image of either resolution."""
    ratio = rows // image.shape[2]
    y, x, side = y // ratio, x // ratio, side // ratio
    return image[:, :, y : y + side, x : x + side]
