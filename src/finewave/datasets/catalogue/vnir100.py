"""vnir100: airborne crops of ROSIS, ProSpecTIR and SAMSON on one grid of 100 bands, 430 to 860 nm.

The crops of Pavia Centre and Pavia University (P. Gamba, University of Pavia), Reno (SpecTIR sample data) and Samson
(F. Zhu et al.) as compact files. All cover 430 to 860 nm in steps of 3 to 5 nm; they are interpolated linearly along
the wavelengths. A small pool, 35 000 training pixels: for checks and ablations.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset, Region
from finewave.datasets.published_files import find_files, read_compact
from finewave.errors import InputError

WAVELENGTHS = np.linspace(430.0, 860.0, 100)
_RENO, _CENTRE, _UNIVERSITY, _SAMSON = IMAGES = (
    "reno",
    "pavia_centre_crop",
    "pavia_university_subset_r000_096",
    "samson",
)


def find(root: Path) -> dict[str, Path]:
    """Return the four compact files, ``reno.npz`` and so on."""
    paths = find_files(root, tuple(f"{name}.npz" for name in IMAGES), "reno.npz and the other crops of the pool")
    return {name: path for name, path in paths.items() if name in IMAGES}


def read(path: Path) -> np.ndarray:
    """Read one crop and interpolate it, float32 (100, H, W)."""
    cube, wavelengths = read_compact(path)
    if len(wavelengths) != len(cube):
        raise InputError(f"{path}: {len(wavelengths)} wavelengths for {len(cube)} bands")
    return on_grid(cube, wavelengths, WAVELENGTHS, path)


def on_grid(cube: np.ndarray, wavelengths: np.ndarray, grid: np.ndarray, path: Path) -> np.ndarray:
    """Interpolate a cube (C, H, W) linearly along its wavelengths; raise an error if the grid exceeds them."""
    if np.any(np.diff(wavelengths) <= 0) or grid[0] < wavelengths[0] or grid[-1] > wavelengths[-1]:
        raise InputError(
            f"{path}: wavelengths {wavelengths[0]:g} to {wavelengths[-1]:g} nm must increase and hold "
            f"{grid[0]:g} to {grid[-1]:g} nm; bands are missing"
        )
    right = np.clip(np.searchsorted(wavelengths, grid), 1, len(wavelengths) - 1)
    share = (grid - wavelengths[right - 1]) / (wavelengths[right] - wavelengths[right - 1])
    share = share[:, None, None]
    return ((1 - share) * cube[right - 1] + share * cube[right]).astype(np.float32)


DATASETS = {
    "vnir100": Dataset(
        name="vnir100",
        title="Airborne crops (ROSIS, ProSpecTIR, SAMSON) on 100 bands",
        wavelengths=WAVELENGTHS,
        find=find,
        read=read,
        split={
            "train": ("reno_train", "pavia_centre_train", "pavia_university_train", "samson"),
            "val": ("reno_val",),
            "test": ("reno_test", "pavia_centre_test", "pavia_university_test"),
        },
        regions={  # 4 to 6 unused pixels between train and test
            "reno_train": Region(_RENO, (0, 150), (0, 96)),
            "pavia_centre_train": Region(_CENTRE, (0, 64), (0, 100)),
            "pavia_university_train": Region(_UNIVERSITY, (0, 64), (0, 80)),
            "reno_val": Region(_RENO, (0, 64), (100, 148)),
            "reno_test": Region(_RENO, (70, 150), (100, 148)),
            "pavia_centre_test": Region(_CENTRE, (68, 100), (0, 96)),
            "pavia_university_test": Region(_UNIVERSITY, (68, 96), (0, 80)),
        },
        citation="P. Gamba, University of Pavia (ROSIS); SpecTIR (Reno); Zhu et al. (Samson)",
        licence="free for research, cite",
        home="https://www.ehu.eus/ccwintco/index.php/Hyperspectral_Remote_Sensing_Scenes",
        sensor="ikonos",
        full_scale=None,
        folder="remote",
        instructions="the compact files of the data folder: reno.npz, pavia_centre_crop.npz, "
        "pavia_university_subset_r000_096.npz, samson.npz",
        notes="Interpolated linearly to np.linspace(430, 860, 100). Every crop is divided by the maximum of its image.",
    )
}
