"""``finewave calibrate``: intervals that hold what they say, into a model's card."""

from __future__ import annotations

import json
from pathlib import Path

import click

from finewave.allocator import keep_freed_memory
from finewave.cli.completion import choices, dataset_names
from finewave.cli.progress import Progress
from finewave.cli.shared_options import COUNT, example, refuse_with_folds
from finewave.cli.streams import json_option, print_json, working
from finewave.cli.table import table


@click.command(
    epilog=example(
        "finewave calibrate my-model --dataset cave --split val",
        "finewave calibrate my-model --scene 'held-out/*.tif' --scene yard.nc",
        "finewave calibrate quadratic+knn --folds loo --picture reliability.png",
    )
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--dataset", default="cave", show_default=True, shell_complete=dataset_names, help="Whose scenes.")
@click.option(
    "--split", default="val", show_default=True, shell_complete=choices("val", "test"), help="Not trained on."
)
@click.option(
    "--scene", "scenes", multiple=True, metavar="FILE", help="Hyperspectral files or patterns instead; once or more."
)
@click.option("--folds", metavar="N|loo", help="FOLDER names baselines: fit them in turns over train and val.")
@click.option("--dry-run", is_flag=True, help="Print the coverage alone, and leave the card as it is.")
@click.option("--spots", type=COUNT, help="Print the coverage with so many measured spots, too.")
@click.option(
    "--picture", type=click.Path(path_type=Path), help="Coverage by stated share, each scene a line (.png or .pdf)."
)
@json_option
def calibrate(
    folder: Path, dataset: str, split: str, scenes: tuple[str, ...], folds: str | None, dry_run: bool,
    spots: int | None, picture: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure a model's errors on scenes it has not seen, and write half-widths into the card in FOLDER.

    FOLDER holds card.json and model.safetensors. Coverage is that of each scene by the errors of the other scenes.
    With --folds nothing is written: it shows how intervals hold over all scenes, each predicted by what was fitted to
    others.
    """
    from finewave.errors import InputError
    from finewave.inference.options import USUAL_SHARE
    from finewave.io.atomic import atomic_output
    from finewave.studies.anchor_spots import predicted_scenes
    from finewave.studies.coverage import calibrate_model, calibrate_over_folds, coverage_with_spots, store_intervals
    from finewave.studies.fold_predictions import folds_of
    from finewave.studies.predicted_files import files_named
    from finewave.zoo.model import load_model

    path = folder / "card.json"
    if folds is not None and (scenes or spots):
        raise InputError("--folds is over the scenes of a data set, without spots: leave out --scene and --spots")
    if folds is not None:
        refuse_with_folds("split")
    if scenes and spots:
        raise InputError("--spots needs the scenes of a data set: leave out --scene")
    dealt, files = None if folds is None else folds_of(folds), files_named(scenes)
    if folds is None and not path.is_file():
        raise InputError(f"{folder} does not hold a card.json; give the folder of a model")
    if picture is not None:
        from finewave.viz.reliability import check_picture, draw_reliability

        check_picture(picture)
    keep_freed_memory()
    with working(as_json), Progress("calibrate") as progress:
        with_spots = {}
        if dealt is not None:
            intervals, dry_run = calibrate_over_folds(str(folder), dataset, dealt, progress=progress.note), True
        else:
            model = load_model(folder, precision="float32")
            called = ", ".join(scenes) if scenes else dataset
            intervals = calibrate_model(model, called, split, files=files, progress=progress.note)
        if spots is not None:
            predicted = list(predicted_scenes(model, dataset, split, progress.note))
            for count in (0, spots):
                with_spots[count] = coverage_with_spots(predicted, model, USUAL_SHARE, count)
    if not dry_run:
        card = store_intervals(json.loads(path.read_text(encoding="utf-8")), intervals)
        with atomic_output(path) as temporary:
            temporary.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    coverage = intervals.calibration["coverage"]
    if picture is not None:
        draw_reliability(coverage, picture)
    if as_json:
        return print_json({"coverage": coverage, "with_spots": with_spots, "written": None if dry_run else path})
    names = intervals.calibration["scenes"]
    rows = [(name, *(f"{100 * coverage[share][name]:.1f} %" for share in coverage)) for name in names]
    means = [f"{100 * sum(each.values()) / len(each):.1f} %" for each in coverage.values()]
    click.echo(
        table(("scene", *(f"{float(share):.0%}" for share in coverage)), [*rows, ("mean", *means)], right=range(1, 5))
    )
    for count, each in with_spots.items():
        covered = [scene["coverage"] for scene in each.values()]
        width = sum(scene["half_width"] for scene in each.values()) / len(each)
        click.echo(
            f"{count} spots, {USUAL_SHARE:.0%}: mean {sum(covered) / len(covered):.1%}, least {min(covered):.1%}, "
            f"half-width {width:.4f}"
        )
    return None
