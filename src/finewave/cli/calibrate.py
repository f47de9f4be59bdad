"""``finewave calibrate``: intervals that hold what they say, into a model's card."""

from __future__ import annotations

import json
from pathlib import Path

import click

from finewave.cli.terminal.completion import choices, dataset_names
from finewave.cli.terminal.progress import Progress
from finewave.cli.terminal.shared_options import example, refuse_with_folds
from finewave.cli.terminal.streams import json_option, print_json, working
from finewave.cli.terminal.table import table
from finewave.process.allocator import keep_freed_memory


@click.command(
    epilog=example(
        "finewave calibrate my-model --dataset cave --split val",
        "finewave calibrate my-model --scene 'held-out/*.tif' --scene yard.nc",
        "finewave calibrate weights/sentinel2-enmap --dataset enmap --folds loo",
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
@click.option("--folds", metavar="N|loo", help="Fit a closed form, or baselines that FOLDER names, in turns.")
@click.option("--dry-run", is_flag=True, help="Print the coverage alone, and leave the card as it is.")
@click.option(
    "--spots", type=click.IntRange(min=0), default=8, show_default=True,
    help="At which half-widths with measured spectra are calibrated; 0 for none.",
)  # fmt: skip
@click.option(
    "--picture", type=click.Path(path_type=Path), help="Coverage by stated share, each scene a line (.png or .pdf)."
)
@json_option
def calibrate(
    folder: Path, dataset: str, split: str, scenes: tuple[str, ...], folds: str | None, dry_run: bool,
    spots: int, picture: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure a model's errors on scenes it has not seen, and write half-widths into the card in FOLDER.

    FOLDER holds card.json and model.safetensors. The table has the coverage of each scene by what is usual in the
    others and one factor for all; the lines below it that of scenes whose errors are not among those that the factor
    is chosen by. With --folds a model in closed form is fitted again without each of its training scenes, and is
    calibrated by those; the scenes of val are judged by that. Of baselines (quadratic+knn) nothing is written: it shows
    how intervals hold over all scenes, each predicted by what was fitted to others.
    """
    from finewave.calibration.intervals import calibrated, coverage_by_others, coverage_of
    from finewave.datasets.registry import check_split
    from finewave.errors import InputError
    from finewave.inference.options import USUAL_SHARE
    from finewave.io.atomic import atomic_output
    from finewave.studies.measurements.coverage import (
        errors_of_model,
        errors_of_refits,
        errors_over_folds,
        store_intervals,
    )
    from finewave.studies.measurements.fold_predictions import folds_of
    from finewave.studies.measurements.predicted_files import files_named
    from finewave.zoo.distribution.bundled_weights import weight_folders
    from finewave.zoo.model import load_model

    path = folder / "card.json"
    if folds is not None and scenes:
        raise InputError("--folds is over the scenes of a data set: leave out --scene")
    if folds is not None:
        refuse_with_folds("split")
    dealt, files = None if folds is None else folds_of(folds), files_named(scenes)
    refitted = folds is not None and path.is_file()
    if folds is None and not path.is_file():
        bundled = weight_folders().get(str(folder))
        hint = "" if bundled is None else f", for weights that ship a copy of {bundled}"
        raise InputError(f"{folder} does not hold a card.json; give the folder of a model{hint}")
    if refitted or not (folds or files):
        check_split(dataset, split)
    if picture is not None:
        from finewave.viz.reliability import check_picture, draw_reliability

        check_picture(picture)
    keep_freed_memory()
    with working(as_json), Progress("calibrate") as progress:
        judged = []
        if dealt is not None and refitted:
            model = load_model(folder, precision="float32")
            errors = errors_of_refits(model, dataset, dealt, spots=spots, progress=progress.note)
            judged = errors_of_model(model, dataset, split, spots=spots, progress=progress.note)
            called = f"{dataset} train, each scene by a fit without it"
        elif dealt is not None:
            errors, dry_run = errors_over_folds(str(folder), dataset, dealt, spots=spots, progress=progress.note), True
            called = f"{dataset}, folds of train and val"
        else:
            model = load_model(folder, precision="float32")
            errors = errors_of_model(model, dataset, split, files=files, spots=spots, progress=progress.note)
            called = ", ".join(scenes) if scenes else f"{dataset} {split}"
        intervals = calibrated(errors, called)
        by_others = coverage_by_others(errors, USUAL_SHARE)
        not_used = coverage_of(intervals, judged, USUAL_SHARE)
    if not dry_run:
        card = store_intervals(json.loads(path.read_text(encoding="utf-8")), intervals)
        with atomic_output(path) as temporary:
            temporary.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    coverage = intervals.calibration["coverage"]
    if picture is not None:
        draw_reliability(coverage, picture)
    if as_json:
        of_split = {split: not_used} if judged else {}
        return print_json(
            {"coverage": coverage, "by_others": by_others, **of_split, "written": None if dry_run else path}
        )
    names = intervals.calibration["scenes"]
    rows = [(name, *(f"{100 * coverage[share][name]:.1f} %" for share in coverage)) for name in names]
    means = [f"{100 * sum(each.values()) / len(each):.1f} %" for each in coverage.values()]
    click.echo(
        table(("scene", *(f"{float(share):.0%}" for share in coverage)), [*rows, ("mean", *means)], right=range(1, 5))
    )
    _summary(by_others, "", spots)
    _summary(not_used, f"{split}, ", spots)
    return None


def _summary(found: dict[str, dict[str, float]], of: str, spots: int) -> None:
    """Print how often half-widths hold on scenes that have no part in them."""
    from finewave.inference.options import USUAL_SHARE

    for key, label in (("plain", "no spots"), ("with_spots", f"{spots} spots")):
        covered = [scene[key] for scene in found.values() if key in scene]
        if covered:
            widths = [scene["width"] for scene in found.values() if key == "with_spots"]
            narrower = f", half-widths {sum(widths) / len(widths):.2f} times as wide" if widths else ""
            mean = sum(covered) / len(covered)
            click.echo(f"{of}{label}, {USUAL_SHARE:.0%}: mean {mean:.1%}, least {min(covered):.1%}{narrower}")
