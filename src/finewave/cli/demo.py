"""``finewave demo``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from finewave.cli.terminal.completion import model_names
from finewave.cli.terminal.progress import Progress
from finewave.cli.terminal.shared_options import example
from finewave.cli.terminal.streams import json_option, print_json, working
from finewave.extras import check_extra
from finewave.process.allocator import keep_freed_memory


@click.command(epilog=example("finewave demo --image photo.jpg --out mine"))
@click.option("--out", default="demo", show_default=True, type=click.Path(path_type=Path), help="Output folder.")
@click.option("--image", type=click.Path(path_type=Path), help="Another photograph than the one that ships.")
@click.option(
    "--model",
    default="residual-sr-photo-x4",
    show_default=True,
    shell_complete=model_names,
    help="Name, folder or file.",
)
@json_option
def demo(out: Path, image: Path | None, model: str, as_json: bool) -> None:
    """Make a hyperspectral image of a photograph.

    31 bands at four times the resolution, with a picture to look at. Nothing is downloaded or opened.
    """
    check_extra("demo", "finewave demo")
    from finewave.viz.demo import run_demo

    keep_freed_memory()
    with working(as_json), Progress("demo") as progress:
        click.echo(f"a photograph through {model}; this takes up to a minute ...")
        outcome = run_demo(out, image=image, model=model, progress=progress)
    if as_json:
        return print_json(asdict(outcome))
    return click.echo(outcome.summary())
