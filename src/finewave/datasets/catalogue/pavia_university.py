"""Pavia University: one airborne image of ROSIS-03, 610 x 340 pixels at 1.3 m, 103 bands from 430 to 860 nm.

P. Gamba, University of Pavia; flown by DLR. The published file omits 12 noisy bands. Wavelengths per band are not
given; they are assumed to be evenly spaced.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset, Region
from finewave.datasets.published_files import find_by, read_matlab

IMAGE = "paviaU"


def find(root: Path) -> dict[str, Path]:
    """Return the image, ``PaviaU.mat``."""
    return find_by(root, ("PaviaU.mat", "paviaU.mat"), "PaviaU.mat", lambda path: IMAGE)


def read(path: Path) -> np.ndarray:
    """Read ``paviaU`` (103, 610, 340)."""
    return read_matlab(path, "paviaU")


DATASETS = {
    "pavia-university": Dataset(
        name="pavia-university",
        title="Pavia University (ROSIS-03), one image in three strips",
        wavelengths=np.linspace(430.0, 860.0, 103),
        find=find,
        read=read,
        split={"train": ("upper",), "val": ("middle",), "test": ("lower",)},
        regions={
            "upper": Region(IMAGE, (0, 416), (0, 340)),
            "middle": Region(IMAGE, (432, 512), (0, 340)),  # 16 unused rows between the strips
            "lower": Region(IMAGE, (528, 610), (0, 340)),
        },
        citation="P. Gamba, A collection of data for urban area characterization, IGARSS 2004",
        licence="free for research, cite",
        home="https://www.ehu.eus/ccwintco/index.php/Hyperspectral_Remote_Sensing_Scenes",
        sensor="ikonos",
        full_scale=8000,
        size=(610, 340),
        instructions="PaviaU.mat of the page, in a folder of its own",
        notes="Wavelengths are taken as evenly spaced from 430 to 860 nm. Full scale as for Pavia Centre.",
    )
}
