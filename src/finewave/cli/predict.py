"""``finewave predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from finewave.cli.terminal.completion import model_names, output_formats, sensor_names
from finewave.cli.terminal.progress import Progress
from finewave.cli.terminal.shared_options import (
    PIXEL,
    PROCESSES,
    example,
    numbers_or_file,
    numbers_or_names,
    pooling_option,
    precision_option,
)
from finewave.cli.terminal.streams import json_option, print_json, working
from finewave.process.allocator import keep_freed_memory
from finewave.process.collector import paused_collector

KERNELS = ("gaussian", "bicubic", "bicubic-no-antialias", "bilinear-no-antialias")
"""Kernels of `finewave.physics.degradation` without further parameters, repeated here to avoid loading NumPy."""


@click.command(epilog=example("finewave predict photo.jpg -o photo.tif --model jssunet-photo-x4"))
@click.argument("sources", metavar="INPUT...", nargs=-1, required=True, type=click.Path())  # or URLs: no Path
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File, or folder.")
@click.option(
    "--model",
    required=True,
    shell_complete=model_names,
    help="Name, folder, .safetensors file or hf:owner/name; see finewave models.",
)
@click.option("--guide", type=click.Path(), help="HR-MSI (fusion) or RGB reference (refsr).")
@click.option(
    "--format", "suffix", default=".tif", show_default=True, shell_complete=output_formats, help="Of files in a folder."
)
@click.option(
    "--wavelengths",
    help="Band centres in nm of the input, comma-separated, or a CSV file; with any-sensor those of the output, "
    "430:860:5 for instance, or a sensor's.",
)
@click.option("--variable", help="Array to use if the input has several (NetCDF, HDF5, MATLAB, ...).")
@click.option("--guide-variable", help="The same of the guide.")
@click.option("--engine", help="Installed xarray engine that opens the input, e.g. cfgrib.")
@click.option("--band-axis", type=int, help="Which axis of an array (HDF5, NetCDF, MATLAB, NumPy) is the band, from 0.")
@click.option("--mask-clouds", is_flag=True, help="Blank clouds and shadows (Sentinel-2, Landsat, EnMAP, Planet).")
@click.option("--orthorectify", is_flag=True, help="Bring a swath (EMIT) on the map of its lookup table.")
@click.option(
    "--resolution", type=float, help="Pixel size that bands at several are brought to.  [default: the finest]"
)
@click.option("--full-scale", type=float, help="The stored number that represents 1.0 in the input.")
@click.option("--guide-full-scale", type=float, help="The same of the guide.")
@click.option(
    "--sensor",
    shell_complete=sensor_names,
    help="For baselines and any-sensor: sensor of the MS bands, e.g. sentinel2a:B2,B3,B4.",
)
@click.option(
    "--scale",
    type=float,
    help="Of a baseline: s.  [default for fusion: of the two images]  Of any-sensor: 1 to 8, 3.7 for instance.",
)
@click.option("--kernel", type=click.Choice(KERNELS), help="Of a baseline: blur of the LR image.  [default: gaussian]")
@click.option(
    "--spectra", type=click.Path(path_type=Path), help="Of a baseline: HS scene or dataset that it learns from."
)
@click.option("--window", type=(PIXEL, PIXEL, PIXEL, PIXEL), metavar="C0 R0 C1 R1", help="Part of the input in pixels.")
@click.option("--bbox", type=(float, float, float, float), metavar="X0 Y0 X1 Y1", help="The same in map coordinates.")
@click.option("--bands", metavar="BAND,...", help="Bands of the output to keep: wavelengths in nm, or names.")
@click.option("--tile", type=click.IntRange(min=16), help="Tile side, in input pixels.  [default: 512 output pixels]")
@click.option("--memory", metavar="SIZE", help="That the run may take, e.g. 4G: tiles are as large as it allows.")
@click.option("--halo", default="auto", show_default=True, help="Seen around a tile: auto, exact, fast, input pixels.")
@pooling_option(default=None, by_default="  [default: local; of an exported model, its own]")
@precision_option(default="auto")
@click.option("--anchors", type=click.Path(path_type=Path), help="Spots with known spectra: .csv, .geojson or .gpkg.")
@click.option(
    "--consistent", is_flag=False, flag_value="damped", metavar="[exact|noise=SD,blur=FWHM,doubt=PART]",
    help="Bring the degraded result nearer to the input, without noise and doubtful blur; exact: make it equal.",
)  # fmt: skip
@click.option("--self-ensemble", is_flag=True, help="Mean over eight flips and rotations.")
@click.option("--spread", is_flag=True, help="Their standard deviation, in OUTPUT.spread.EXTENSION.")
@click.option(
    "--uncertainty", is_flag=False, flag_value=0.9, type=float, metavar="[SHARE]",
    help="Half-widths that hold 90 % of the errors, or SHARE, in OUTPUT.uncertainty.EXTENSION.",
)  # fmt: skip
@click.option("--quality", is_flag=True, help="Scores without a reference, in OUTPUT.quality.json.")
@click.option("--stac", is_flag=True, help="A STAC item beside it, OUTPUT.stac.json.")
@click.option("--eopf", is_flag=True, help="It once more as Zarr of ESA's EOPF, OUTPUT.eopf.zarr.")
@click.option("--clip", type=(float, float), metavar="LOW HIGH", help="Cut values to this range.")
@click.option("--dtype", help="Of the stored numbers, e.g. uint16.  [default: float32]")
@click.option("--output-full-scale", type=float, help="The number to store for 1.0 in the output.")
@click.option("--nodata", type=float, help="The stored number for missing pixels.")
@click.option("--interleave", type=click.Choice(["band", "pixel"]), help="Interleaving; beyond 4 bands: band.")
@click.option("--workers", type=PROCESSES, help="Processes that share the work.")
@click.option("--cluster", help="Dask scheduler to use, e.g. tcp://host:8786.")
@click.option("--device", help="Where the network runs, e.g. cuda.")
@click.option("--restart", is_flag=True, help="Throw away the tiles of an earlier, unfinished run.")
@click.option("--overwrite", is_flag=True, help="Let OUTPUT replace INPUT, if they are the same.")
@json_option
def predict(sources: tuple[str, ...], output: Path, model: str, as_json: bool, **options: Any) -> None:
    """Apply a model to files.

    INPUT is a file, a URL or cloud path, a STAC item, or a folder of files. The output's format is that of its
    extension: .tif, .nc, .zarr, .h5, .mat, .hdr, ... If OUTPUT has no extension it is a folder, and each of several
    INPUTs, or each file in the folder INPUT, becomes one in OUTPUT. A model that takes two images gets the second, a
    file or a folder, by --guide.

    Baselines are models, too: bicubic and ibp need --scale, gsa, cnmf and local-regression a --guide, and ridge,
    quadratic, root-polynomial, ridge-knn and knn learn from the spectra of a scene or dataset, --spectra, observed by
    --sensor.

    any-sensor stands for the weights any-sensor-..., of which bands and pixels of the scene choose one: for the bands
    of any sensor, by --sensor if the input does not name it, to any --wavelengths and by any --scale.

    Scenes of any size are processed in tiles. A run that was stopped resumes if the same command is given again.
    """
    keep_freed_memory()
    options["wavelengths"] = numbers_or_file(options["wavelengths"])
    options["bands"] = numbers_or_names(options["bands"])
    options["consistent"] = {None: False, "damped": True}.get(options["consistent"], options["consistent"])
    halo = options["halo"]
    options["halo"] = int(halo) if halo.isdecimal() else halo
    with working(as_json), paused_collector(), Progress("predict") as progress:
        from finewave.inference.predict import predict_file

        written = predict_file(sources, output, model, progress=progress, say=progress.note, **options)
    if as_json:
        return print_json({"model": model, "written": written})
    for path in written:
        click.echo(str(path))
    return None
