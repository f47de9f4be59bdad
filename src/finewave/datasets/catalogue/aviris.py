"""AVIRIS: six airborne crops on the channels that they have in common.

Los Angeles, Gulfport, Cat Island (Airport-Beach-Urban, X. Kang), Salinas A and Indian Pines (Purdue, UPV/EHU), Jasper
Ridge (F. Zhu et al.); all NASA/JPL. Each is published with other water and bad channels removed, so that one index
means different wavelengths: the absorption of oxygen at 761 nm is at index 42 in Los Angeles, Cat Island and Salinas
(43 in Gulfport), at 39 in Indian Pines; Jasper Ridge begins with AVIRIS's fourth channel. Channels 3 to 102, from 0,
are present without a gap in all six. San Diego is excluded: its gaps, and so its channels, are unknown.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset
from finewave.datasets.published_files import find_files, read_compact

FIRST, COUNT = 3, 100
# Index 0 of a file is this channel.
_FIRST_CHANNEL = {
    "los_angeles_1": 0,
    "gulfport": 0,
    "cat_island": 0,
    "salinas_a": 0,
    "indian_pines_subset": 3,
    "jasper_ridge": 3,
}
# Close to pure noise in Indian Pines, the first in Jasper Ridge too.
NOISY = (0, 60, 86, 87, 90, 93, 94)
_CHANNELS = FIRST + np.delete(np.arange(COUNT), NOISY)


def find(root: Path) -> dict[str, Path]:
    """Return the six compact files, ``gulfport.npz`` and so on."""
    return find_files(root, tuple(f"{name}.npz" for name in _FIRST_CHANNEL), "gulfport.npz and the other AVIRIS crops")


def read(path: Path) -> np.ndarray:
    """Read channels 3 to 102 of a crop (100, H, W)."""
    start = FIRST - _FIRST_CHANNEL[path.stem]
    return read_compact(path)[0][start : start + COUNT]


DATASETS = {
    "aviris": Dataset(
        name="aviris",
        title="Airborne crops of AVIRIS on 93 common channels",
        wavelengths=380.0 + (2500.0 - 380.0) / 223 * _CHANNELS,
        find=find,
        read=read,
        split={
            "train": ("los_angeles_1", "gulfport", "salinas_a", "indian_pines_subset"),
            "val": ("cat_island",),
            "test": ("jasper_ridge",),
        },
        citation="NASA/JPL AVIRIS; Kang et al. (Airport-Beach-Urban); Purdue University; Zhu et al. (Jasper Ridge)",
        licence="free for research, cite",
        home="https://aviris.jpl.nasa.gov",
        sensor="ikonos",
        full_scale=None,
        dropped_bands=NOISY,
        quantity="radiance",
        folder="remote",
        instructions="the compact files of the data folder: los_angeles_1.npz, gulfport.npz, salinas_a.npz, "
        "indian_pines_subset.npz, cat_island.npz, jasper_ridge.npz",
        notes="Channels 3 to 102 (from 0) without those that are noise in one of the crops. Wavelengths are AVIRIS's "
        "224 channels spread evenly over 380 to 2500 nm, good to two channels; Gulfport is one channel off the "
        "others. Jasper Ridge is reflectance, the others radiance. Every crop is divided by its maximum; radiance "
        "has a few values below zero.",
    )
}
