"""Facts about data sets for studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from finewave.datasets.registry import get_dataset, rgb_sensor
from finewave.datasets.registry import sensor_of as sensor_of_description
from finewave.datasets.store import prepared_folder
from finewave.locations import data_folder
from finewave.systems.registry import takes_reference


def wavelengths_of(dataset: str) -> np.ndarray:
    """Return the band centres in nm."""
    wavelengths = get_dataset(dataset).wavelengths
    return np.asarray(wavelengths() if callable(wavelengths) else wavelengths)


def sensor_of(dataset: str, system: str) -> str:
    """Return the sensor that makes the multispectral images; its RGB bands for a system with an RGB reference.

    Raises
    ------
    InputError
        If the data set names none; results for another camera would not be comparable.
    """
    sensor = sensor_of_description(get_dataset(dataset))
    return rgb_sensor(sensor) if takes_reference(system) else sensor


def split_of(dataset: str) -> Mapping[str, Sequence[str]]:
    """Return the scenes by split, as the description names them."""
    known = get_dataset(dataset)
    return getattr(known, "split", None) or getattr(known, "SPLIT", {})


def at_hand(dataset: str) -> bool:
    """Return whether a data set is prepared, or is in ``FINEWAVE_DATA``."""
    return (prepared_folder() / f"{dataset}.zarr").exists() or (data_folder() / base_of(dataset)).is_dir()


def base_of(dataset: str) -> str:
    """Return the name of the data set without the split after an ``@``."""
    return dataset.partition("@")[0]
