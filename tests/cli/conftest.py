"""Images to feed to the command line."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A PNG of 6 x 7 pixels."""
    path = tmp_path / "photograph.png"
    iio.imwrite(path, np.random.default_rng(5).integers(0, 256, (6, 7, 3), dtype=np.uint8))
    return path


@pytest.fixture
def georeferenced(tmp_path: Path) -> Path:
    """A GeoTIFF of 5 x 6 pixels, 3 float bands with wavelengths in another order than the model's, in UTM."""
    from finewave.io.open_save import save_scene
    from finewave.scene import make_scene

    scene = make_scene(
        np.random.default_rng(6).random((3, 5, 6), dtype=np.float32),
        wavelengths=[460.0, 540.0, 600.0],
        crs="EPSG:32631",
        transform=(10.0, 0.0, 500000.0, 0.0, -10.0, 4400000.0),
    )
    path = tmp_path / "scene.tif"
    save_scene(scene, path)
    return path
