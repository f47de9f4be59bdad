"""Preparation of custom scenes for training: validation blocks are split off, and invalid pixels are excluded."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from finewave.datasets.base import Image, Region
from finewave.datasets.custom import read_reflectance, shared_wavelengths, survey_scene
from finewave.datasets.published_files import files_of
from finewave.datasets.reader import cut
from finewave.datasets.rectangle_split import cut_scene
from finewave.datasets.registry import list_datasets
from finewave.datasets.store import Store, write_store
from finewave.errors import InputError, unknown_name

MSI = "msi"
"""Name in the store of measured multispectral images."""


@dataclass(frozen=True)
class BlockSplit:
    """Options of the split.

    Attributes
    ----------
    scale, crop : int
        s, and the side in HR pixels of the crops that will be cut; see `finewave.datasets.rectangle_split.cut_scene`.
    wavelengths : list of float or path or None
        As for `finewave.open_scene`.
    full_scale : float or None
        The stored number that represents 1.0; None: as stated in the files.
    """

    scale: int
    crop: int
    wavelengths: Sequence[float] | str | None = None
    full_scale: float | None = None


def split_blocks(
    scenes: Sequence[Path],
    destination: Path,
    options: BlockSplit,
    msi: Sequence[Path] = (),
    check: Callable[[np.ndarray], Any] = lambda wavelengths: None,
    progress: Callable[[str], None] = lambda line: None,
) -> Store:
    """Cut blocks for training and validation from scenes and write them as a store.

    Parameters
    ----------
    scenes : sequence of Path
        Files that `finewave.open_scene` takes, of the same wavelengths.
    destination : Path
        Store to write; a store made from the same files with the same options is kept.
    options : BlockSplit
    msi : sequence of Path
        Measured multispectral images of the same pixels, one per scene; simulated by default.
    check : callable
        Called with the wavelengths in nm before any pixel is read; may raise an error.
    progress : callable
        Called with lines that describe the split.

    Returns
    -------
    Store
        Data set whose scenes are the blocks, in reflectance.

    Raises
    ------
    InputError
        If a scene cannot be read, has other bands or no wavelengths, is too small, or is given twice; or the
        destination holds other data.
    """
    named = _named(scenes)
    if msi and len(msi) != len(scenes):
        raise InputError(f"{len(msi)} multispectral images for {len(scenes)} scenes; give one for each, in their order")
    surveys = {name: survey_scene(path, options.wavelengths, options.full_scale) for name, path in named.items()}
    wavelengths = shared_wavelengths(surveys)
    bad = sorted({band for survey in surveys.values() for band in survey.bad_bands})
    check(np.delete(wavelengths, bad))
    pairs = dict(zip(named, msi, strict=True)) if msi else {}
    made_from = json.loads(
        json.dumps({"files": _checksums([*scenes, *msi]), **asdict(options), "wavelengths": wavelengths.tolist()})
    )
    if destination.exists():
        there = Store(destination)
        if there.attributes.get("made_from") != made_from:
            raise InputError(
                f"{destination.parent.parent} holds a fit of other scenes, another scale or other crops; "
                "choose another folder, or remove it"
            )
        return there

    @lru_cache(maxsize=1)
    def read(name: str) -> Image:
        values = np.delete(read_reflectance(named[name], options.wavelengths, options.full_scale), bad, 0)
        if name not in pairs:
            return Image(values, {}, 1.0)
        measured = read_reflectance(pairs[name], None, options.full_scale)
        if measured.shape[1:] != values.shape[1:]:
            actual, expected = (f"{shape[1]} x {shape[2]}" for shape in (measured.shape, values.shape))
            raise InputError(f"{pairs[name]} has {actual} pixels, its scene {name} has {expected}")
        return Image(values, {MSI: measured}, 1.0)

    regions: dict[str, Region] = {}
    split: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for name in named:
        image = read(name)
        valid = np.all([np.isfinite(each).all(0) for each in (image.values, *image.companions.values())], axis=0)
        block, training = cut_scene(name, valid, options.scale, options.crop)
        regions[f"{name}_val"] = block.region(name)
        split["val"].append(f"{name}_val")
        for number, part in enumerate(training, 1):
            regions[f"{name}_train{number}"] = part.region(name)
            split["train"].append(f"{name}_train{number}")

    for subset, parts in (("training", split["train"]), ("validation", split["val"])):
        places = [regions[part] for part in parts]
        sizes = [(place.rows[1] - place.rows[0]) * (place.columns[1] - place.columns[0]) for place in places]
        progress(f"{subset}: {sum(sizes)} pixels in {len(sizes)} block{'s' * (len(sizes) > 1)}")

    def blocks() -> Iterator[tuple[str, Image]]:
        for block, region in regions.items():
            yield block, cut(read(region.image), region, block)

    attributes: dict[str, Any] = {
        "dataset": f"own-{next(iter(named))}" + (f"-and-{len(named) - 1}-more" if len(named) > 1 else ""),
        "title": f"blocks of {', '.join(named)}",
        "full_scale": 1.0,
        "split": split,
        "regions": {block: asdict(region) for block, region in regions.items()},
        "dropped_bands": bad,
        "made_from": made_from,
    }
    if pairs:
        attributes["companions"] = {MSI: "measured multispectral image of the same pixels"}
        attributes["msi"] = _bands_of(next(iter(pairs.values())))
    write_store(destination, blocks(), np.delete(wavelengths, bad), attributes)
    return Store(destination)


def measured_bands(store: Store, companion: str) -> tuple[list[str], list[float] | None]:
    """Return names and, where they are known, wavelengths in nm of measured multispectral images.

    Raises
    ------
    InputError
        If the store has no such companion.
    """
    if companion not in store.companions:
        raise unknown_name("companion of the data set", companion, store.companions)
    band_facts = store.attributes.get("msi") if companion == MSI else None
    if band_facts is not None:
        return list(band_facts["names"]), band_facts["wavelengths_nm"]
    count = len(store.read(store.names[0], companion))
    return [f"{companion}{number}" for number in range(1, count + 1)], None


def _named(scenes: Sequence[Path]) -> dict[str, Path]:
    """Return the scenes by names that fit into a store."""
    if not scenes:
        raise InputError("no scene was given; name the files to train on")
    named: dict[str, Path] = {}
    for path in scenes:
        if not path.exists():
            known = f", nor a data set ({', '.join(list_datasets())})" if len(path.parts) == 1 else ""
            raise InputError(f"no such file: {path}{known}")
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.") or "scene"
        if name in named:
            raise InputError(f"two scenes are called {name!r}: {named[name]} and {path}; rename one")
        named[name] = path
    return named


def _checksums(paths: Sequence[Path]) -> dict[str, str]:
    checksums = {}
    for path in paths:
        digest = hashlib.sha256()
        for file in files_of(path):
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        checksums[path.name] = digest.hexdigest()
    return checksums


def _bands_of(path: Path) -> Mapping[str, Any]:
    """Return names and wavelengths of the bands of a multispectral image."""
    from finewave.io.open_save import open_scene
    from finewave.scene import band_values

    with open_scene(path) as scene:
        names, centres = band_values(scene, "band_name"), band_values(scene, "wavelength")
        count = scene.sizes["band"]
    return {
        "names": [f"band {number}" for number in range(1, count + 1)] if names is None else [str(n) for n in names],
        "wavelengths_nm": None if centres is None else [float(w) for w in centres],
    }
