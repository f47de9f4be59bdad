"""``finewave compare``: metrics of two files."""

from __future__ import annotations

import click

from finewave.cli.terminal.shared_options import example
from finewave.cli.terminal.streams import json_option, print_json, working
from finewave.cli.terminal.table import table


@click.command(epilog=example("finewave compare result.tif truth.tif --scale 4"))
@click.argument("first", metavar="PREDICTION", type=click.Path())
@click.argument("second", metavar="TRUTH", type=click.Path())
@click.option("--scale", type=float, default=4, show_default=True, help="Sampling factor, for ERGAS.")
@click.option("--convention", default="finewave", show_default=True, help="Whose definitions; see docs/metrics.md.")
@click.option("--full-scale", type=float, help="The stored number that represents 1.0 in both.")
@json_option
def compare(first: str, second: str, scale: float, convention: str, full_scale: float | None, as_json: bool) -> None:
    """Print the metrics of two files of one size: PSNR, SSIM, SAM, ERGAS, RMSE, correlation."""
    from finewave.evaluation.compare_files import compare_files
    from finewave.metrics import METRICS

    with working(as_json):
        scores = compare_files(first, second, scale=scale, convention=convention, full_scale=full_scale)
    if as_json:
        return print_json({"prediction": first, "truth": second, "scale": scale, "metrics": scores})
    rows = [(METRICS[name].heading, METRICS[name].text(value)) for name, value in scores.items()]
    click.echo(table(("metric", "value"), rows, right=(1,)))
    return None
