"""``finewave report``."""

from __future__ import annotations

from pathlib import Path

import click

from finewave.cli.terminal.shared_options import example
from finewave.cli.terminal.streams import json_option, print_json
from finewave.errors import InputError
from finewave.extras import check_extra


@click.command(epilog=example("finewave report out.tif --input lr.tif --reference gt.tif -o report.html"))
@click.argument("result", metavar="RESULT", type=click.Path(path_type=Path))
@click.option("-o", "--output", default="report.html", show_default=True, type=click.Path(path_type=Path))
@click.option("--input", "observed", type=click.Path(path_type=Path), help="Input of the model.")
@click.option("--reference", type=click.Path(path_type=Path), help="The truth: error maps, metrics.")
@click.option(
    "--rgb", nargs=3, type=float, metavar="NM NM NM", help="Bands shown first, nm or numbers.  [default: true colour]"
)
@click.option("--convention", help="Of the metrics.  [default: finewave]")
@click.option("--title", default="", help="Of the page.  [default: name of RESULT]")
@json_option
def report(
    result: Path,
    output: Path,
    observed: Path | None,
    reference: Path | None,
    rgb: tuple[float, float, float] | None,
    convention: str | None,
    title: str,
    as_json: bool,
) -> None:
    """Write one HTML file that works offline.

    RESULT is a scene, or the folder of results of finewave study. Of a scene: composites, bands, swipe between input,
    result and reference, spectra at points, maps of errors, metrics. Of a study: its tables, figures and cells.
    """
    check_extra("view", "finewave report")
    from finewave.studies.reports.study_report import is_study, write_study_report
    from finewave.viz.report.report import write_report

    if is_study(result):
        own = {"--input": observed, "--reference": reference, "--rgb": rgb, "--convention": convention}
        unsupported = [name for name, value in own.items() if value is not None]
        if unsupported:
            raise InputError(f"{', '.join(unsupported)} has no meaning for {result}, a study; leave it out")
        written = write_study_report(result, output, title=title)
    else:
        written = write_report(
            result,
            output,
            observed=observed,
            reference=reference,
            rgb=rgb,
            convention=convention or "finewave",
            title=title,
        )
    if as_json:
        return print_json({"written": written, "bytes": written.stat().st_size})
    return click.echo(f"written: {written} ({written.stat().st_size / 1e6:.1f} MB)")
