"""The demo: a photograph to a hyperspectral image at s times the resolution, with a figure."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finewave.errors import InputError
from finewave.extras import how_to_install
from finewave.inference.corrections.consistency import consistency_psnr
from finewave.inference.super_resolve import super_resolve

if TYPE_CHECKING:
    import xarray as xr

# Part of scikit-image's astronaut.png (NASA, public domain): saturated colours, embroidery, metal and cloth
PHOTOGRAPH = "astronaut.png"
PART = (slice(292, 420), slice(120, 312))
LARGEST = 256
"""Maximum side of the middle part of a user's photograph, to keep the demo fast."""


@dataclass(frozen=True)
class Outcome:
    """Files and metrics of the demo."""

    result: Path
    picture: Path
    before: tuple[int, ...]
    after: tuple[int, ...]
    seconds: float
    psnr: float

    def summary(self) -> str:
        """Return a summary for the user."""
        shapes = ["{2} x {1} pixels, {0} bands".format(*shape) for shape in (self.before, self.after)]
        return (
            f"input:       {shapes[0]}\n"
            f"result:      {shapes[1]}, made in {self.seconds:.1f} s\n"
            f"consistency: {self.psnr:.1f} dB PSNR between the input and the result degraded again\n"
            f"scene:       {self.result}\n"
            f"picture:     {self.picture}"
        )


def run_demo(
    folder: str | Path,
    *,
    image: str | Path | None = None,
    model: str | Path = "residual-sr-photo-x4",
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Super-resolve a photograph and draw the result.

    Parameters
    ----------
    folder : str or Path
        Folder of ``result.tif`` and ``result.png``; created if missing.
    image : str or Path, optional
        A photograph; default a part of one included in scikit-image.
    model : str or Path
        Argument of `load_model`.
    progress : callable, optional
        See `super_resolve`.

    Raises
    ------
    InputError
        If scikit-image or matplotlib is missing, the image or the model cannot be used, or the folder cannot
        be written to.
    """
    from finewave.io.open_save import save_scene
    from finewave.viz.demo_figure import draw_demo
    from finewave.zoo.model import load_model

    folder = Path(folder)
    loaded = load_model(model)
    scene = _photograph() if image is None else _middle_of(Path(image))
    if not folder.parent.is_dir() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"cannot write to {folder}: its parent is not a folder, or it is a file")
    folder.mkdir(exist_ok=True)

    start = time.perf_counter()
    result = super_resolve(scene, loaded, progress=progress)
    seconds = time.perf_counter() - start
    psnr = consistency_psnr(result, scene, loaded)

    save_scene(result, folder / "result.tif", compress="deflate")
    draw_demo(scene, result, folder / "result.png", title=f"{loaded.name}, scale {loaded.upscaling}")
    return Outcome(folder / "result.tif", folder / "result.png", scene.shape, result.shape, seconds, psnr)


def _photograph() -> xr.DataArray:
    from importlib.util import find_spec

    from finewave.io.open_save import load_scene

    package = find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise InputError(
            "the demo's photograph is part of scikit-image, which is not installed: "
            f"{how_to_install('demo')}, or give --image FILE"
        )
    scene = load_scene(Path(package.submodule_search_locations[0]) / "data" / PHOTOGRAPH)
    return scene[:, PART[0], PART[1]]


def _middle_of(path: Path) -> xr.DataArray:
    import warnings

    from finewave.io.open_save import load_scene
    from finewave.warnings import FinewaveWarning

    scene = load_scene(path)
    height, width = scene.shape[1:]
    if max(height, width) <= LARGEST:
        return scene
    warnings.warn(
        f"{path} has {width} x {height} pixels; the demo takes the middle {LARGEST}, finewave predict all",
        FinewaveWarning,
        stacklevel=3,
    )
    top, left = (max(0, (n - LARGEST) // 2) for n in (height, width))
    return scene[:, top : top + LARGEST, left : left + LARGEST]
