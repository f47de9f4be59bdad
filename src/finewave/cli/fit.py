"""``finewave fit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from finewave.cli.terminal.completion import datasets_and_files, model_names, sensor_names
from finewave.cli.terminal.shared_options import COUNT, PROCESSES, example, numbers_or_file
from finewave.cli.terminal.streams import json_option, note, print_json, working
from finewave.cli.terminal.table import table
from finewave.process.allocator import keep_freed_memory

if TYPE_CHECKING:
    from finewave.zoo.card import Card


@click.command(epilog=example("finewave fit flight.tif --sensor sentinel2a:B2,B3,B4,B8 --scale 4 -o my-model"))
@click.argument("scenes", nargs=-1, metavar="SCENE...", shell_complete=datasets_and_files)
@click.option(
    "--sensor", shell_complete=sensor_names, help="Whose MS bands are simulated: a name, a .csv or a .yaml file."
)
@click.option("--sensor-bands", metavar="BAND,...", help="Only these bands of it, e.g. B2,B3,B4,B8.")
@click.option("--scale", required=True, type=int, help="s >= 2, or 1 for spectra alone.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the model.")
@click.option("--msi", multiple=True, metavar="FILE", help="Measured MS image of the same pixels, one for each SCENE.")
@click.option("--system", help="Network.  [default: sr-ssr; jssunet-ssr at scale 1; bandwise-sr without MS images]")
@click.option(
    "--from",
    "start",
    metavar="MODEL",
    shell_complete=model_names,
    help="Trained model to start from: a name or a folder.",
)
@click.option("--mtf", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="At Nyquist, of LR pixels.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Length of the training.")
@click.option(
    "--steps", type=COUNT, help="The same in steps; with --minutes, at most. Refused by what is solved in one go."
)
@click.option("--wavelengths", help="Band centres in nm of the scenes, comma-separated, or a CSV file.")
@click.option("--full-scale", type=float, help="The stored number that represents 1.0.")
@click.option("--devices", type=PROCESSES, default=1, show_default=True, help="GPUs that share the work.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Replace a value of the recipe.")
@json_option
def fit(
    scenes: tuple[str, ...],
    sensor: str | None,
    sensor_bands: str | None,
    scale: int,
    output: Path,
    msi: tuple[str, ...],
    system: str | None,
    start: str | None,
    mtf: float | None,
    minutes: float | None,
    steps: int | None,
    wavelengths: str | None,
    full_scale: float | None,
    devices: int,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train a network on your own hyperspectral scenes, for any sensor.

    Each SCENE is a file that finewave opens; alternatively give one name of a prepared data set. The MS images are
    simulated by the sensor's response and MTF, unless measured ones are given with --msi. Blocks of each scene are held
    out for validation; at the end the scores on them are printed, with those of bicubic interpolation and regression.
    KEY=VALUE arguments may be mixed with the scenes, as in finewave train.

    The folder is a model for finewave predict. The same command resumes after a kill.
    """
    from finewave.training.fit import FitOptions
    from finewave.training.fit import fit as run

    files = [scene for scene in scenes if not _is_override(scene)]
    options = FitOptions(
        scale=scale,
        sensor=sensor,
        sensor_bands=tuple(band.strip() for band in (sensor_bands or "").split(",") if band.strip()),
        msi=msi,
        mtf=mtf,
        system=system,
        start=start,
        wavelengths=numbers_or_file(wavelengths),
        full_scale=full_scale,
        minutes=minutes,
        steps=steps,
        devices=devices,
        overrides=(*overrides, *(scene for scene in scenes if _is_override(scene))),
    )
    keep_freed_memory()
    with working(as_json):
        model = run(files, output, options, progress=note)
    assert model.card is not None
    if as_json:
        return print_json({"model": output, "metrics": model.card.metrics})
    if kept := _kept(model.card):
        click.echo(kept)
    click.echo(_scores(model.card))
    return click.echo(f"fitted: {output}")


def _is_override(word: str) -> bool:
    key, equals, _ = word.partition("=")
    return bool(equals) and key.split(".")[0].isidentifier() and not Path(word).exists()


def _kept(card: Card) -> str | None:
    """Return what is to be known first if the network is not the model."""
    ((_, scores),) = (card.metrics or {}).items()
    if "kept" not in scores:
        return None
    network, floor = scores["network"]["psnr"], scores["mean"]["psnr"]
    return (
        f"kept as the model: {scores['kept']}, with {floor:.2f} dB on the validation blocks better than the network "
        f"({network:.2f} dB); train longer, or on more scenes"
    )


def _scores(card: Card) -> str:
    """Return the scores on the validation blocks as a table."""
    ((_, scores),) = (card.metrics or {}).items()
    rows: dict[str, dict[str, Any]] = {
        "network" if "kept" in scores else "fitted": scores.get("network", scores["mean"])
    }
    rows |= scores.get("baselines") or {scores["baseline"]["name"]: scores["baseline"]["mean"]}
    names = list(scores["mean"])
    lines = [(label, *(f"{row[name]:.4g}" for name in names)) for label, row in rows.items()]
    return table(("validation", *names), lines, right=range(1, len(names) + 1))
