"""Paris: a real pair of two instruments of EO-1, Hyperion (128 bands) and ALI (9 bands), 72 x 72 pixels at 30 m.

Prepared by M. Simoes, J. Bioucas-Dias, L. Almeida, J. Chanussot, "A Convex Formulation for Hyperspectral Image
Superresolution via Subspace-Based Regularization", IEEE TGRS 53(6), 2015 (HySure). Data of USGS and NASA.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset, Image, Region
from finewave.datasets.published_files import find_by, read_matlab
from finewave.errors import InputError

IMAGE = "paris"
# Hyperion's channel numbers, from 1, of the remaining channels.
CHANNELS = np.concatenate(
    [
        np.arange(first, last + 1)
        for first, last in ((8, 56), (83, 96), (102, 118), (135, 162), (194, 196), (202, 214), (216, 219))
    ]
)


def hyperion_wavelengths(channels: np.ndarray) -> np.ndarray:
    """Return the centres in nm of Hyperion's channels, from 1; its second spectrometer begins with the 71st."""
    return np.where(channels <= 70, 355.59 + 10.1752 * (channels - 1), 912.45 + 10.0888 * (channels - 77))


def find(root: Path) -> dict[str, Path]:
    """Return the image, ``paris_data_hs_ms.mat``."""
    return find_by(root, ("paris_data_hs_ms.mat",), "paris_data_hs_ms.mat", lambda path: IMAGE)


def read(path: Path) -> Image:
    """Read Hyperion's ``HSim`` (128, 72, 72), with ALI's ``MSim`` (9, 72, 72) as ``ali``."""
    channels = read_matlab(path, "non_del_bands").ravel()
    if not np.array_equal(channels, CHANNELS):
        raise InputError(
            f"{path}: non_del_bands names {len(channels)} channels, not the {len(CHANNELS)} of this data set"
        )
    ali = read_matlab(path, "MSim")
    if len(ali) != 9:
        raise InputError(f"{path}: MSim has {len(ali)} bands; ALI has 9")
    return Image(read_matlab(path, "HSim"), {"ali": ali})


DATASETS = {
    "paris": Dataset(
        name="paris",
        title="Paris, EO-1 Hyperion and ALI, a real pair",
        wavelengths=hyperion_wavelengths(CHANNELS),
        find=find,
        read=read,
        split={"train": ("west",), "val": ("middle",), "test": ("east",)},
        regions={
            "west": Region(IMAGE, (0, 72), (0, 40)),
            "middle": Region(IMAGE, (0, 72), (44, 56)),  # 4 unused columns between them
            "east": Region(IMAGE, (0, 72), (60, 72)),
        },
        citation="Simoes et al., A Convex Formulation for Hyperspectral Image Superresolution, IEEE TGRS 53(6), 2015",
        licence="EO-1: public domain (USGS/NASA)",
        home="https://github.com/alfaiate/HySure",
        sensor="ikonos",
        full_scale=1.0,
        size=(72, 72),
        companions={"ali": "ALI's 9 bands of the same pixels, measured, not simulated"},
        instructions="data/paris_data_hs_ms.mat of the repository, in a folder of its own",
        notes="Reflectance-like, up to 1.3. Wavelengths are those of Hyperion's channel numbers by a linear rule for "
        "each of its two spectrometers. The sensor simulates MS images; the measured ones are the companion.",
    )
}
