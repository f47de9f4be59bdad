"""What studies ask of a data set's description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from finewave.datasets.registry import get_dataset
from finewave.datasets.store import prepared_folder
from finewave.locations import data_folder

SENSOR = "nikon-d5100"
"""Makes the multispectral images of a data set that names no sensor of its own."""


def wavelengths_of(dataset: str) -> np.ndarray:
    """Return the band centres in nm."""
    found = get_dataset(dataset).wavelengths
    return np.asarray(found() if callable(found) else found)


def sensor_of(dataset: str) -> str:
    """Return the sensor that makes the multispectral images."""
    return getattr(get_dataset(dataset), "sensor", None) or SENSOR


def split_of(dataset: str) -> Mapping[str, Sequence[str]]:
    """Return the scenes by split, as the description names them."""
    known = get_dataset(dataset)
    return getattr(known, "split", None) or getattr(known, "SPLIT", {})


def at_hand(dataset: str) -> bool:
    """Tell whether a data set is prepared, or lies in ``FINEWAVE_DATA``."""
    return (prepared_folder() / f"{dataset}.zarr").exists() or (data_folder() / base_of(dataset)).is_dir()


def base_of(dataset: str) -> str:
    """Return the name of the data whatever its split, which may follow after an ``@``."""
    return dataset.partition("@")[0]
