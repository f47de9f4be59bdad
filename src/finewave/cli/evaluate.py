"""``finewave evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from finewave.cli.terminal.completion import baselines_and_models, choices, dataset_names, sensor_names
from finewave.cli.terminal.progress import Progress
from finewave.cli.terminal.shared_options import example, pooling_option, precision_option, refuse_with_folds
from finewave.cli.terminal.streams import json_option, print_json, working
from finewave.cli.terminal.table import table
from finewave.process.allocator import keep_freed_memory


@click.command(
    epilog=example(
        "finewave evaluate --model jssunet-cave-x4 --dataset cave --split val --baseline",
        "finewave evaluate --model mstpp-cave+awan-cave+knn --dataset cave --split val",
        "finewave evaluate --model knn --dataset cave --folds loo --baseline",
        "finewave evaluate --model residual-fusion-cave-x4 --dataset cave --folds 4 --baseline",
        "finewave evaluate --model gsa --dataset cave --split val --scale 8",
    )
)
@click.option(
    "--model",
    "model_name",
    metavar="MODEL",
    required=True,
    shell_complete=baselines_and_models,
    help="Name, folder, .safetensors file, hf:owner/name or baseline.",
)
@click.option("--dataset", required=True, shell_complete=dataset_names, help="See finewave data list.")
@click.option(
    "--split",
    default="test",
    show_default=True,
    shell_complete=choices("train", "val", "test"),
    help="train, val or test.",
)
@click.option(
    "--folds",
    metavar="N|loo",
    help="Of a baseline, or a recipe without phases: fit and score it in turns over all scenes but the test's.",
)
@click.option("--baseline", is_flag=True, help="Also score the baselines of the task.")
@click.option("--scale", type=click.IntRange(min=2), help="Of a baseline.  [default: 4]")
@click.option(
    "--sensor", shell_complete=sensor_names, help="For baselines: sensor of the MS bands.  [default: the dataset's]"
)
@click.option("--kernel", help="Of a baseline: blur of the LR images.  [default: gaussian]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file.  [default: MODEL-DATASET-SPLIT.json]")
@precision_option(default="float32")
@pooling_option(default="image")
@json_option
def evaluate(
    model_name: str,
    dataset: str,
    split: str,
    folds: str | None,
    baseline: bool,
    scale: int | None,
    sensor: str | None,
    kernel: str | None,
    output: Path | None,
    precision: str,
    pooling: str,
    as_json: bool,
) -> None:
    """Score a model on a dataset: metrics per image and their mean, also as JSON.

    MODEL may be a baseline, which needs no weights: bicubic, ibp, ridge, quadratic, root-polynomial, ridge-knn, knn,
    gsa, cnmf, local-regression.
    Scale, sensor and degradation, otherwise in the card, are then given by options. Several models of one
    task with + between them are their ensemble: the mean, made consistent with the inputs.
    """
    from finewave.evaluation.evaluator import evaluate_model
    from finewave.evaluation.named_models import model_named
    from finewave.io.atomic import atomic_output
    from finewave.io.path_checks import check_name
    from finewave.metrics import METRICS

    options = {"scale": scale, "sensor": sensor, "degradation": None if kernel is None else {"kernel": kernel}}
    options_given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    if folds is not None:
        return _over_folds(model_name, dataset, folds, output, as_json, baseline=baseline, **options_given)
    model = model_named(model_name, dataset, **options_given)
    if output is None:
        check_name(model.name, "the model's name")  # default of the Python class, or from the card
    target = output or Path(f"{model.name}-{dataset}-{split}.json")
    # a missing folder shows before the work, not after
    keep_freed_memory()
    with atomic_output(target) as temporary, working(as_json), Progress("evaluate") as progress:
        scores = evaluate_model(
            model,
            dataset,
            split,
            baseline=baseline,
            precision=precision,
            pooling=pooling,
            progress=progress.note,
            count=progress,
        )
        temporary.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    if as_json:
        return print_json({**scores, "written": target})
    rows = {**scores["images"], "mean": scores["mean"]}
    rows.update(scores.get("baselines", {}))
    names = list(scores["mean"])
    lines = [(image, *(METRICS[name].text(row[name]) for name in names)) for image, row in rows.items()]
    click.echo(table(("image", *(METRICS[name].heading for name in names)), lines, right=range(1, len(names) + 1)))
    if baseline:
        click.echo(
            f"floor: {scores['baseline']['name']}, by PSNR the best of {len(scores['baselines'])} without a network"
        )
    left_out = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in scores["left_out"].items() if count)
    if left_out:
        click.echo(f"left out: {left_out}")
    click.echo(f"written: {target}")

    return None


def _over_folds(
    name: str, dataset: str, folds: str, output: Path | None, as_json: bool, *, baseline: bool, **options: Any
) -> None:
    """Score what is fitted in one go over folds."""
    from finewave.datasets.registry import get_dataset
    from finewave.errors import InputError
    from finewave.evaluation.folds import LEAVE_ONE_OUT, evaluate_folds
    from finewave.io.atomic import atomic_output
    from finewave.metrics import METRICS
    from finewave.training.refit import fold_rows

    refuse_with_folds("split", "precision", "pooling")
    if folds != LEAVE_ONE_OUT and not folds.isdecimal():
        raise InputError(f"--folds {folds}: a number of folds, or loo for leaving out one scene at a time, is accepted")
    get_dataset(dataset)  # an unknown one is named as such, not as a part of the output's name
    plan = fold_rows(name, dataset, baseline=baseline, **options)
    target = output or Path(f"{Path(name).stem}-{dataset}-folds-{folds}.json")
    unfinished = target.with_name(f"{target.name}.unfinished")
    keep_freed_memory()
    with atomic_output(target) as temporary, working(as_json), Progress("evaluate") as progress:
        scores = evaluate_folds(
            plan.rows,
            dataset,
            folds if folds == LEAVE_ONE_OUT else int(folds),
            floors=plan.floors,
            refits=plan.refits,
            resume=unfinished,
            progress=progress.note,
            count=progress,
            **plan.protocol,
        )
        temporary.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    unfinished.unlink(missing_ok=True)
    if as_json:
        return print_json({**scores, "written": target})
    low, high = scores["protocol"]["seen_nm"]
    names = list(next(iter(scores["rows"].values()))["mean"])
    heads = [METRICS[each].heading for each in names]
    heads += [f"{METRICS[each].label}, {low:g}-{high:g} nm" for each in ("psnr", "sam")]
    lines = []
    for label, row in scores["rows"].items():
        values = [METRICS[each].text(row["mean"][each]) for each in names]
        values += [METRICS[each].text(row["seen"][each]) for each in ("psnr", "sam")]
        lines.append((label, *values))
    click.echo(table(("baseline", *heads), lines, right=range(1, len(heads) + 1)))
    for label, row in scores["rows"].items():
        for metric in ("psnr", "sam"):
            described, (first, last) = METRICS[metric], row["interval"][metric]
            words = f"{label}: {described.label} between {described.text(first)} and {described.text(last)} (95 %)"
            against = row["against_floor"]
            if against is not None:
                each = against[metric]
                p = "" if each["p"] is None else f", p = {each['p']:.2g}"
                words += f"; better than the floor on {each['better']} of {each['scenes']} scenes{p}"
            click.echo(words)
    click.echo(f"floor: {scores['floor']}, by PSNR the best of {len(plan.floors)}")
    click.echo(f"written: {target}")
    return None
