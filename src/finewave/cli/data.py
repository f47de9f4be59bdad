"""``finewave data``: datasets on disk."""

from __future__ import annotations

from pathlib import Path

import click

from finewave.cli.table import table


@click.group()
def data() -> None:
    """Datasets: list, find, prepare."""


@data.command("list")
def list_() -> None:
    """List the datasets and whether they are ready for training."""
    from finewave.data.registry import list_datasets
    from finewave.data.store import prepared_folder

    rows = []
    for name in list_datasets():
        store = prepared_folder() / f"{name}.zarr"
        rows.append((name, str(store) if store.exists() else "not prepared"))
    click.echo(table(("dataset", "prepared"), rows))


@data.command()
@click.argument("dataset")
def download(dataset: str) -> None:
    """Say where DATASET is published: its owner's terms are accepted there, by the user."""
    from finewave.data.registry import get_dataset

    module = get_dataset(dataset)
    click.echo(f"{dataset}: {module.URL}")
    click.echo(f"cite:  {module.CITATION}")
    click.echo(f"terms: {module.LICENCE}")
    click.echo(f"then: finewave data prepare {dataset} --from FOLDER")


@data.command()
@click.argument("dataset")
@click.option("--from", "source", required=True, type=click.Path(path_type=Path), help="Folder as published.")
def prepare(dataset: str, source: Path) -> None:
    """Check DATASET as published and write it ready for training."""
    from finewave.data.registry import prepare as run

    click.echo(f"prepared: {run(dataset, source)}")
