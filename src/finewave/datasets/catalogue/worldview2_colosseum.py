"""WorldView-2 sample of the Roman Colosseum: 8 bands, and a sharper image of the same area.

A product sample of DigitalGlobe (now Maxar), used by fusion papers as 419 x 658 pixels of 8 bands and 1676 x 2632 of
RGB. Its publisher and file names are uncertain, so files are identified by their number of bands.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset, Image, Region
from finewave.errors import InputError
from finewave.io.open_save import FORMATS, open_scene

IMAGE = "colosseum"
SCALE = 4
# Centres between the band edges of the data sheet: coastal, blue, green, yellow, red, red edge, near infrared 1 and 2.
WAVELENGTHS = np.array([425.0, 480.0, 545.0, 605.0, 660.0, 725.0, 832.5, 950.0])
_SHARP = {1: "pan", 3: "rgb"}


def find(root: Path) -> dict[str, Path]:
    """Return the folder with the two images."""
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the one that holds the two images of the sample")
    if not _images(root):
        raise InputError(f"no image in {root}; expected the 8-band image of the sample and the sharper one")
    return {IMAGE: root}


def _images(folder: Path) -> list[Path]:
    extensions = {extension for each in FORMATS for extension in each.extensions} - {".dat", ".img", ".raw", ".bsq"}
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in extensions)


def read(folder: Path) -> Image:
    """Read the 8-band image and, as ``sharp``, the one of 1 or 3 bands at four times its size."""
    by_bands: dict[int, list[np.ndarray]] = {}
    for path in _images(folder):
        values = open_scene(path, full_scale=1.0, linearise=False).values
        by_bands.setdefault(len(values), []).append(values)
    counts = ", ".join(f"{len(images)} of {bands} bands" for bands, images in sorted(by_bands.items()))
    sharp = [image for bands in _SHARP for image in by_bands.get(bands, [])]
    if len(by_bands.get(len(WAVELENGTHS), [])) != 1 or len(sharp) != 1:
        raise InputError(f"{folder}: images {counts}; expected one of 8 bands and one of 1 (pan) or 3 (RGB)")
    (multispectral,) = by_bands[len(WAVELENGTHS)]
    height, width = multispectral.shape[1:]
    if sharp[0].shape[1:] != (SCALE * height, SCALE * width):
        raise InputError(
            f"{folder}: {height} x {width} pixels of 8 bands and {sharp[0].shape[1]} x {sharp[0].shape[2]} of "
            f"{len(sharp[0])}; the second must have {SCALE} times as many each way"
        )
    return Image(multispectral, {"sharp": sharp[0]})


DATASETS = {
    "worldview2-colosseum": Dataset(
        name="worldview2-colosseum",
        title="WorldView-2 sample of the Roman Colosseum, 8 bands and a sharper image",
        wavelengths=WAVELENGTHS,
        find=find,
        read=read,
        split={"train": ("left",), "val": ("middle",), "test": ("right",)},
        regions={
            "left": Region(IMAGE, (0, 416), (0, 448)),
            "middle": Region(IMAGE, (0, 416), (456, 552)),  # 8 unused columns between them
            "right": Region(IMAGE, (0, 416), (560, 656)),
        },
        citation="DigitalGlobe (Maxar), WorldView-2 product sample, Rome",
        licence="product sample; terms of Maxar",
        home="",
        sensor="ikonos",
        full_scale=None,
        companions={"sharp": "panchromatic or RGB image at four times the size"},
        instructions="the 8-band image and the panchromatic (or RGB) one, in any format that finewave reads, alone "
        "in one folder",
        notes="The size that papers report is 419 x 658; layout, page and a published split could not be settled. "
        "The 8 bands play the hyperspectral image; wavelengths are the middles of the band edges.",
    )
}
