"""``finewave predict``."""

from __future__ import annotations

from pathlib import Path

import click

from finewave.cli.options import precision_option
from finewave.cli.progress import Progress


@click.command()
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File, or folder.")
@click.option("--model", required=True, help="Name, folder or .safetensors file; see `finewave models`.")
@click.option("--guide", type=click.Path(path_type=Path), help="HR-MSI (fusion) or RGB reference (refsr).")
@click.option("--format", "suffix", default=".tif", show_default=True, help="Of files in a folder.")
@click.option("--wavelengths", help="Band centres in nm of the input, comma-separated, or a CSV file.")
@click.option("--tile", type=click.IntRange(min=16), help="Tile side, in input pixels.")
@precision_option(default="auto")
def predict(
    source: Path,
    output: Path,
    model: str,
    guide: Path | None,
    suffix: str,
    wavelengths: str | None,
    tile: int | None,
    precision: str,
) -> None:
    """Apply a model to files.

    INPUT is a file or a folder of files. The output's format is that of its extension: .tif, .nc, .zarr,
    .h5, .mat, .hdr, ... If OUTPUT has no extension it is a folder, and each file in the folder INPUT becomes
    one in OUTPUT. A model that takes two images gets the second, a file or a folder, by --guide.
    """
    from finewave.inference.files import predict_file

    with Progress("predict") as progress:
        written = predict_file(
            source,
            output,
            model,
            guide=guide,
            suffix=suffix,
            wavelengths=_numbers(wavelengths),
            tile=tile,
            precision=precision,
            progress=progress,
        )
    for path in written:
        click.echo(str(path))


def _numbers(text: str | None) -> list[float] | str | None:
    """Return wavelengths from ``"490, 560"``; anything else names a file."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return text
