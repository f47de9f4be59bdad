"""Harvard: 50 indoor and outdoor scenes in daylight, 1040 x 1392 pixels, 31 bands from 420 to 720 nm.

A. Chakrabarti, T. Zickler, "Statistics of Real-World Hyperspectral Images", CVPR 2011.
http://vision.seas.harvard.edu/hyperspec/.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset, Image
from finewave.datasets.published_files import find_files, read_matlab

# CZ_hsdb; the 27 scenes of CZ_hsdbi, under artificial light, have other names
SCENES = tuple(
    f"img{row}{number}"
    for row, numbers in {
        "": "12",
        "a": "12567",
        "b": "0123456789",
        "c": "1245789",
        "d": "234789",
        "e": "01234567",
        "f": "12345678",
        "h": "0123",
    }.items()
    for number in numbers
)


def find(root: Path) -> dict[str, Path]:
    """Return the scenes of ``CZ_hsdb``, ``img1.mat`` and so on; those of ``CZ_hsdbi`` are ignored."""
    paths = find_files(root, "img*.mat", "CZ_hsdb/img1.mat and so on")
    return {name: path for name, path in paths.items() if name in SCENES}


def read(path: Path) -> Image:
    """Read ``ref`` (31, 1040, 1392) and the mask ``lbl``."""
    return Image(read_matlab(path, "ref"), {"mask": read_matlab(path, "lbl")})


# finewave's, by the order of names: every fifth tests, and five of the others validate
SPLIT = {
    "train": tuple(name for i, name in enumerate(SCENES) if i % 5 != 4 and i % 10 != 2),
    "val": SCENES[2::10],
    "test": SCENES[4::5],
}

_HARVARD = Dataset(
    name="harvard",
    title="Harvard (CZ_hsdb), 50 scenes in daylight",
    wavelengths=np.arange(420.0, 721.0, 10.0),
    find=find,
    read=read,
    split=SPLIT,
    citation="Chakrabarti and Zickler, Statistics of Real-World Hyperspectral Images, CVPR 2011",
    licence="free for research, cite",
    home="http://vision.seas.harvard.edu/hyperspec/",
    sensor="nikon-d5100",
    full_scale=None,
    size=(1040, 1392),
    companions={"mask": "lbl: the owner's mask of parts that moved during exposure"},
    instructions="CZ_hsdb.tgz of the page, unpacked: img1.mat to imgh3.mat (CZ_hsdbi is not used)",
    notes="35 / 5 / 10 scenes by the order of names; published splits differ and are mostly not given. Every "
    "image is divided by its maximum, as is usual; the camera's sensitivity (calib.txt) is not divided out.",
)
_MULSR = replace(
    _HARVARD,
    name="harvard@mulsr",
    title="Harvard as in the MulSR paper: 80 % of the scenes train",
    split={"train": SPLIT["train"] + SPLIT["val"], "val": SPLIT["test"][::2], "test": SPLIT["test"][1::2]},
    notes="40 / 5 / 5: 80 % of the scenes train, as in the MulSR paper; which, is not published. Half of the others "
    "validate, because weights that are chosen on test scenes flatter.",
)
DATASETS = {each.name: each for each in (_HARVARD, _MULSR)}
