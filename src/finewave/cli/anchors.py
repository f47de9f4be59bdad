"""``finewave anchors``: where to measure."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from finewave.cli.terminal.completion import model_names, sensor_names
from finewave.cli.terminal.shared_options import COUNT, example, numbers_or_file
from finewave.cli.terminal.streams import json_option, print_json
from finewave.cli.terminal.table import table


@click.command(
    epilog=example("finewave anchors scene.tif -n 8 --model jssunet-cave-x4 -o places.gpx --picture places.png")
)
@click.argument("scene", type=click.Path(path_type=Path))
@click.option("-n", "--number", type=COUNT, default=8, show_default=True, help="How many places.")
@click.option("--model", required=True, shell_complete=model_names, help="Whose result will be corrected.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Places: .csv, .geojson or .gpx.")
@click.option("--picture", type=click.Path(path_type=Path), help="Image with the places, .png or .jpg.")
@click.option("--wavelengths", help="Band centres in nm of the scene, comma-separated, or a CSV file.")
@click.option("--sensor", shell_complete=sensor_names, help="For any-sensor: whose bands the scene has.")
@click.option("--full-scale", type=float, help="The stored number that represents 1.0 in the scene.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another choice among places as good.")
@json_option
def anchors(
    scene: Path,
    number: int,
    model: str,
    output: Path | None,
    picture: Path | None,
    wavelengths: str | None,
    sensor: str | None,
    full_scale: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Say where in SCENE to measure spectra, the most useful place first.

    Places are flat, bright enough and far from edges, chosen from the image alone. Spectra measured there correct the
    result: finewave predict SCENE --anchors FILE.
    """
    from finewave.errors import InputError
    from finewave.inference.spots.where_to_measure import model_to_correct, where_to_measure
    from finewave.io.ground.place_files import write_places
    from finewave.io.open_save import open_scene

    if picture is not None and picture.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"--picture {picture}: a name that ends in .png or .jpg is accepted")
    with open_scene(scene, wavelengths=numbers_or_file(wavelengths), full_scale=full_scale) as opened:
        corrected = model_to_correct(opened, model, sensor)
        places = where_to_measure(opened, corrected, number, seed=seed)
        if output is not None:
            write_places([asdict(each) for each in places], output)
        if picture is not None:
            from finewave.viz.measuring_places import draw_places

            draw_places(opened, places, corrected.upscaling, picture)
    written = [path for path in (output, picture) if path is not None]
    if as_json:
        return print_json({"places": [asdict(each) for each in places], "written": written})
    on_map = places[0].x is not None
    rows = [
        (
            str(each.number),
            *((f"{each.x:.2f}", f"{each.y:.2f}") if on_map else (f"{each.column:g}", f"{each.row:g}")),
            f"{each.gain:.1f}",
        )
        for each in places
    ]
    click.echo(
        table(("place", *(("x", "y") if on_map else ("column", "row")), "expected gain / dB"), rows, right=range(4))
    )
    for path in written:
        click.echo(f"written: {path}")
    return None
