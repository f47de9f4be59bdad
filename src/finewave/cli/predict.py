"""``finewave predict``."""

from __future__ import annotations

from pathlib import Path

import click

from finewave.allocator import keep_freed_memory
from finewave.cli.completion import model_names, output_formats
from finewave.cli.options import example, numbers_or_file, pooling_option, precision_option
from finewave.cli.progress import Progress
from finewave.cli.streams import json_option, print_json, working


@click.command(epilog=example("finewave predict photo.jpg -o photo.tif --model jssunet-photo-x4"))
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File, or folder.")
@click.option(
    "--model",
    required=True,
    shell_complete=model_names,
    help="Name, folder, .safetensors file or hf:owner/name; see finewave models.",
)
@click.option("--guide", type=click.Path(path_type=Path), help="HR-MSI (fusion) or RGB reference (refsr).")
@click.option(
    "--format", "suffix", default=".tif", show_default=True, shell_complete=output_formats, help="Of files in a folder."
)
@click.option("--wavelengths", help="Band centres in nm of the input, comma-separated, or a CSV file.")
@click.option("--variable", help="Array of the input, where its file holds several (NetCDF, HDF5, MATLAB, ...).")
@click.option("--guide-variable", help="The same of the guide.")
@click.option("--engine", help="Installed xarray engine that opens the input, e.g. cfgrib.")
@click.option("--full-scale", type=float, help="The stored number that stands for 1.0 in the input.")
@click.option("--guide-full-scale", type=float, help="The same of the guide.")
@click.option("--tile", type=click.IntRange(min=16), help="Tile side, in input pixels.  [default: 512 output pixels]")
@click.option("--halo", default="exact", show_default=True, help="Seen around a tile: exact, fast, or input pixels.")
@pooling_option(default="local")
@precision_option(default="auto")
@click.option("--consistent", is_flag=True, help="Degraded again, the result gives back the input.")
@click.option("--self-ensemble", is_flag=True, help="Mean over eight flips and rotations.")
@click.option("--uncertainty", is_flag=True, help="Their spread, in OUTPUT.uncertainty.EXTENSION.")
@click.option("--quality", is_flag=True, help="Scores without a reference, in OUTPUT.quality.json.")
@click.option("--clip", type=(float, float), metavar="LOW HIGH", help="Cut values to this range.")
@click.option("--dtype", help="Of the stored numbers, e.g. uint16.  [default: float32]")
@click.option("--output-full-scale", type=float, help="The number to store for 1.0 in the output.")
@click.option("--nodata", type=float, help="The stored number for missing pixels.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes that share the work.")
@click.option("--cluster", help="Dask scheduler whose workers do it, e.g. tcp://host:8786.")
@click.option("--device", help="Where the network runs, e.g. cuda.")
@click.option("--restart", is_flag=True, help="Throw away the tiles of an earlier, unfinished run.")
@click.option("--overwrite", is_flag=True, help="Let OUTPUT replace INPUT, if they are the same.")
@json_option
def predict(
    source: Path,
    output: Path,
    model: str,
    guide: Path | None,
    suffix: str,
    wavelengths: str | None,
    variable: str | None,
    guide_variable: str | None,
    engine: str | None,
    full_scale: float | None,
    guide_full_scale: float | None,
    tile: int | None,
    halo: str,
    pooling: str,
    precision: str,
    consistent: bool,
    self_ensemble: bool,
    uncertainty: bool,
    quality: bool,
    clip: tuple[float, float] | None,
    dtype: str | None,
    output_full_scale: float | None,
    nodata: float | None,
    workers: int | None,
    cluster: str | None,
    device: str | None,
    restart: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Apply a model to files.

    INPUT is a file or a folder of files. The output's format is that of its extension: .tif, .nc, .zarr,
    .h5, .mat, .hdr, ... If OUTPUT has no extension it is a folder, and each file in the folder INPUT becomes
    one in OUTPUT. A model that takes two images gets the second, a file or a folder, by --guide.

    Scenes of any size are processed in tiles. A run that was stopped goes on where it was, if the same command is
    given again.
    """
    from finewave.inference.predict import predict_file

    keep_freed_memory()
    with working(as_json), Progress("predict") as progress:
        written = predict_file(
            source,
            output,
            model,
            guide=guide,
            suffix=suffix,
            wavelengths=numbers_or_file(wavelengths),
            variable=variable,
            guide_variable=guide_variable,
            engine=engine,
            full_scale=full_scale,
            guide_full_scale=guide_full_scale,
            tile=tile,
            halo=int(halo) if halo.isdecimal() else halo,
            pooling=pooling,
            precision=precision,
            consistent=consistent,
            self_ensemble=self_ensemble,
            uncertainty=uncertainty,
            quality=quality,
            clip=clip,
            dtype=dtype,
            output_full_scale=output_full_scale,
            nodata=nodata,
            workers=workers,
            cluster=cluster,
            device=device,
            restart=restart,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        return print_json({"model": model, "written": written})
    for path in written:
        click.echo(str(path))
    return None
