"""Small images that belong together, as files and as a view."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from finewave.io.open_save import save_scene
from finewave.scene import make_scene
from finewave.viz.scene_pair import ScenePair, open_scene_pair

WAVELENGTHS = np.linspace(430.0, 670.0, 7)
SIZE = (48, 64)
RATIO = 4


def truth() -> xr.DataArray:
    """Return a scene whose every pixel and band has another value, of smooth spectra."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    slope = (WAVELENGTHS - 400) / 300
    values = 0.1 + 0.5 * slope[:, None, None] * (x / SIZE[1]) + 0.3 * (1 - slope)[:, None, None] * (y / SIZE[0])
    return make_scene(values.astype(np.float32), wavelengths=WAVELENGTHS)


def write_view(folder: Path) -> dict[str, Path]:
    """Write a result, its input of a quarter of the rows and columns with three bands, and its reference."""
    reference = truth()
    noise = np.random.default_rng(3).normal(0, 0.01, reference.shape)
    result = reference.copy(data=(reference.values + noise).astype(np.float32))
    coarse = reference.values[[1, 3, 5]].reshape(3, SIZE[0] // RATIO, RATIO, SIZE[1] // RATIO, RATIO).mean((2, 4))
    paths = {role: folder / f"{role}.tif" for role in ("result", "input", "reference")}
    save_scene(result, paths["result"])
    save_scene(make_scene(coarse, wavelengths=WAVELENGTHS[[1, 3, 5]]), paths["input"])
    save_scene(reference, paths["reference"])
    return paths


def opened(folder: Path) -> ScenePair:
    """Return the view of `write_view`."""
    paths = write_view(folder)
    return open_scene_pair(paths["result"], paths["input"], paths["reference"])
