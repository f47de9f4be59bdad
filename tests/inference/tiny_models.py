"""Small networks and scenes for tests of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from finewave.io.open_save import save_scene
from finewave.scene import make_scene
from finewave.systems.registry import create_model
from finewave.zoo.card import describe
from finewave.zoo.model import Model

PLACE = {"crs": "EPSG:32631", "transform": (10.0, 0.0, 5e5, 0.0, -10.0, 4e6)}
WAVELENGTHS = [600.0, 540.0, 460.0]


def save_model(folder: Path, crop: int = 16) -> Path:
    """Save a very small JSSUNet, 3 bands to 4 at twice the size, trained by its card on crops of this size."""
    torch.manual_seed(7)
    net = create_model("jssunet", scale=2, hs_bands=4, features=4, stages=1, n_clusters=2, post=False)
    card = describe(
        net,
        wavelengths_nm=[450.0, 500.0, 550.0, 600.0],
        ms_bands=["R", "G", "B"],
        ms_wavelengths_nm=WAVELENGTHS,
        training_crop=crop,
    )
    return Model(net, card).save(folder, name="tiny")


def scene_of(height: int, width: int, bands: int = 3, **keywords: Any) -> xr.DataArray:
    """Return a random scene; smooth, so that what a network answers differs from place to place."""
    generator = np.random.default_rng(height + width)
    values = generator.random((bands, height, width), dtype=np.float32)
    values = 0.5 * values + 0.5 * np.linspace(0, 1, width, dtype=np.float32)
    if bands == 3:
        keywords = {"wavelengths": WAVELENGTHS, **keywords}
    return make_scene(values, **keywords)


def write_scene(path: Path, height: int, width: int, **keywords: Any) -> Path:
    """Write a random scene with a georeference and return its path."""
    save_scene(scene_of(height, width, **{**PLACE, **keywords}), path)
    return path
