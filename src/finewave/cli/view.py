"""``finewave view``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from finewave.cli.terminal.shared_options import example
from finewave.extras import check_extra


@click.command(epilog=example("finewave view out.tif --input lr.tif --reference gt.tif", "finewave view"))
@click.argument("result", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--input", "source", metavar="LR", type=click.Path(path_type=Path), help="Input of the model that made FILE."
)
@click.option("--reference", metavar="GT", type=click.Path(path_type=Path), help="What FILE should be.")
@click.option(
    "--uncertainty",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Half-widths of the errors of FILE.  [default: FILE.uncertainty.EXTENSION beside it, if there]",
)
@click.option(
    "--library",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Measured spectra to compare with: .sli, text, or spots as --anchors takes them; may be repeated.",
)
@click.option("--port", type=click.IntRange(0, 65535), help="0 for any that is free.  [default: 5006, else any]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; the default is private.")
@click.option("--model", "models", multiple=True, help="Your own weights to offer for uploads; may be repeated.")
@click.option("--no-browser", is_flag=True, help="Print the page's address without opening it.")
def view(
    result: Path,
    source: Path | None,
    reference: Path | None,
    uncertainty: Path | None,
    library: tuple[Path, ...],
    port: int | None,
    host: str,
    models: tuple[str, ...],
    no_browser: bool,
) -> None:
    """Look at FILE in a browser; without FILE the page asks for one.

    A page on this machine shows it in true, false or single-band colours, beside its input and reference: swipe, zoom,
    spectra by a click, maps of error and spectral angle. Photographs dropped on the page are processed by a model.
    """
    check_extra("view", "finewave view")
    from finewave.viz.server.server import serve

    def ready(address: str) -> None:
        click.echo(f"{address}  (Ctrl-C ends)")
        if not no_browser:
            import webbrowser

            webbrowser.open(address)

    ended = serve(
        result,
        source,
        reference,
        half_width=uncertainty,
        library=library,
        host=host,
        port=port,
        models=models,
        ready=ready,
    )
    if not ended:
        # PyTorch aborts the process if Python ends while a network computes in a thread
        sys.stdout.flush()
        os._exit(0)
