"""Pavia Centre: one airborne image of ROSIS-03, 1096 x 715 pixels at 1.3 m, 102 bands from 430 to 860 nm.

P. Gamba, University of Pavia; flown by DLR. The published file omits the blank strip in the middle and 13 noisy bands.
Wavelengths per band are not given; they are assumed to be evenly spaced.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset, Region
from finewave.datasets.published_files import find_by, read_matlab

IMAGE = "pavia"
HOME = "https://www.ehu.eus/ccwintco/index.php/Hyperspectral_Remote_Sensing_Scenes"
SIDE = 128  # of the crops of the JSSUNet paper
TEST_SIDE = 224  # of the test images that are usual for SSPSR


def find(root: Path) -> dict[str, Path]:
    """Return the image, ``Pavia.mat``."""
    return find_by(root, ("Pavia.mat", "pavia.mat"), "Pavia.mat", lambda path: IMAGE)


def read(path: Path) -> np.ndarray:
    """Read ``pavia`` (102, 1096, 715)."""
    return read_matlab(path, "pavia")


def _region(rows: tuple[int, int], columns: tuple[int, int]) -> Region:
    return Region(IMAGE, rows, columns)


_CENTRE = Dataset(
    name="pavia-centre",
    title="Pavia Centre (ROSIS-03), one image in three strips",
    wavelengths=np.linspace(430.0, 860.0, 102),
    find=find,
    read=read,
    split={"train": ("upper",), "val": ("middle",), "test": ("lower",)},
    regions={
        "upper": _region((0, 768), (0, 715)),
        "middle": _region((784, 928), (0, 715)),  # 16 unused rows between the strips
        "lower": _region((944, 1096), (0, 715)),
    },
    citation="P. Gamba, A collection of data for urban area characterization, IGARSS 2004",
    licence="free for research, cite",
    home=HOME,
    sensor="ikonos",
    full_scale=8000,  # SSPSR's public code
    size=(1096, 715),
    folder="pavia-centre",
    instructions="Pavia.mat of the page, in a folder of its own",
    notes="Wavelengths are taken as evenly spaced from 430 to 860 nm. Full scale as in the public code of SSPSR.",
)

# 8 x 5 crops; which of them train is not published
_CROPS = {
    f"crop_{row}_{column}": _region((SIDE * row, SIDE * (row + 1)), (SIDE * column, SIDE * (column + 1)))
    for row in range(8)
    for column in range(5)
}
_JSSUNET = replace(
    _CENTRE,
    name="pavia-centre@jssunet",
    title="Pavia Centre as in the JSSUNet paper: 40 crops of 128 x 128",
    regions=_CROPS,
    split={
        "train": tuple(name for name in _CROPS if not name.endswith("_4")),
        "val": tuple(f"crop_{row}_4" for row in range(4)),
        "test": tuple(f"crop_{row}_4" for row in range(4, 8)),
    },
    notes="32 / 4 / 4 crops without gaps, the numbers of the JSSUNet paper; which crops it used for what is not "
    "published: here the rightmost of the five columns validates (upper half) and tests (lower half).",
)
_SSPSR = replace(
    _CENTRE,
    name="pavia-centre@sspsr",
    title="Pavia Centre in the manner of SSPSR: four test images of 224 x 224",
    regions={
        "train": _region((0, 984), (TEST_SIDE, 715)),
        "val": _region((984, 1096), (TEST_SIDE, 715)),
    }
    | {f"test_{k + 1}": _region((TEST_SIDE * k, TEST_SIDE * (k + 1)), (0, TEST_SIDE)) for k in range(4)},
    split={"train": ("train",), "val": ("val",), "test": tuple(f"test_{k + 1}" for k in range(4))},
    notes="SSPSR's public code makes its Chikusei images alone. Four images of 224 x 224 along one side are usual "
    "for this scene; here they stand at the left, and the lowest tenth of the rest validates.",
)
DATASETS = {each.name: each for each in (_CENTRE, _JSSUNET, _SSPSR)}
