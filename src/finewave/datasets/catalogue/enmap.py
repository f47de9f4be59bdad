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
from finewave.io.formats.gdal_drivers import driver_of
from finewave.io.formats.gdal_environment import quiet_gdal

_PREFIX = "enmap_potsdam_tile_"
# In the order of the files, which have the bands of VNIR, then those of SWIR; the two overlap.
_CENTRES = np.array(
    """
    418.24 423.874 429.294 434.528 439.603 444.549 449.391 454.159 458.884 463.584 468.265 472.934 477.599
    482.265 486.941 491.633 496.349 501.094 505.87 510.678 515.519 520.397 525.313 530.268 535.265 540.305
    545.391 550.525 555.71 560.947 566.239 571.587 576.995 582.464 587.997 593.596 599.267 605.011 610.833
    616.737 622.732 628.797 634.919 641.1 647.341 653.643 660.007 666.435 672.927 679.485 686.11 692.804 699.567
    706.401 713.307 720.282 727.324 734.431 741.601 748.833 756.124 763.472 770.876 778.333 785.843 793.402
    801.01 808.665 816.367 824.112 831.901 839.731 847.601 855.509 863.455 871.433 879.442 887.478 895.537
    903.617 911.715 919.827 927.951 936.082 944.217 952.355 960.495 968.638 976.783 984.932 993.083 902.257
    911.872 921.624 931.512 941.53 951.677 961.948 972.341 982.851 993.475 1004.21 1015.05 1026 1037.05 1048.19
    1059.42 1070.74 1082.14 1093.62 1105.17 1116.79 1128.47 1140.2 1151.98 1163.81 1175.67 1187.56 1199.48
    1211.42 1223.37 1235.34 1247.31 1259.3 1271.29 1283.29 1295.28 1307.27 1319.25 1331.22 1343.18 1355.13
    1367.06 1378.96 1390.84 1461.46 1473.1 1484.69 1496.24 1507.75 1519.22 1530.64 1542.02 1553.36 1564.65
    1575.9 1587.1 1598.26 1609.36 1620.43 1631.44 1642.41 1653.33 1664.2 1675.03 1685.8 1696.53 1707.2 1717.83
    1728.4 1738.93 1749.4 1759.83 1939.44 1948.98 1958.49 1967.95 1977.37 1986.74 1996.07 2005.36 2014.61
    2023.82 2032.99 2042.11 2051.19 2060.24 2069.24 2078.21 2087.13 2096.01 2104.86 2113.67 2122.44 2131.17
    2139.87 2148.52 2157.15 2165.73 2174.28 2182.79 2191.27 2199.71 2208.12 2216.5 2224.84 2233.14 2241.42
    2249.66 2257.86 2266.04 2274.18 2282.29 2290.37 2298.42 2306.44 2314.42 2322.37 2330.29 2338.19 2346.05
    2353.88 2361.68 2369.45 2377.19 2384.9 2392.58 2400.23 2407.85 2415.45 2423.01 2430.55 2438.05 2445.53
    """.split(),  # noqa: SIM905
    dtype=np.float64,
)
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
