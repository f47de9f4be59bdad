"""``finewave info``: the facts read from a file."""

from __future__ import annotations

from typing import Any

import click

from finewave.cli.terminal.shared_options import example, numbers_or_file
from finewave.cli.terminal.streams import json_option, print_json
from finewave.cli.terminal.table import table

_LONGEST = 6


@click.command(epilog=example("finewave info scene.nc --variable reflectance"))
@click.argument("file", type=click.Path())
@click.option("--variable", help="Array to use if the file has several.")
@click.option("--engine", help="Installed xarray engine that opens the file, e.g. cfgrib.")
@click.option("--band-axis", type=int, help="Which axis of an array (HDF5, NetCDF, MATLAB, NumPy) is the band, from 0.")
@click.option("--orthorectify", is_flag=True, help="Bring a swath (EMIT) on the map of its lookup table.")
@click.option("--resolution", type=float, help="Pixel size that bands at several are brought to.")
@click.option("--wavelengths", help="Band centres in nm, comma-separated, or a CSV file; override those of the file.")
@click.option("--full-scale", type=float, help="The stored number that represents 1.0.")
@json_option
def info(
    file: str,
    variable: str | None,
    engine: str | None,
    band_axis: int | None,
    resolution: float | None,
    orthorectify: bool,
    wavelengths: str | None,
    full_scale: float | None,
    as_json: bool,
) -> None:
    """Show the facts read from FILE: bands, wavelengths, scale, georeference, sensor, and which models fit."""
    from finewave.inference.file_info import info as info_of

    facts = info_of(
        file,
        variable=variable,
        engine=engine,
        band_axis=band_axis,
        resolution=resolution,
        orthorectify=orthorectify,
        wavelengths=numbers_or_file(wavelengths),
        full_scale=full_scale,
    )
    if as_json:
        return print_json(facts)
    models, notes = facts.pop("models"), facts.pop("warnings")
    rows = [(key.replace("_", " "), _shown(value)) for key, value in facts.items()]
    click.echo("\n".join(f"{key:<15} {value}" for key, value in rows))
    for note in notes:
        click.echo(f"{'note':<15} {note}")
    lines = [(each["name"], each["task"], "yes" if each["fits"] else "no", each["why"]) for each in models]
    if lines:
        click.echo("\n" + table(("model", "task", "fits", "why"), lines))
    return None


def _shown(value: Any) -> str:
    if value is None:
        return "not stated"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        if value and isinstance(value[0], bool):
            bad = [i for i, good in enumerate(value, start=1) if not good]
            return "all" if not bad else f"all but {', '.join(map(str, bad[:20]))}"
        texts = [f"{each:.10g}" if isinstance(each, float) else str(each) for each in value]
        return ", ".join(texts if len(texts) <= _LONGEST else [*texts[:3], "...", *texts[-2:]])
    return f"{value:.10g}" if isinstance(value, float) else str(value)
