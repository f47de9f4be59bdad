"""``finewave sensors``: lists cameras and satellites with their bands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from finewave.cli.terminal.completion import sensor_names
from finewave.cli.terminal.shared_options import example
from finewave.cli.terminal.streams import json_option, print_json
from finewave.cli.terminal.table import table

if TYPE_CHECKING:
    from finewave.physics.sensors import Sensor

OWN = "your own sensor is a CSV file with curves or a YAML file with centres and widths, by its path: docs/sensors.md"


@click.command(epilog=example("finewave sensors sentinel2a --figure curves.png"))
@click.argument("name", required=False, shell_complete=sensor_names)
@click.option("--figure", type=click.Path(path_type=Path), help="Draw the curves: a .pdf or a .png.")
@json_option
def sensors(name: str | None, figure: Path | None, as_json: bool) -> None:
    """List sensors, or the bands of one: NAME, a CSV or YAML file, or some bands as in sentinel2a:B2,B3,B4."""
    from finewave.errors import InputError
    from finewave.physics.sensors import get_sensor, list_sensors

    if name is None:
        if figure is not None:
            raise InputError("--figure draws the curves of one sensor: finewave sensors NAME --figure curves.png")
        known = {each: get_sensor(each) for each in list_sensors()}
        if as_json:
            return print_json([{"name": each, **_summary(sensor)} for each, sensor in known.items()])
        rows = [(each, str(len(sensor.bands)), _range(sensor), sensor.description) for each, sensor in known.items()]
        click.echo(table(("name", "bands", "nm", "what"), rows, right=(1,)))
        return click.echo(OWN)
    sensor = get_sensor(name)
    if figure is not None:
        from finewave.extras import check_extra

        check_extra("view", "finewave sensors --figure")
        from finewave.viz.figure.sensor_curves import draw_sensor

        draw_sensor(sensor, figure)
    if as_json:
        written = {} if figure is None else {"written": figure}
        return print_json({"name": sensor.name, **_summary(sensor), "each": _bands(sensor), **written})
    click.echo(f"{sensor.name}: {sensor.description}\nsource: {sensor.source}")
    lines = [
        tuple("" if value is None else f"{value:g}" for value in list(each.values())[1:]) for each in _bands(sensor)
    ]
    per_band = [(band, *rest) for band, rest in zip(sensor.bands, lines, strict=True)]
    click.echo(table(("band", "centre (nm)", "width (nm)", "pixel (m)", "MTF"), per_band, right=(1, 2, 3, 4)))
    return None if figure is None else click.echo(f"written: {figure}")


def _summary(sensor: Sensor) -> dict[str, Any]:
    return {
        "description": sensor.description,
        "source": sensor.source,
        "bands": list(sensor.bands),
        "wavelengths_nm": [float(sensor.wavelengths[0]), float(sensor.wavelengths[-1])],
    }


def _range(sensor: Sensor) -> str:
    return f"{sensor.wavelengths[0]:.0f}-{sensor.wavelengths[-1]:.0f}"


def _bands(sensor: Sensor) -> list[dict[str, Any]]:
    """Return name, centre, full width at half maximum, pixel size and MTF of each band; None if unknown."""
    count = len(sensor.bands)
    found = zip(
        sensor.bands,
        sensor.centres,
        sensor.widths,
        sensor.ground_sampling_distances or (None,) * count,
        sensor.mtf or (None,) * count,
        strict=True,
    )
    keys = ("band", "centre_nm", "width_nm", "pixel_m", "mtf")
    return [
        dict(zip(keys, (band, round(float(centre), 1), round(float(width), 1), pixel, mtf), strict=True))
        for band, centre, width, pixel, mtf in found
    ]
