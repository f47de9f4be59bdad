"""``finewave study anchors``: what spectra measured at a few spots are worth."""

from __future__ import annotations

import json
from pathlib import Path

import click

from finewave.allocator import keep_freed_memory
from finewave.cli.completion import choices, dataset_names, model_names
from finewave.cli.options import example
from finewave.cli.progress import Progress
from finewave.cli.streams import json_option, print_json, working
from finewave.cli.table import table


@click.command("anchors", epilog=example("finewave study anchors --model jssunet-cave-x4 --split val"))
@click.option("--model", "name", required=True, shell_complete=model_names, help="See finewave models.")
@click.option("--dataset", default="cave", show_default=True, shell_complete=dataset_names, help="Whose scenes.")
@click.option("--split", default="val", show_default=True, shell_complete=choices("train", "val", "test"), help="Part.")
@click.option("--spots", default="0,8,16,32", show_default=True, metavar="N,...", help="Numbers of spots.")
@click.option(
    "--choice", type=click.Choice(["greedy", "kmeans"]), default="greedy", show_default=True,
    help="Where: as finewave anchors chooses, or clusters of colours.",
)  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Repetitions.")
@click.option(
    "--noise", type=click.FloatRange(min=0), default=0.01, show_default=True, help="Of the spectra, relative."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file with all figures.")
@json_option
def anchors(
    name: str, dataset: str, split: str, spots: str, choice: str, seeds: int, noise: float, output: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Score a model without and with spectra known at a few spots.

    Spots of 9 x 9 pixels of the result are simulated in the scenes of a data set.
    """
    from finewave.errors import InputError
    from finewave.studies.anchor_spots import anchor_study
    from finewave.zoo.model import load_model

    keep_freed_memory()
    try:
        counts = [int(each) for each in spots.split(",")]
    except ValueError:
        raise InputError(f"--spots {spots!r}: numbers with commas between are accepted, 0,8,16") from None
    if min(counts) < 0:
        raise InputError(f"--spots {spots!r}: numbers >= 0 are accepted")
    model = load_model(name, precision="float32")
    with working(as_json), Progress("study anchors") as progress:
        result = anchor_study(
            model, dataset, split, counts, choice=choice, seeds=seeds, noise=noise, progress=progress.note
        )
    if output is not None:
        from finewave.io.atomic import atomic_output

        with atomic_output(output) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if as_json:
        return print_json(result)
    rows = [
        (count, f"{row['psnr']:.2f}", f"{row['sam']:.2f}", f"{-row['worst']:+.2f}" if "worst" in row else "")
        for count, row in result["rows"].items()
    ]
    click.echo(table(("spots", "psnr / dB", "sam / degrees", "worst gain / dB"), rows, right=range(4)))
    return None
