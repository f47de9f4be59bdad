"""CAVE: 32 indoor scenes, 512 x 512 pixels, 31 bands from 400 to 700 nm.

F. Yasuma, T. Mitsunaga, D. Iso, S. K. Nayar, "Generalized Assorted Pixel Camera: Postcapture Control of Resolution,
Dynamic Range, and Spectrum", IEEE Trans. Image Processing 19(9), 2010. Free for research; https://cave.cs.columbia.edu.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from finewave.datasets.base import Dataset
from finewave.datasets.published_files import read_compact
from finewave.errors import InputError

BANDS = 31
HOME = "https://cave.cs.columbia.edu/repository/Multispectral"


def wavelengths() -> np.ndarray:
    """Band centres in nm, shape (31,)."""
    return np.arange(400.0, 701.0, 10.0)


# The sizes of the JSSUNet paper (20 / 6 / 6); which scenes it used is not published.
SPLIT: dict[str, tuple[str, ...]] = {
    "train": (
        "cd",
        "clay",
        "egyptian_statue",
        "fake_and_real_beers",
        "fake_and_real_lemon_slices",
        "fake_and_real_lemons",
        "fake_and_real_strawberries",
        "fake_and_real_sushi",
        "fake_and_real_tomatoes",
        "feathers",
        "glass_tiles",
        "hairs",
        "oil_painting",
        "paints",
        "real_and_fake_apples",
        "real_and_fake_peppers",
        "sponges",
        "stuffed_toys",
        "superballs",
        "watercolors",
    ),
    "val": ("balloons", "beads", "cloth", "fake_and_real_food", "jelly_beans", "pompoms"),
    "test": (
        "chart_and_stuffed_toy",
        "face",
        "fake_and_real_peppers",
        "flowers",
        "photo_and_face",
        "thread_spools",
    ),
}


def find_scenes(root: Path) -> dict[str, Path]:
    """Return the path of each scene under ``root``, by name without the ``_ms`` of the published files.

    Accepted are the database's own layout (``[complete_ms_data/]balloons_ms/[balloons_ms/]balloons_ms_01.png``) and
    compact files (``[cave/]balloons_ms.npz``).

    Raises
    ------
    InputError
        If there is no scene, or one twice.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the one that holds the CAVE scenes")
    scenes: dict[str, Path] = {}
    for base in (root, root / "complete_ms_data", root / "cave"):
        for path in sorted(base.glob("*_ms.npz")) + sorted(p for p in base.glob("*_ms") if p.is_dir()):
            name = path.name.removesuffix(".npz").removesuffix("_ms")
            if name in scenes:
                raise InputError(f"scene {name!r} is there twice: {scenes[name]} and {path}")
            nested = path / path.name
            scenes[name] = nested if nested.is_dir() else path
    known = {name for names in SPLIT.values() for name in names}
    scenes = {name: path for name, path in scenes.items() if name in known}
    if not scenes:
        raise InputError(
            f"no CAVE scene in {root}: expected folders such as balloons_ms with balloons_ms_01.png to _31.png "
            f"(from {HOME}) or compact files such as balloons_ms.npz"
        )
    return scenes


def read_scene(path: Path) -> np.ndarray:
    """Read one scene.

    Returns
    -------
    ndarray of uint16, shape (31, H, W)
        Digital numbers, 0 to 65535.

    Raises
    ------
    InputError
        If a band is missing or damaged, or has another size; the message names it.
    """
    if path.suffix == ".npz":
        return read_compact(path)[0].astype(np.uint16)
    return _read_published(path)


def _read_published(folder: Path) -> np.ndarray:
    import imageio.v3 as iio

    bands: list[np.ndarray] = []
    for i in range(1, BANDS + 1):
        path = folder / f"{folder.name}_{i:02d}.png"
        if not path.is_file():
            raise InputError(f"scene {folder.name}: band {i} is missing ({path.name})")
        try:
            band = iio.imread(path)
        except Exception as error:
            raise InputError(f"scene {folder.name}: band {i} is damaged ({path.name}: {error})") from error
        if band.dtype == np.uint8:  # watercolors: grey in red, green and blue of an 8-bit RGBA file
            band = (band[..., 0] if band.ndim == 3 else band).astype(np.uint16) * 257
        expected = bands[0].shape if bands else band.shape[:2]
        if band.shape != expected or band.dtype != np.uint16:
            raise InputError(f"scene {folder.name}: band {i} is {band.dtype} {band.shape}, expected uint16 {expected}")
        bands.append(band)
    return np.stack(bands)


_CAVE = Dataset(
    name="cave",
    title="CAVE, 32 indoor scenes",
    wavelengths=wavelengths(),
    find=find_scenes,
    read=read_scene,
    split=SPLIT,
    citation="Yasuma et al., Generalized Assorted Pixel Camera, IEEE TIP 19(9), 2010",
    licence="free for research, cite",
    home=HOME,
    sensor="nikon-d5100",
    full_scale=65535,  # of the 16-bit digital numbers; one scene is 8-bit and read as value * 257
    size=(512, 512),
    instructions="complete_ms_data.zip, unpacked: folders such as balloons_ms with balloons_ms_01.png to _31.png",
    notes="The split has the sizes of the JSSUNet paper (20 / 6 / 6); which scenes it used is not published.",
)
# "80 % of the scenes" train in the MulSR article; its public code chooses weights on its test scenes
_MULSR = replace(
    _CAVE,
    name="cave@mulsr",
    title="CAVE as in the MulSR paper: 80 % of the scenes train",
    split={"train": SPLIT["train"] + SPLIT["val"], "val": SPLIT["test"][::2], "test": SPLIT["test"][1::2]},
    notes="26 / 3 / 3: 80 % of the scenes train, as in the MulSR paper; which, is not published. Three of the others "
    "validate, because weights that are chosen on test scenes flatter.",
)
DATASETS = {each.name: each for each in (_CAVE, _MULSR)}
