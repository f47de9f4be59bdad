"""``finewave study anchors``: what spectra measured at a few spots are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from finewave.cli.terminal.completion import choices, dataset_names, model_names
from finewave.cli.terminal.progress import Progress
from finewave.cli.terminal.shared_options import COUNT, example, refuse_with_folds
from finewave.cli.terminal.streams import json_option, print_json, working
from finewave.cli.terminal.table import table
from finewave.process.allocator import keep_freed_memory
from finewave.text.plain_numbers import signed

if TYPE_CHECKING:
    from finewave.studies.measurements.anchor_spots import PredictedScene
    from finewave.zoo.model import Model


@click.command(
    "anchors",
    epilog=example(
        "finewave study anchors --model jssunet-cave-x4 --split val",
        "finewave study anchors --model mstpp-cave+awan-cave+knn --spots 8,16,32",
        "finewave study anchors --model quadratic+knn --folds loo",
    ),
)
@click.option(
    "--model", "name", required=True, shell_complete=model_names, help="See finewave models; or several with + between."
)
@click.option("--dataset", default="cave", show_default=True, shell_complete=dataset_names, help="Whose scenes.")
@click.option("--split", default="val", show_default=True, shell_complete=choices("train", "val", "test"), help="Part.")
@click.option("--folds", metavar="N|loo", help="Of baselines: fit and score them in turns over train and val.")
@click.option("--spots", default="0,8,16,32", show_default=True, metavar="N,...", help="Numbers of spots.")
@click.option(
    "--choice", type=click.Choice(["greedy", "kmeans", "random"]), default="greedy", show_default=True,
    help="Where: as finewave anchors chooses, clusters of colours, or any flat places.",
)  # fmt: skip
@click.option("--seeds", type=COUNT, default=1, show_default=True, help="Repetitions.")
@click.option(
    "--size", type=click.IntRange(min=1), default=9, show_default=True, help="Side of a spot in pixels of the result."
)
@click.option(
    "--noise", type=click.FloatRange(min=0), default=0.01, show_default=True, help="Of the spectra, relative."
)
@click.option(
    "--every", type=COUNT, default=1, show_default=True, help="Of rows and columns that are taken, to save time."
)
@click.option("--scene", help="Of the split, this one alone.")
@click.option(
    "--picture", type=click.Path(path_type=Path), help="The scene with the most spots, and the angle before and after."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file with all figures.")
@json_option
def anchors(
    name: str, dataset: str, split: str, folds: str | None, spots: str, choice: str, seeds: int, size: int,
    noise: float, every: int, scene: str | None, picture: Path | None, output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Score a model without and with spectra known at a few spots.

    Spots are simulated in the scenes of a data set. With --folds each scene is predicted by what was fitted to others.
    """
    from finewave.errors import InputError
    from finewave.evaluation.named_models import model_named
    from finewave.studies.measurements.anchor_spots import anchor_study, predicted_scenes, thinned
    from finewave.studies.measurements.fold_predictions import folds_of, predicted_over_folds

    keep_freed_memory()
    try:
        counts = [int(each) for each in spots.split(",")]
    except ValueError:
        raise InputError(f"--spots {spots!r}: numbers with commas between are accepted, 0,8,16") from None
    if min(counts) < 0:
        raise InputError(f"--spots {spots!r}: numbers >= 0 are accepted")
    if size % 2 == 0:
        raise InputError(f"--size {size}: an odd number of pixels is accepted, 9 for example")
    if folds is not None:
        refuse_with_folds("split")
    if folds is not None and scene is not None:
        raise InputError("--folds is over all scenes: leave out --scene")
    if picture is not None:
        from finewave.viz.reliability import check_picture

        if every > 1:
            raise InputError("--picture is of all pixels: leave out --every")
        if scene is None:
            raise InputError("--picture is of one scene: name it by --scene")
        if max(counts) == 0:
            raise InputError(f"--spots {spots!r}: --picture shows spots; give a number >= 1")
        check_picture(picture)
    dealt = None if folds is None else folds_of(folds)
    with working(as_json), Progress("study anchors") as progress:
        if dealt is not None:
            predictions = predicted_over_folds(name, dataset, dealt, progress=progress.note)
        else:
            model = model_named(name, dataset).with_precision("float32")
            found = predicted_scenes(model, dataset, split, progress.note, scene)
            predictions = ((model, each) for each in found)
            if picture is not None:
                predictions = iter([(model, predicted := next(found))])
                _draw(predicted, model, max(counts), choice, size, noise, picture)
        if every > 1:
            predictions = ((own, thinned(each, every)) for own, each in predictions)
        result = anchor_study(predictions, counts, choice=choice, seeds=seeds, size=size, noise=noise)
    result = {
        "model": name,
        "every": every,
        "dataset": dataset,
        "split": split if folds is None else f"folds {folds}",
        **result,
    }
    if output is not None:
        from finewave.io.atomic import atomic_output

        with atomic_output(output) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if as_json:
        return print_json(result)
    rows = [
        (count, f"{row['psnr']:.2f}", f"{row['sam']:.2f}", signed(-row["worst"]) if "worst" in row else "")
        for count, row in result["rows"].items()
    ]
    click.echo(table(("spots", "psnr / dB", "sam / degrees", "worst gain / dB"), rows, right=range(4)))
    return None


def _draw(scene: PredictedScene, model: Model, count: int, choice: str, size: int, noise: float, path: Path) -> None:
    """Draw a scene, and its spectral angle without and with spots."""
    import numpy as np

    from finewave.studies.measurements.anchor_spots import corrected_by_spots, simulated_places
    from finewave.viz.spot_gain import draw_spot_gain

    scale = scene.truth.shape[1] // scene.observed.shape[1]
    places = simulated_places(scene.observed, count, choice, max(3, size // scale // 2 * 2 + 1), 0)
    after, correction = corrected_by_spots(scene, model, places, size=size, noise=noise, seed=0)
    truth, before = scene.truth.numpy(), scene.predicted.numpy()
    colours = np.einsum("kc,chw->hwk", correction.colour[:3], truth)
    bright = np.quantile(colours, 0.99) or 1.0
    draw_spot_gain((colours / bright).clip(0, 1) ** 0.45, truth, before, after.numpy(), places * scale, path)
