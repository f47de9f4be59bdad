"""Small scenes that fit together, with known spectra."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import finewave as fw
from finewave.scene import make_scene

WAVELENGTHS = np.linspace(400.0, 700.0, 7)


def truth_values(rows: int = 48, columns: int = 64) -> np.ndarray:
    """Return (7, rows, columns): four quarters of even spectra, with a busy square of 16 x 16 in the second."""
    values = np.empty((7, rows, columns), np.float32)
    ramp = np.linspace(0.1, 0.8, 7, dtype=np.float32)[:, None, None]
    values[:, : rows // 2, : columns // 2] = ramp
    values[:, : rows // 2, columns // 2 :] = ramp[::-1]
    values[:, rows // 2 :, : columns // 2] = 0.5
    values[:, rows // 2 :, columns // 2 :] = 0.05
    values[:, 4:20, columns - 20 : columns - 4] *= 0.2 + 0.8 * (np.indices((16, 16)).sum(0) % 2)
    return values


def write_scenes(folder: Path) -> dict[str, Path]:
    """Write ``reference``, ``good``, ``poor`` and ``input``, x4; ``good`` is off by 0.01 in every value."""
    truth = truth_values()
    noise = np.random.default_rng(0).normal(0, 0.1, truth.shape).astype(np.float32)
    coarse = truth.reshape(7, 12, 4, 16, 4).mean((2, 4))
    paths = {}
    for name, values in (("reference", truth), ("good", truth + np.float32(0.01)), ("poor", truth + noise)):
        paths[name] = folder / f"{name}.tif"
        fw.save_scene(make_scene(values, wavelengths=WAVELENGTHS), paths[name])
    paths["input"] = folder / "input.tif"
    fw.save_scene(make_scene(coarse[[5, 3, 1]], wavelengths=WAVELENGTHS[[5, 3, 1]]), paths["input"])
    return paths
