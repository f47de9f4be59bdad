"""``finewave figure``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from finewave.cli.terminal.shared_options import example
from finewave.cli.terminal.streams import json_option, print_json
from finewave.errors import InputError
from finewave.extras import check_extra

PAIR = re.compile(r"-?\d+,-?\d+")


class PointsCommand(click.Command):
    """A command whose ``--points`` takes several values: ``--points 10,20 30,40``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further point, as click expects."""
        plain: list[str] = []
        inside = False
        for word in args:
            if inside and PAIR.fullmatch(word) and plain[-1] != "--points":
                plain.append("--points")
            elif not (inside and plain[-1] == "--points"):
                inside = word == "--points" or word.startswith("--points=")
            plain.append(word)
        return super().parse_args(ctx, plain)


@click.command(
    cls=PointsCommand, epilog=example("finewave figure out.tif --reference gt.tif --region 40,60,96,96 -o figure.png")
)
@click.argument("results", metavar="RESULT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="A .pdf or a .png.")
@click.option("--reference", type=click.Path(path_type=Path), help="The truth: error maps, PSNR, SAM.")
@click.option("--input", "observed", type=click.Path(path_type=Path), help="Input of the models.")
@click.option("--labels", metavar="TEXT,...", help="One a result.  [default: names of the files]")
@click.option(
    "--rgb", nargs=3, type=float, metavar="NM NM NM", help="Bands shown, nm or numbers.  [default: true colour]"
)
@click.option("--region", metavar="X,Y,W,H", help="Magnified part, in pixels.  [default: most contrast]")
@click.option("--points", multiple=True, metavar="X,Y ...", help="Of the spectra; none for none.  [default: four]")
@click.option("--convention", default="finewave", show_default=True, help="Of PSNR and SAM.")
@click.option("--title", default="", help="Above the figure.")
@click.option("--dpi", type=click.IntRange(30, 1200), default=300, show_default=True, help="Of a PNG.")
@json_option
def figure(
    results: tuple[Path, ...],
    output: Path,
    reference: Path | None,
    observed: Path | None,
    labels: str | None,
    rgb: tuple[float, float, float] | None,
    region: str | None,
    points: tuple[str, ...],
    convention: str,
    title: str,
    dpi: int,
    as_json: bool,
) -> None:
    """Draw the figure of a publication.

    Results of one size side by side, with reference and input where given; a magnified part, the error of each pixel on
    a common scale, and spectra at points. Prints the caption.
    """
    check_extra("view", "finewave figure")
    from finewave.viz.figure.figure import make_figure

    made = make_figure(
        results,
        output,
        observed=observed,
        reference=reference,
        labels=None if labels is None else [label.strip() for label in labels.split(",")],
        rgb=rgb,
        region=None if region is None else _region(region),
        points=_points(points),
        convention=convention,
        title=title,
        dpi=dpi,
    )
    if as_json:
        return print_json({"written": made.path, "caption": made.caption})
    click.echo(made.caption)
    return click.echo(f"written: {made.path}")


def _region(text: str) -> tuple[int, int, int, int]:
    numbers = _integers(text, 4, "--region", "x,y,width,height in pixels, for instance 40,60,96,96")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _points(texts: tuple[str, ...]) -> list[tuple[int, int]] | None:
    if texts == ("none",):
        return []
    points = []
    for text in (part for each in texts for part in each.split()):
        x, y = _integers(text, 2, "--points", "x,y in pixels, for instance --points 40,60 12,80")
        points.append((x, y))
    return points or None


def _integers(text: str, count: int, option: str, form: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise InputError(f"{option} {text!r} is not understood; give {form}")
    return numbers
