"""Reprint the picture of spectra on the page on Sentinel-2: ``python -m benchmarks.sentinel2_spectra [-o PICTURE]``.

A validation tile of EnMAP in ``FINEWAVE_DATA``, the ten bands of Sentinel-2 simulated from it, and what `MODEL` makes
of these, at five pixels of different cover.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import finewave as fw
from finewave.datasets.registry import open_scenes
from finewave.scene import make_scene
from finewave.viz.figure.figure import make_figure

MODEL = "sentinel2-enmap"
TILE = "160_96"
POINTS = ((30, 26), (12, 17), (27, 17), (7, 2), (23, 5))
"""Column and row: shore, trees, grass and soil, houses, a roof."""
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "sentinel2-spectra.png"


def draw(picture: Path, tile: str) -> str:
    """Write the picture, and return its caption."""
    source = open_scenes("enmap", [tile])
    values = (source.read(tile) / source.full_scale(tile)).astype(np.float32)
    sensor = fw.get_sensor("sentinel2a:B2,B3,B4,B5,B6,B7,B8,B8A,B11,B12")
    seen = np.einsum("kc,cyx->kyx", sensor.response(source.wavelengths), values).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        truth, bands, result = (Path(folder) / f"{name}.nc" for name in ("truth", "input", "result"))
        observed = make_scene(seen, wavelengths=sensor.centres, band_names=list(sensor.bands))
        fw.save_scene(make_scene(values, wavelengths=source.wavelengths), truth)
        fw.save_scene(observed, bands)
        fw.save_scene(fw.super_resolve(observed, MODEL), result)
        made = make_figure(
            [result],
            picture,
            observed=bands,
            reference=truth,
            labels=["from Sentinel-2 bands"],
            points=POINTS,
            region=(4, 4, 24, 24),
            dpi=110,
        )
    return made.caption


def main() -> None:
    """Write the picture and print its caption."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=PICTURE)
    parser.add_argument("--tile", default=TILE)
    options = parser.parse_args()
    print(draw(options.output, options.tile))


if __name__ == "__main__":
    main()
