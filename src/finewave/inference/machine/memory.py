"""Tiles as large as a budget of memory allows."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from finewave.errors import InputError
from finewave.inference.options import bytes_of
from finewave.inference.tiling.plan import STEP, default_side, halos_of
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

    from finewave.inference.request import PredictionRequest
    from finewave.zoo.runnable import RunnableModel

PROGRAM = 550_000_000
"""Bytes of the libraries, the weights of a network, and what GDAL and Zarr keep."""
COPIES = 4
"""Of a tile's output in float32: as the network made it, cropped, as stored, and that of the tile being written."""
SHARE = 0.5
"""Of the machine's memory, or of the limit of the process's control group, that tiles may take without a budget.

Not of what is free at the moment: the same command would cut other tiles when it is given again, and not resume.
"""


def tile_within(
    memory: str | float | None, request: PredictionRequest, *, halo: str | int, beyond: int = 0, workers: int = 1
) -> int | None:
    """Return the side of tiles, in pixels of the scene, with which a prediction stays within a budget.

    Parameters
    ----------
    memory : str or number, optional
        The budget of all processes, see `bytes_of`; by default `SHARE` of the memory there is, and tiles are not larger
        than usual.
    request : PredictionRequest
        Model and scenes. What of the scenes is in memory counts, too.
    halo, beyond : optional
        As of `finewave.inference.tiling.plan.plan_tiles`.
    workers : int
        Processes that share the budget.

    Returns
    -------
    int or None
        None where the default tile is within the budget.

    Raises
    ------
    InputError
        If not even a tile of `STEP` pixels of the output is within the budget that is given.
    """
    model, height, width = request.model, *request.first.shape[1:]
    step = max(1, STEP // model.upscaling)
    step = -(-step // model.size_multiple) * model.size_multiple
    if memory is None and max(height, width) <= step:
        return None  # one tile, however little memory there is
    total = machine_memory() if memory is None else bytes_of(memory)
    if total is None:
        return None
    budget = total * (SHARE if memory is None else 1) / workers
    held = sum(_held(scene) for scene in request.scenes.values())

    def needed(side: int) -> float:
        return held + peak_bytes(model, side, [each + beyond for each in halos_of(model, halo, side)])

    if "ref_rgb" in model.inputs:
        if memory is not None and needed(max(height, width)) > budget:
            warnings.warn(
                f"{model.name} never runs in tiles, so --memory (memory=) is not kept: it takes about "
                f"{needed(max(height, width)) / 1e9:.1f} GB",
                FinewaveWarning,
                stacklevel=3,
            )
        return None
    default = min(model.largest_tile, default_side(model) // model.upscaling)
    if memory is None and needed(max(default, 1)) <= budget:
        return None
    if memory is not None and needed(step) > budget:
        raise InputError(
            f"memory={memory} is too little for {model.name}: with the smallest tiles it takes "
            f"{needed(step) * workers / 1e9:.1f} GB"
        )
    side, most = step, default if memory is None else max(height, width)
    while side < most and needed(side + step) <= budget:
        side += step
    return side


def peak_bytes(model: RunnableModel, side: int, halos: list[int]) -> float:
    """Return about how many bytes a process needs at most for tiles of a side with the halo of each stage.

    The network's part is `SRNetwork.working_memory` for each output pixel that it sees, as measured by ``python -m
    benchmarks.memory``.
    """
    finer = model.upscaling**2
    seen = sum(stage.share * (side + 2 * each) ** 2 for stage, each in zip(model.tile_stages, halos, strict=True))
    bands = model.bands_of(model.output) or 1
    work = model.working_memory + 4 * bands  # the output is one of its tensors
    return PROGRAM + finer * (work * seen + COPIES * 4 * bands * side**2)


def _held(scene: xr.DataArray) -> int:
    return 0 if scene.chunks is not None or not scene.variable._in_memory else int(scene.nbytes)


def machine_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that this process may have: of the machine, or of its control group if that has fewer.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.

    Returns
    -------
    int or None
        None where the system does not say.
    """
    limits = []
    try:
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # another system
        return None
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        base, name = (root / "sys/fs/cgroup", "memory.max")
        if controllers == "memory":
            base, name = base / "memory", "memory.limit_in_bytes"
        group = base / path.lstrip("/")
        for folder in (group, *group.parents):  # a limit above holds, too
            try:
                limits.append(int((folder / name).read_text()))
            except (OSError, ValueError):  # "max", or a container that does not see it
                continue
    return min(limits)
