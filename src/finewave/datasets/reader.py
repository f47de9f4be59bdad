"""From published files to scenes, with every check that does not depend on the layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset, Image, Region
from finewave.errors import InputError


def read_image(dataset: Dataset, path: Path) -> Image:
    """Read one image of a data set and check it.

    Returns
    -------
    Image
        Without the dropped bands, and with its full scale.

    Raises
    ------
    InputError
        If it cannot be read, a band is missing, it has another size than published, or it has NaN or infinite values.
    """
    published = dataset.read(path)
    image = published if isinstance(published, Image) else Image(published)
    expected = len(dataset.wavelengths) + len(dataset.dropped_bands)
    if image.values.ndim != 3 or len(image.values) != expected:
        shape = "x".join(map(str, image.values.shape))
        raise InputError(f"{path}: {shape} values (bands first); {dataset.name} has {expected} bands")
    if dataset.size is not None and image.values.shape[1:] != tuple(dataset.size):
        actual, expected_size = (" x ".join(map(str, size)) for size in (image.values.shape[1:], dataset.size))
        raise InputError(f"{path}: {actual} pixels; the images of {dataset.name} have {expected_size}")
    missing = set(dataset.companions) - set(image.companions)
    if missing:
        raise InputError(f"{path}: {', '.join(sorted(missing))} that belongs to it is missing")
    values = np.delete(image.values, list(dataset.dropped_bands), 0) if dataset.dropped_bands else image.values
    full_scale = dataset.full_scale or image.full_scale or float(np.max(values, initial=0, where=np.isfinite(values)))
    if not full_scale > 0:
        raise InputError(f"{path}: no value is above zero; the file is damaged or of another kind")
    return Image(values, image.companions, full_scale)


def cut(image: Image, region: Region, name: str) -> Image:
    """Return the part of an image that is a scene; companions are cut to the same area.

    Raises
    ------
    InputError
        If the region is not inside the image.
    """
    height, width = image.values.shape[1:]
    (top, bottom), (left, right) = region.rows, region.columns
    if not (0 <= top < bottom <= height and 0 <= left < right <= width):
        raise InputError(
            f"scene {name!r} is rows {top} to {bottom} and columns {left} to {right} of {region.image!r}, "
            f"which has {height} x {width} pixels"
        )

    def part(array: np.ndarray) -> np.ndarray:
        s = array.shape[1] // height
        return np.ascontiguousarray(array[:, s * top : s * bottom, s * left : s * right])

    return Image(part(image.values), {key: part(each) for key, each in image.companions.items()}, image.full_scale)


def read_scenes(dataset: Dataset, paths: Mapping[str, Path], names: Iterable[str]) -> Iterator[tuple[str, Image]]:
    """Read scenes, every image once.

    Parameters
    ----------
    dataset : Dataset
        Description.
    found : mapping of str to Path
        Paths of the images, from `Dataset.find`.
    names : iterable of str
        The scenes.

    Yields
    ------
    name, Image

    Raises
    ------
    InputError
        See `read_image` and `cut`, and if a scene has values that are NaN or infinite.
    """
    by_image: dict[str, list[str]] = {}
    for name in names:
        by_image.setdefault(dataset.image_of(name), []).append(name)
    for image_name, scenes in by_image.items():
        image = read_image(dataset, paths[image_name])
        for name in scenes:
            scene = cut(image, dataset.regions[name], name) if name in dataset.regions else image
            if not all(np.isfinite(each).all() for each in (scene.values, *scene.companions.values())):
                raise InputError(f"{paths[image_name]}: scene {name!r} has NaN or infinite values")
            yield name, scene
