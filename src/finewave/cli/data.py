"""``finewave data``: datasets on disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from finewave.cli.terminal.completion import dataset_names, datasets_and_files, sensor_names
from finewave.cli.terminal.progress import Progress
from finewave.cli.terminal.shared_options import example
from finewave.cli.terminal.streams import json_option, print_json, working
from finewave.cli.terminal.table import table
from finewave.errors import InputError

if TYPE_CHECKING:
    from finewave.datasets.base import Dataset


@click.group(epilog=example("finewave data prepare cave --from path/to/CAVE"))
def data() -> None:
    """Datasets: list, show, download, prepare."""


@data.command("list", epilog=example("finewave data list"))
@json_option
def list_(as_json: bool) -> None:
    """List the datasets: bands, split, sensor, licence, and whether they are ready for training."""
    from finewave.datasets.registry import get_dataset, list_datasets

    rows, facts = [], []
    for name in list_datasets():
        try:
            dataset = get_dataset(name)
        except InputError:  # the others are still to be seen
            rows.append((name, *4 * ("?",), "damaged store", "?"))
            facts.append({"name": name, "state": "damaged store"})
            continue
        state = _state(dataset)[0]
        rows.append(
            (
                name,
                str(len(dataset.wavelengths)),
                _range(dataset),
                _counts(dataset),
                dataset.sensor or "-",
                state,
                dataset.licence,
            )
        )
        facts.append(_facts(dataset))
    if as_json:
        return print_json(facts)
    header = ("dataset", "bands", "nm", "train/val/test", "sensor", "state", "licence")
    click.echo(table(header, rows, right=(1,)))
    with working():
        click.echo("finewave data show DATASET says more")
    return None


def _facts(dataset: Dataset) -> dict[str, Any]:
    """Return the facts about a data set, for JSON."""
    keys = ("name", "title", "sensor", "full_scale", "size", "split", "citation", "licence", "home", "instructions")
    return {
        **{key: getattr(dataset, key) for key in keys},
        "wavelengths_nm": [float(w) for w in dataset.wavelengths],
        "notes": dataset.notes,
        "companions": dict(dataset.companions),
        "state": _state(dataset)[0],
    }


def _range(dataset: Dataset) -> str:
    return f"{dataset.wavelengths.min():.0f}-{dataset.wavelengths.max():.0f}"


def _counts(dataset: Dataset) -> str:
    if not dataset.split:
        return "in its files"
    return "/".join(str(len(dataset.split.get(part, ()))) for part in ("train", "val", "test"))


def _state(dataset: Dataset) -> tuple[str, str]:
    """Return the state of a data set, as a word and as a sentence."""
    from finewave.datasets.registry import published_folder
    from finewave.datasets.store import prepared_store

    store, folder = prepared_store(dataset.name), published_folder(dataset)
    if store.exists():
        return "prepared", f"prepared: {store}"
    if folder.is_dir():
        return "present", f"present, not prepared: {folder}"
    return "absent", f"neither prepared ({store}) nor present ({folder})"


@data.command(epilog=example("finewave data show chikusei"))
@click.argument("dataset", shell_complete=dataset_names)
@json_option
def show(dataset: str, as_json: bool) -> None:
    """Show all facts about DATASET."""
    from finewave.datasets.registry import get_dataset

    described = get_dataset(dataset)
    if as_json:
        return print_json(_facts(described))
    size = "sizes differ" if described.size is None else f"{described.size[0]} x {described.size[1]} pixels"
    scale = "maximum of each image" if described.full_scale is None else f"{described.full_scale:g}"
    wavelengths = ", ".join(f"{w:.4g}" for w in described.wavelengths)
    facts = {
        "": described.title,
        "bands": f"{len(described.wavelengths)}, {_range(described)} nm: {wavelengths}",
        "left out": described.dropped_bands and f"bands {_join(described.dropped_bands)} (from 0)",
        "images": size,
        "1.0 is": scale,
        "sensor": described.sensor or "none: choose one",
        "also": "; ".join(f"{name}: {description}" for name, description in described.companions.items()),
    }
    if not described.split:
        facts["split"] = "by the published files"
    for part, names in described.split.items():
        facts[part] = f"{len(names)}: {', '.join(names)}" if names else "none"
    facts |= {
        "parts": "; ".join(
            f"{name}: rows {region.rows[0]}-{region.rows[1]}, columns {region.columns[0]}-{region.columns[1]} of "
            f"{region.image}"
            for name, region in described.regions.items()
        ),
        "notes": described.notes,
        "cite": described.citation,
        "terms": described.licence,
        "page": described.home or "not known",
        "fetch": described.instructions,
        "state": _state(described)[1],
    }
    for key, text in facts.items():
        if text:
            click.echo(f"{key + ':':10}{text}" if key else f"{described.name}: {text}")
    return None


def _join(numbers: Iterable[object]) -> str:
    return ", ".join(map(str, numbers))


@data.command(epilog=example("finewave data download cave --to CAVE"))
@click.argument("dataset", shell_complete=datasets_and_files)
@click.option("--to", "folder", type=click.Path(path_type=Path), help="Folder.  [default: ./DATASET]")
@json_option
def download(dataset: str, folder: Path | None, as_json: bool) -> None:
    """Download DATASET if it has direct links; otherwise print instructions.

    The owner's terms are accepted by the user. DATASET may also be a finewave-dataset.yaml that names downloads.
    """
    from finewave.datasets.custom import read_description, remote_files
    from finewave.datasets.download import download as run
    from finewave.datasets.registry import get_dataset

    own = dataset.endswith((".yaml", ".yml"))
    if own:
        files, target = remote_files(read_description(Path(dataset))), folder or Path(dataset).parent
    else:
        described = get_dataset(dataset)
        files, target = tuple(described.files), folder or Path(dataset.partition("@")[0])
        if not as_json:
            click.echo(f"{dataset}: {described.home or 'its page is not known'}")
            click.echo(f"cite:  {described.citation}")
            click.echo(f"terms: {described.licence}")
        if not files:
            if as_json:
                return print_json({"fetched": [], **_facts(described)})
            click.echo("finewave knows no direct link with a checksum; fetch yourself:")
            click.echo(f"fetch: {described.instructions}")
            return click.echo(f"then:  finewave data prepare {dataset} --from FOLDER")
    with Progress("download", in_bytes=True) as progress:
        fetched = run(files, target, progress.note, progress)
    if as_json:
        return print_json({"fetched": fetched, **({} if own else _facts(described))})
    for path in fetched:
        click.echo(f"fetched: {path}")
    return None if own else click.echo(f"then:  finewave data prepare {dataset} --from {target}")


@data.command(
    epilog=example(
        "finewave data prepare cave --from path/to/CAVE",
        "finewave data prepare fields --own --from my-scenes --sensor sentinel-2a --full-scale 10000",
    )
)
@click.argument("dataset", shell_complete=dataset_names)
@click.option("--from", "source", required=True, type=click.Path(path_type=Path), help="Folder as published.")
@click.option("--own", is_flag=True, help="DATASET is a new name for a custom folder.")
@click.option("--wavelengths", type=click.Path(path_type=Path), help="Custom data: CSV with the band centres.")
@click.option("--full-scale", type=float, help="Custom data: the stored number that represents 1.0.")
@click.option("--sensor", shell_complete=sensor_names, help="Custom data: sensor of the simulated MS bands.")
@click.option("--val", metavar="SCENE,...", help="Custom data: validation scenes.")
@click.option("--test", metavar="SCENE,...", help="Custom data: test scenes; all others are for training.")
@json_option
def prepare(
    dataset: str,
    source: Path,
    own: bool,
    wavelengths: Path | None,
    full_scale: float | None,
    sensor: str | None,
    val: str | None,
    test: str | None,
    as_json: bool,
) -> None:
    """Check DATASET as published and write it ready for training.

    A folder of files that finewave opens is prepared as a custom data set with --own, or with a finewave-dataset.yaml
    in it. Without --val and --test its scenes are split by the SHA-256 of their names, 70 / 15 / 15 %; one or two
    scenes are each cut in three.
    """
    from finewave.datasets.custom import CustomDatasetOptions
    from finewave.datasets.registry import describe_folder
    from finewave.datasets.registry import prepare as run

    split = {part: _names(names) for part, names in (("val", val), ("test", test)) if names is not None}
    dataset_options = CustomDatasetOptions(
        wavelengths=None if wavelengths is None else str(wavelengths.absolute()),
        full_scale=full_scale,
        sensor=sensor,
        split=split or None,
    )
    described = describe_folder(
        dataset, source, dataset_options if own or dataset_options != CustomDatasetOptions() else None
    )
    with working(as_json), Progress("prepare") as progress:
        store = run(described, source, progress=progress.note, count=progress)
    return print_json({"prepared": store}) if as_json else click.echo(f"prepared: {store}")


def _names(names: str) -> list[str]:
    return [name for name in (part.strip() for part in names.split(",")) if name]
