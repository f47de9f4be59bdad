"""ICVL: 201 outdoor and indoor scenes, about 1300 x 1392 pixels, 31 bands from 400 to 700 nm.

B. Arad, O. Ben-Shahar, "Sparse Recovery of Hyperspectral Signal from Natural RGB Images", ECCV 2016.
https://icvl.cs.bgu.ac.il/hyperspectral/. SSC-HSR (arXiv 2505.02109) learns its alignment from views rendered of these.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset
from finewave.datasets.published_files import find_files, read_matlab

EVERY = 10
"""Of ten scenes in order of name, one for test and one for validation."""


def find(root: Path) -> dict[str, Path]:
    """Return the scenes, ``NAME.mat``."""
    return find_files(root, "*.mat", "scenes such as BGU_0403-1419-1.mat")


def read(path: Path) -> np.ndarray:
    """Read ``rad`` (31, H, W)."""
    return read_matlab(path, "rad")


def split_of(root: Path) -> dict[str, list[str]]:
    """Return finewave's split of the scenes that are there."""
    names = sorted(find(root))
    return {
        "train": [name for i, name in enumerate(names) if i % EVERY not in (4, 9)],
        "val": names[4::EVERY],
        "test": names[9::EVERY],
    }


DATASETS = {
    "icvl": Dataset(
        name="icvl",
        title="ICVL, 201 scenes of a scanning camera (Specim PS Kappa DX4)",
        wavelengths=np.arange(400.0, 701.0, 10.0),
        find=find,
        read=read,
        split={},
        split_of=split_of,
        citation="Arad and Ben-Shahar, Sparse Recovery of Hyperspectral Signal from Natural RGB Images, ECCV 2016",
        licence="free for research, cite",
        home="https://icvl.cs.bgu.ac.il/hyperspectral/",
        sensor="nikon-d5100",
        full_scale=4095,
        instructions="the .mat files of 31 bands of the page, in one folder",
        notes="12-bit numbers. No split is published; finewave's is by the order of names, of ten scenes eight, one "
        "and one, and depends on which are there. Images may lie on their side; they are not turned.",
    )
}
