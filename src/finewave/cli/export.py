"""``finewave export``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from finewave.cli.terminal.completion import model_names
from finewave.cli.terminal.shared_options import example, pooling_option
from finewave.cli.terminal.streams import json_option, print_json, working
from finewave.errors import InputError


@click.command(epilog=example("finewave export jssunet-cave-x4 -o jssunet-cave-x4.onnx --size 64x64"))
@click.argument("model", shell_complete=model_names)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File, .onnx or .pt2.")
@click.option("--size", metavar="HEIGHTxWIDTH", help="Of the first input, for a file that takes this size alone.")
@pooling_option(default="image")
@click.option("--for", "target", type=click.Choice(("deepness",)), help="Fit the plugin Deepness of QGIS.")
@click.option(
    "--full-scale", type=float, help="For Deepness: the layer's number that represents 1.  [default: 255, of 8 bits]"
)
@click.option("--stac", is_flag=True, help="Write a STAC item of the model beside it.")
@json_option
def export(
    model: str,
    output: Path,
    size: str | None,
    pooling: str,
    target: str | None,
    full_scale: float | None,
    stac: bool,
    as_json: bool,
) -> None:
    """Write a network for other programs: as ONNX (.onnx) or for torch.export (.pt2).

    MODEL is a name, a folder, a .safetensors file or hf:owner/name. The file takes images of any size where the network
    allows it, its output is compared with PyTorch's, and bands, wavelengths, sensor and card are in its metadata.
    """
    from finewave.zoo.exports.export import export as run

    with working(as_json):
        written = run(
            model, output, size=_pixels(size), pooling=pooling, target=target, full_scale=full_scale, stac=stac
        )
    if as_json:
        return print_json({"written": written.path, "size": written.size, "difference": written.difference})
    size_text = "any size" if written.size is None else f"{written.size[0]} x {written.size[1]} pixels"
    return click.echo(f"{written.path}: {size_text}, within {written.difference:.1g} of PyTorch")


def _pixels(text: str | None) -> tuple[int, int] | None:
    """Return height and width from ``"64x48"``."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)[x×](\d+)", text)
    if match is None:
        raise InputError(f"--size {text} is not a size; height and width in pixels are expected, as in 64x48")
    return int(match[1]), int(match[2])
