"""Clouds and their shadows in the quality layers of products, blanked on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal
from finewave.io.formats.values.lazy import Slices

Numbers = NDArray[Any]
IsCloud = Callable[[Numbers], NDArray[np.bool_]]

SCENE_CLASSES = (3, 8, 9, 10)
"""Of Sentinel-2's scene classification: cloud shadow, cloud of medium and of high probability, thin cirrus."""
QA_PIXEL_BITS = 0b11110
"""Of Landsat's QA_PIXEL, Collection 2: dilated cloud, cirrus, cloud, cloud shadow."""
UDM2_BANDS = (3, 5, 6)
"""Of PlanetScope's usable data mask, from 1: shadow, heavy haze, cloud."""


def is_scene_class(numbers: Numbers) -> NDArray[np.bool_]:
    """Whether a scene classification says cloud or shadow."""
    return np.isin(numbers, SCENE_CLASSES)


def is_flagged(numbers: Numbers) -> NDArray[np.bool_]:
    """Whether QA_PIXEL says cloud or shadow."""
    return (numbers & QA_PIXEL_BITS) != 0


def is_positive(numbers: Numbers) -> NDArray[np.bool_]:
    """Whether a layer of one class says that it is there."""
    return np.asarray(numbers > 0)


def cloud_reader(
    layers: Mapping[Path, tuple[int, ...]], image: Path, size: tuple[int, int], is_cloud: IsCloud = is_positive
) -> Callable[[Slices], NDArray[np.bool_]]:
    """Return what reads where one of several layers, on the grid of an image, says cloud.

    Parameters
    ----------
    layers : mapping of pathlib.Path to tuple of int
        Files and which of their bands, from 1.
    image : pathlib.Path
        For messages.
    size : (int, int)
        Rows and columns of the image.
    is_cloud : callable
        Of the numbers of a layer.

    Returns
    -------
    callable
        See `finewave.io.formats.values.lazy.LazyValues`.

    Raises
    ------
    InputError
        A layer has another size or lacks a band.
    """
    import rasterio
    from rasterio.windows import Window

    for path, bands in layers.items():
        with reading(path, "cloud mask"), quiet_gdal(), rasterio.open(path, driver=driver_of(path)) as dataset:
            if (dataset.height, dataset.width) != size or dataset.count < max(bands):
                raise InputError(f"{path} is not a mask of {image.name}: its size or number of bands differs")

    def hidden(key: Slices) -> NDArray[np.bool_]:
        rows, columns = key[1].indices(size[0]), key[2].indices(size[1])
        window = Window.from_slices(slice(rows[0], rows[1]), slice(columns[0], columns[1]))
        found = np.zeros((rows[1] - rows[0], columns[1] - columns[0]), bool)
        for path, bands in layers.items():
            with quiet_gdal(), rasterio.open(path, driver=driver_of(path)) as dataset:
                found |= is_cloud(dataset.read(list(bands), window=window)).any(axis=0)
        return found[None, :: rows[2], :: columns[2]]

    return hidden


def no_clouds_known(path: Path, layer: str) -> InputError:
    """Return the error for a product without the layer that says where clouds are."""
    return InputError(f"{path} has no {layer}, which says where clouds are; leave out --mask-clouds (mask_clouds=)")
