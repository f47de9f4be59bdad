"""ARAD-1K: the scenes of NTIRE 2022, 482 x 512 pixels, 31 bands from 400 to 700 nm.

B. Arad, R. Timofte, R. Yahel, N. Morag, A. Bernat et al., "NTIRE 2022 Spectral Recovery Challenge and Data Set", CVPR
Workshops 2022. https://codalab.lisn.upsaclay.fr/competitions/721.
"""

from __future__ import annotations

from pathlib import Path

from finewave.datasets.base import Dataset
from finewave.datasets.catalogue.ntire2020 import WAVELENGTHS, read
from finewave.datasets.published_files import find_files

# the training list of the public code of MST++, which excludes these three
_LEFT_OUT = (314, 340, 531)
SPLIT = {
    "train": tuple(f"ARAD_1K_{number:04d}" for number in range(1, 901) if number not in _LEFT_OUT),
    "val": tuple(f"ARAD_1K_{number:04d}" for number in range(901, 951)),
    "test": (),
}


def find(root: Path) -> dict[str, Path]:
    """Return the spectral images, ``ARAD_1K_0001.mat`` and so on, at any depth."""
    return find_files(root, "ARAD_1K_[0-9][0-9][0-9][0-9].mat", "Train_Spec/ARAD_1K_0001.mat and so on")


DATASETS = {
    "arad-1k": Dataset(
        name="arad-1k",
        title="ARAD-1K (NTIRE 2022), 900 + 50 scenes",
        wavelengths=WAVELENGTHS,
        find=find,
        read=read,
        split=SPLIT,
        citation="Arad et al., NTIRE 2022 Spectral Recovery Challenge and Data Set, CVPRW 2022",
        licence="free for research, terms of the challenge",
        home="https://codalab.lisn.upsaclay.fr/competitions/721#participate-get_data",
        sensor="nikon-d5100",
        full_scale=1.0,
        size=(482, 512),
        instructions="the training and the validation spectral images of the page (an account is needed), unpacked "
        "anywhere in one folder: ARAD_1K_0001.mat to ARAD_1K_0950.mat",
        notes="The test spectra are not public: published figures are of the 50 validation scenes (val). 0314, 0340 "
        "and 0531 are left out of training, as in the public code of MST++.",
    )
}
