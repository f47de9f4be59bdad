"""``finewave demo``."""

from __future__ import annotations

from pathlib import Path

import click

from finewave.cli.progress import Progress


@click.command()
@click.option("--out", default="demo", show_default=True, type=click.Path(path_type=Path), help="Output folder.")
@click.option("--image", type=click.Path(path_type=Path), help="Another photograph than the one that ships.")
@click.option("--model", default="jssunet-photo-x4", show_default=True, help="Name, folder or file.")
def demo(out: Path, image: Path | None, model: str) -> None:
    """Make a hyperspectral image of a photograph.

    31 bands at four times the resolution, with a picture to look at. Nothing is downloaded or opened.
    """
    from finewave.inference.demo import run_demo

    click.echo(f"a photograph through {model}; this takes up to a minute ...")
    with Progress("demo") as progress:
        outcome = run_demo(out, image=image, model=model, progress=progress)
    click.echo(outcome.summary())
