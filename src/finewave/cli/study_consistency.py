"""``finewave study consistency``: what consistent results gain or lose."""

from __future__ import annotations

import json
from pathlib import Path

import click

from finewave.cli.terminal.completion import choices, dataset_names, model_names
from finewave.cli.terminal.progress import Progress
from finewave.cli.terminal.shared_options import example
from finewave.cli.terminal.streams import json_option, print_json, working
from finewave.cli.terminal.table import table
from finewave.process.allocator import keep_freed_memory
from finewave.text.plain_numbers import signed


@click.command(
    "consistency",
    epilog=example(
        "finewave study consistency --model jssunet-cave-x4",
        "finewave study consistency --model sspsr-cave-x4 --split train --crop 192 --fwhm 3,4,5,6",
    ),
)
@click.option("--model", "name", required=True, shell_complete=model_names, help="See finewave models.")
@click.option("--dataset", default="cave", show_default=True, shell_complete=dataset_names, help="Whose scenes.")
@click.option("--split", default="val", show_default=True, shell_complete=choices("train", "val", "test"), help="Part.")
@click.option("--fwhm", default="4,6,3", show_default=True, metavar="W,...", help="Blurs, in pixels of the result.")
@click.option(
    "--noise", type=click.FloatRange(min=0, min_open=True), default=0.01, show_default=True, help="Of the noisy cases."
)
@click.option("--crop", type=click.IntRange(min=1), help="Side of the middle part of each scene that is scored.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file with all figures.")
@json_option
def consistency(
    name: str, dataset: str, split: str, fwhm: str, noise: float, crop: int | None, output: Path | None, as_json: bool
) -> None:
    """Score a model without and with --consistent, damped and exact, for each blur with and without noise.

    Gains of psnr in dB and of sam in degrees are means over scenes, against the plain result; worst is the largest loss
    of any scene. Blur given: damped with the FWHM stated. Least is the smallest value of any scene; bumps are the
    second differences of spectra, mean square, against the plain result's. Warned: scenes whose blur contradicts the
    card's.
    """
    from finewave.errors import InputError
    from finewave.evaluation.named_models import model_named
    from finewave.studies.measurements.consistency_gain import ROWS, consistency_study

    keep_freed_memory()
    try:
        widths = [float(each) for each in fwhm.split(",")]
    except ValueError:
        widths = [0.0]
    if not all(0.1 <= each <= 100 for each in widths):
        raise InputError(f"--fwhm {fwhm!r}: numbers of pixels with commas between are accepted, 4,6")
    with working(as_json), Progress("study consistency") as progress:
        model = model_named(name, dataset).with_precision("float32")
        study = consistency_study(model, dataset, split, widths=widths, noise=noise, crop=crop, say=progress.note)
    result = {"model": name, "dataset": dataset, "split": split, **study}
    if output is not None:
        from finewave.io.atomic import atomic_output

        with atomic_output(output) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if as_json:
        return print_json(result)
    rows = []
    for case in result["cases"]:
        plain = case["rows"]["plain"]
        warned = sum(each["contradicts"] for each in case["images"].values())
        for way in ROWS:
            row, first = case["rows"][way], way == "plain"
            rows.append(
                (
                    f"{case['fwhm']:g}" if first else "",
                    f"{case['noise']:g}" if first else "",
                    way,
                    f"{plain['psnr']:.2f}" if first else signed(row["psnr"], 3),
                    f"{plain['sam']:.2f}" if first else signed(row["sam"], 3),
                    "" if first else f"{signed(row['worst_psnr'])} / {signed(row['worst_sam'])}",
                    f"{row['least']:.3f}",
                    "" if first else f"{row['bumps']:.2f}",
                    f"{warned} of {len(case['images'])}" if first else "",
                )
            )
    head = ("fwhm", "noise", "result", "psnr / dB", "sam / degrees", "worst", "least", "bumps", "warned")
    click.echo(table(head, rows, right=(3, 4, 5, 6, 7)))
    return None
