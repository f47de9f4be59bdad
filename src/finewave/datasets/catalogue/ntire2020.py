"""NTIRE 2020: the ARAD scenes of the challenge on spectral reconstruction, 482 x 512 pixels, 31 bands, 400 to 700 nm.

B. Arad, R. Timofte, O. Ben-Shahar, Y.-T. Lin, G. Finlayson et al., "NTIRE 2020 Challenge on Spectral Reconstruction
from an RGB Image", CVPR Workshops 2020. https://competitions.codalab.org/competitions/22225.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset
from finewave.datasets.published_files import find_files, read_matlab
from finewave.errors import InputError

WAVELENGTHS = np.arange(400.0, 701.0, 10.0)
TRAIN = tuple(f"ARAD_HS_{number:04d}" for number in range(1, 451))
VALIDATION_SCENES = 10


def find(root: Path) -> dict[str, Path]:
    """Return the spectral images, ``ARAD_HS_0001.mat`` and so on, at any depth."""
    return find_files(root, "ARAD_HS_[0-9][0-9][0-9][0-9].mat", "NTIRE2020_Train_Spectral/ARAD_HS_0001.mat and so on")


def read(path: Path) -> np.ndarray:
    """Read ``cube`` (31, H, W) of a file, and check it against the file's ``bands``."""
    cube = read_matlab(path, "cube")
    try:
        bands = read_matlab(path, "bands").ravel()
    except InputError:  # some copies hold only the cube
        return cube
    if not np.array_equal(bands, WAVELENGTHS):
        raise InputError(f"{path}: bands are {', '.join(f'{b:g}' for b in bands)} nm, expected 400, 410, ... 700")
    return cube


def split_of(root: Path, train: Sequence[str] = TRAIN, validation: int = VALIDATION_SCENES) -> dict[str, list[str]]:
    """Return the split of the JSSUNet paper: the official validation scenes cut in two, by name.

    Raises
    ------
    InputError
        If the number of validation scenes differs from that published.
    """
    others = sorted(set(find(root)) - set(train))
    if len(others) != validation:
        raise InputError(
            f"ntire2020 in {root}: {len(others)} scenes beside the {len(train)} of the training set; "
            f"NTIRE2020_Validation_Spectral has {validation}"
        )
    return {"train": list(train), "val": others[: validation // 2], "test": others[validation // 2 :]}


DATASETS = {
    "ntire2020": Dataset(
        name="ntire2020",
        title="NTIRE 2020 spectral reconstruction (ARAD), 450 + 10 scenes",
        wavelengths=WAVELENGTHS,
        find=find,
        read=read,
        split={},
        split_of=split_of,
        citation="Arad et al., NTIRE 2020 Challenge on Spectral Reconstruction from an RGB Image, CVPRW 2020",
        licence="free for research, terms of the challenge",
        home="https://competitions.codalab.org/competitions/22225",
        sensor="nikon-d5100",
        full_scale=1.0,
        size=(482, 512),
        instructions="NTIRE2020_Train_Spectral.zip and NTIRE2020_Validation_Spectral.zip of the page (an account is "
        "needed), unpacked beside each other: ARAD_HS_0001.mat to ARAD_HS_0450.mat, and the ten of validation",
        notes="450 / 5 / 5, the sizes of the JSSUNet paper; which five of the ten validation scenes it tested on is "
        "not published: here the last five by name. The challenge's RGB images are not used, MS images are simulated.",
    )
}
