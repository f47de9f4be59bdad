"""The command line: parse, call one function, print. One file a command; heavy imports inside commands."""

from __future__ import annotations

import click

import finewave
from finewave.cli.anchors import anchors
from finewave.cli.bench import bench
from finewave.cli.calibrate import calibrate
from finewave.cli.compare import compare
from finewave.cli.data import data
from finewave.cli.demo import demo
from finewave.cli.evaluate import evaluate
from finewave.cli.export import export
from finewave.cli.figure import figure
from finewave.cli.fit import fit
from finewave.cli.info import info
from finewave.cli.models import models
from finewave.cli.predict import predict
from finewave.cli.program import Program
from finewave.cli.report import report
from finewave.cli.sensors import sensors
from finewave.cli.study import study
from finewave.cli.terminal.completion import completion
from finewave.cli.terminal.shared_options import example
from finewave.cli.train import train
from finewave.cli.view import view


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the version, in a clone with the revision, and stop."""
    if not wanted or context.resilient_parsing:
        return
    from finewave.locations import checkout
    from finewave.provenance import checkout_revision

    revision = checkout_revision(short=True) if checkout() is not None else None
    click.echo(f"finewave, version {finewave.__version__}" + (f" (revision {revision})" if revision else ""))
    context.exit()


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=example("finewave predict photo.jpg -o photo.tif --model jssunet-photo-x4"),
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Show it.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks and all warnings.")
@click.option("--quiet", is_flag=True, expose_value=False, help="Print results, warnings and errors alone.")
def main() -> None:
    """From a low-resolution multispectral image to a high-resolution hyperspectral one."""


for _command in (
    demo,
    models,
    train,
    fit,
    evaluate,
    predict,
    anchors,
    info,
    compare,
    export,
    calibrate,
    data,
    sensors,
    bench,
    study,
    figure,
    report,
    view,
    completion,
):
    main.add_command(_command)
