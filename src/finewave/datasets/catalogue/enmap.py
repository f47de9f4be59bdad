"""EnMAP, Potsdam: tiles of 32 x 32 pixels of one scene of level 2A, 24 July 2022, 218 bands from 418 to 2446 nm.

The tiles that the EnMAP-Box ships with its tests (`tests/testdata/external/specdeepmap`): reflectance times 10^4, 30 m.
L. Guanter et al., "The EnMAP Spaceborne Imaging Spectroscopy Mission for Earth Observation", Remote Sensing 7(7), 2015.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio

from finewave.datasets.base import Dataset
from finewave.datasets.published_files import find_by
from finewave.errors import InputError
from finewave.io.file_errors import reading
from finewave.io.formats.gdal.gdal_access import driver_of, quiet_gdal
from finewave.physics.sensors.satellites import nominal_bands

_PREFIX = "enmap_potsdam_tile_"
# In the order of the files, which have the bands of VNIR, then those of SWIR; the two overlap.
_CENTRES = np.array([centre for centre, _ in nominal_bands("enmap").values()])
_ORDER = np.argsort(_CENTRES, kind="stable")
EMPTY = tuple(range(129, 135))
"""Bands of the files, and of the order of wavelength too, that hold nothing: 1331 to 1391 nm."""
WAVELENGTHS = np.delete(_CENTRES[_ORDER], EMPTY)


def find(root: Path) -> dict[str, Path]:
    """Return the tiles by row and column, ``128_0`` and so on."""
    return find_by(
        root,
        (f"{_PREFIX}*.tif",),
        f"{_PREFIX}128_0.tif and so on",
        lambda path: path.stem.removeprefix(_PREFIX),
    )


def read(path: Path) -> np.ndarray:
    """Read a tile in the order of wavelength, float32 (224, H, W), empty bands included."""
    with reading(path, "GeoTIFF"), quiet_gdal(), rasterio.open(path, driver=driver_of(path)) as file:
        values = file.read().astype(np.float32)
    if len(values) != len(_CENTRES):
        raise InputError(f"{path}: {len(values)} bands; a tile of EnMAP has {len(_CENTRES)}, empty ones included")
    return values[_ORDER]


DATASETS = {
    "enmap": Dataset(
        name="enmap",
        title="EnMAP, Potsdam, tiles of one scene of level 2A",
        wavelengths=WAVELENGTHS,
        find=find,
        read=read,
        split={
            "train": (
                *("128_0", "128_96", "160_64", "160_160", "192_96", "192_128"),
                *("192_160", "64_0", "96_0", "96_32", "96_128"),
            ),
            "val": ("64_32", "160_96", "128_128"),
            "test": ("128_32", "160_128", "192_64", "96_96"),
        },
        citation="Guanter et al., The EnMAP Spaceborne Imaging Spectroscopy Mission, Remote Sensing 7(7), 2015; "
        "tiles of the EnMAP-Box",
        licence="EnMAP data (c) DLR, free for research after registration; the EnMAP-Box is GPL-3.0",
        home="https://github.com/EnMAP-Box/enmap-box",
        sensor="sentinel2a:B2,B3,B4,B5,B6,B7,B8,B8A,B11,B12",
        full_scale=10000.0,
        size=(32, 32),
        dropped_bands=EMPTY,
        instructions="the 18 files enmap_potsdam_tile_ROW_COLUMN.tif of tests/testdata/external/specdeepmap of the "
        "EnMAP-Box",
        notes="One scene, one day, one season. Bands are in the order of wavelength, so that those of VNIR and SWIR "
        "take turns where they overlap (902 to 993 nm); the six bands without values (1331 to 1391 nm) are left out. "
        "ROW_COLUMN is the place of a tile in its scene, in pixels: tiles touch, so that neighbours of one part are "
        "neighbours of another. Some pixels are 0 in all bands. 1939 nm, at the edge of the strongest absorption by "
        "water vapour, is mostly noise.",
        quantity="surface reflectance",
        unreliable_nm=((1340.0, 1500.0), (1790.0, 1990.0)),  # water vapour leaves too little light
    )
}
