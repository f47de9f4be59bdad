"""Figures of a study: predictions of its models for one scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finewave.errors import InputError, unknown_name
from finewave.io.atomic import atomic_output
from finewave.studies.definitions.definition import Figure
from finewave.studies.experiment import StudyRequest
from finewave.studies.figure_panels import Panel, StudyPicture, draw
from finewave.studies.reports.table_formats import slug
from finewave.studies.runner import trainings_folder


def choose_scene(figure: Figure, names: list[str], requested: str | None) -> str:
    """Return the scene to show: the requested one, the published one if present, or the first."""
    if requested is not None:
        if requested not in names:
            raise unknown_name("scene of the split", requested, names)
        return requested
    return figure.scene if figure.scene in names and figure.scene is not None else names[0]


def take_picture(figure: Figure, request: StudyRequest, out: Path, scene: str | None = None) -> StudyPicture:
    """Return the predictions of a request's models for a whole scene.

    Raises
    ------
    InputError
        If no model exists, or the scene is not in the split.
    """
    from finewave.metrics import evaluate
    from finewave.studies.scoring import baseline, estimate, scenes_of, whole_scenes, without_post
    from finewave.zoo.model import load_model

    dataset, scale = request.datasets[0], request.scales[0]
    source, names = scenes_of(dataset, request.split)
    name = choose_scene(figure, names, scene)
    panels, missing = [], []
    images = None
    for row in request.rows:
        cell = request.cell(row, dataset, scale)
        folder = trainings_folder(out) / cell.training / "model"
        if cell.recipe is not None and not folder.is_dir():
            missing.append(row.label)
            continue
        model = baseline(cell) if cell.recipe is None else load_model(folder)
        model = (model if row.post else without_post(model)).with_precision("float32")
        images = images or whole_scenes(source, cell).sample(name)
        made = estimate(model, images, row.image)
        scores = evaluate(made, images[row.image], scale, convention=request.protocol.convention)
        panels.append(Panel(row.label, made[0].numpy(), scores["psnr"], scores["sam"]))
    if images is None:
        raise InputError(
            f"no model of {figure.table} lies in {trainings_folder(out)}: leave out --no-train to train them"
        )
    return StudyPicture(
        name,
        images["hr_hsi"][0].numpy(),
        images["lr_msi"][0].numpy(),
        np.asarray(source.wavelengths),
        tuple(panels),
        tuple(missing),
    )


def make_figure(figure: Figure, request: StudyRequest, out: Path, scene: str | None = None) -> Path:
    """Draw a figure from the models in a results folder and return its file.

    Raises
    ------
    InputError
        If no model exists, the scene is not in the split, or matplotlib is missing.
    """
    picture = take_picture(figure, request, out, scene)
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{request.datasets[0]}-x{request.scales[0]}-{picture.scene}-{request.recipes}-{slug(request.budget)}"
    path = folder / f"{figure.name}-{stem}.png"
    title = f"{request.datasets[0]}, x{request.scales[0]}, {picture.scene} ({request.split})"
    with atomic_output(path) as temporary:
        draw(picture, title, temporary)
    return path
