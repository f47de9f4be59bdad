"""Chikusei: one airborne image of Headwall Hyperspec-VNIR-C, 2517 x 2335 pixels at 2.5 m, 128 bands, 363 to 1018 nm.

N. Yokoya, A. Iwasaki, "Airborne hyperspectral data over Chikusei", Space Application Laboratory, University of Tokyo,
Technical Report SAL-2016-05-27, 2016. https://naotoyokoya.com/Download.html.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset, Region
from finewave.datasets.published_files import find_by, read_matlab

IMAGE = "chikusei"
# The crop of SSPSR's public code, which excludes the blank border: MATLAB's rows 107:2410 and columns 144:2191.
ROWS, COLUMNS = (106, 2410), (143, 2191)
TEST_SIDE = 512


def find(root: Path) -> dict[str, Path]:
    """Return the image, ``HyperspecVNIR_Chikusei_20140729.mat``."""
    name = "HyperspecVNIR_Chikusei_20140729.mat"
    return find_by(root, (name,), name, lambda path: IMAGE)


def read(path: Path, rows: tuple[int, int] = ROWS, columns: tuple[int, int] = COLUMNS) -> np.ndarray:
    """Read the central crop (128, 2304, 2048) of ``chikusei``."""
    return read_matlab(path, "chikusei", rows, columns)


DATASETS = {
    "chikusei": Dataset(
        name="chikusei",
        title="Chikusei (Hyperspec-VNIR-C), the crop of SSPSR",
        wavelengths=np.linspace(363.0, 1018.0, 128),
        find=find,
        read=read,
        split={"train": ("train",), "val": ("val",), "test": tuple(f"test_{k + 1}" for k in range(4))},
        regions={
            "train": Region(IMAGE, (512, 2112), (0, 2048)),
            "val": Region(IMAGE, (2112, 2304), (0, 2048)),
        }
        | {f"test_{k + 1}": Region(IMAGE, (0, 512), (TEST_SIDE * k, TEST_SIDE * (k + 1))) for k in range(4)},
        citation="Yokoya and Iwasaki, Airborne hyperspectral data over Chikusei, SAL-2016-05-27, 2016",
        licence="free for research, cite",
        home="https://naotoyokoya.com/Download.html",
        sensor="ikonos",
        full_scale=None,  # SSPSR: the maximum of the crop
        size=(2304, 2048),
        instructions="HyperspecVNIR_Chikusei_20140729.mat of the MATLAB archive of the page, in a folder of its own "
        "(preparing takes up to 10 GB of memory)",
        notes="Test images are those of SSPSR's public code: the top 512 rows of the crop in four. SSPSR moves a "
        "tenth of its training patches to validation by hand; here the lowest 192 rows validate. Wavelengths are "
        "taken as evenly spaced from 363 to 1018 nm.",
    )
}
