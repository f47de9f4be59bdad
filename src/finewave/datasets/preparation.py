"""From the files that an owner publishes to a store that is ready for training."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from finewave.datasets.base import Dataset, Image, listed
from finewave.datasets.reader import read_scenes
from finewave.datasets.store import Store, write_store
from finewave.errors import InputError
from finewave.io.file_errors import writing
from finewave.io.sole_writer import sole_writer
from finewave.warnings import FinewaveWarning


def prepare_dataset(
    dataset: Dataset,
    source: Path,
    destination: Path,
    progress: Callable[[str], None] = lambda line: None,
    count: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Check a published data set and write its store; an up-to-date store is kept.

    Parameters
    ----------
    dataset : Dataset
        Description.
    source : Path
        Folder as its owner publishes it.
    destination : Path
        Store to write.
    progress : callable
        Called with a line for each scene.
    count : callable
        Called with the scenes that are written and their number.

    Returns
    -------
    Path
        ``destination``.

    Raises
    ------
    InputError
        If the split overlaps, a scene of the training or validation split is missing, any scene is damaged, or the
        store cannot be written; then no partial store is left, and an earlier one is kept.

    Warns
    -----
    FinewaveWarning
        If test scenes are missing.
    """
    source = Path(source)
    paths = dataset.find(source)
    dataset = settled(dataset, source)
    dataset.check_split()
    names = _present(dataset, paths, source)
    manifest = _manifest(dataset, names, _sources(dataset, paths, names, source))
    if _holds(destination, manifest):
        progress(f"{destination} is up to date")
        return destination

    def scenes() -> Iterator[tuple[str, Image]]:
        for number, (name, image) in enumerate(read_scenes(dataset, paths, names), 1):
            progress(f"{number} of {len(names)}: {name}")
            yield name, image
            count(number, len(names))

    with writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
    with sole_writer(destination):
        return write_store(destination, scenes(), dataset.wavelengths, manifest)


def settled(dataset: Dataset, source: Path) -> Dataset:
    """Return the description completed from the published files."""
    return dataset if dataset.split_of is None else replace(dataset, split=dataset.split_of(source), split_of=None)


def _present(dataset: Dataset, paths: Mapping[str, Path], source: Path) -> list[str]:
    """Return the scenes whose images exist; only test scenes may be missing."""
    missing = {
        part: [name for name in names if dataset.image_of(name) not in paths] for part, names in dataset.split.items()
    }
    test = missing.pop("test", [])
    if any(missing.values()):
        absent = "; ".join(f"{part}: {listed(names)}" for part, names in missing.items() if names)
        raise InputError(f"{dataset.name} in {source} is incomplete, missing {absent}")
    if test:
        warnings.warn(
            f"{dataset.name} in {source} lacks {len(test)} test scenes ({listed(test)}); "
            "training and validation are not affected; put them there and prepare again to have them",
            FinewaveWarning,
            stacklevel=4,
        )
    return [name for name in dataset.scenes if name not in test]


def _sources(dataset: Dataset, paths: Mapping[str, Path], names: list[str], source: Path) -> dict[str, str]:
    """Return the SHA-256 of each used file, by its path in the folder."""
    images = dict.fromkeys(dataset.image_of(name) for name in names)
    files = [file for image in images for file in dataset.sources(paths[image])]
    return {file.relative_to(source).as_posix(): _file_checksum(file) for file in files}


def _file_checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _manifest(dataset: Dataset, names: list[str], sources: dict[str, str]) -> dict[str, Any]:
    """Return the store's description in JSON types."""
    manifest = {
        "dataset": dataset.name,
        "version": dataset.version,
        "title": dataset.title,
        "citation": dataset.citation,
        "licence": dataset.licence,
        "home": dataset.home,
        "sensor": dataset.sensor,
        "full_scale": dataset.full_scale,
        "normalisation": "full scale" if dataset.full_scale else "maximum of each image",
        "dropped_bands": list(dataset.dropped_bands),
        "split": {part: [name for name in scenes if name in names] for part, scenes in dataset.split.items()},
        "regions": {name: asdict(region) for name, region in dataset.regions.items() if name in names},
        "companions": dict(dataset.companions),
        "notes": dataset.notes,
        "sources_sha256": sources,
        "wavelengths_nm": [float(w) for w in dataset.wavelengths],
    }
    if dataset.quantity is not None:
        manifest["quantity"] = dataset.quantity
    return json.loads(json.dumps(manifest))


def _holds(destination: Path, manifest: dict[str, Any]) -> bool:
    """Return whether a store exists and was made from the same files with the same description."""
    if not destination.exists():
        return False
    try:
        there = Store(destination).attributes
    except InputError:
        return False
    # the full scale of a scene is computed from it, so it is equal if files and rule are
    return all(there.get(key) == value for key, value in manifest.items() if key != "full_scale")
