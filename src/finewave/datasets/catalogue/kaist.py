"""KAIST: 30 indoor reflectance images, 2704 x 3376 pixels, 31 bands from 420 to 720 nm.

I. Choi, D. S. Jeon, G. Nam, D. Gutierrez, M. H. Kim, "High-Quality Hyperspectral Reconstruction Using a Spectral
Prior", ACM Trans. Graphics (SIGGRAPH Asia) 36(6), 2017. http://vclab.kaist.ac.kr/siggraphasia2017p1/.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset
from finewave.datasets.published_files import find_by
from finewave.errors import InputError
from finewave.extras import importing
from finewave.io.file_errors import reading

WAVELENGTHS = np.arange(420.0, 721.0, 10.0)
_NAMES = tuple(f"scene{number:02d}" for number in range(1, 31))


def find(root: Path) -> dict[str, Path]:
    """Return the scenes, ``scene01_reflectance.exr`` and so on."""
    return find_by(
        root,
        ("scene[0-9][0-9]_reflectance.exr",),
        "scene01_reflectance.exr and so on",
        lambda path: path.stem.removesuffix("_reflectance"),
    )


def read(path: Path) -> np.ndarray:
    """Read the channels ``w420nm`` to ``w720nm`` (31, H, W) of an OpenEXR file; R, G and B are ignored."""
    with importing("data", "reading KAIST's OpenEXR files"):
        import OpenEXR
    with reading(path, "OpenEXR image"), OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    by_wavelength = {
        float(match[1]): pixels for name, pixels in channels.items() if (match := re.fullmatch(r"w(\d+)nm", name))
    }
    missing = [f"w{w:g}nm" for w in WAVELENGTHS if w not in by_wavelength]
    if missing:
        raise InputError(f"{path}: channels {', '.join(missing)} are missing; it holds {', '.join(sorted(channels))}")
    return np.stack([by_wavelength[w] for w in WAVELENGTHS])


DATASETS = {
    "kaist": Dataset(
        name="kaist",
        title="KAIST, 30 indoor reflectance images",
        wavelengths=WAVELENGTHS,
        find=find,
        read=read,
        split={"train": _NAMES[:22], "val": _NAMES[22:26], "test": _NAMES[26:]},
        citation="Choi et al., High-Quality Hyperspectral Reconstruction Using a Spectral Prior, ACM TOG 36(6), 2017",
        licence="free for research, cite",
        home="http://vclab.kaist.ac.kr/siggraphasia2017p1/",
        sensor="nikon-d5100",
        full_scale=1.0,  # reflectance
        size=(2704, 3376),
        instructions="scene01_reflectance.exr to scene30_reflectance.exr of the page, in one folder",
        notes="22 / 4 / 4 scenes by number: the owner publishes no split. Needs the package OpenEXR (finewave[data]).",
    )
}
