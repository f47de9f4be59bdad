"""One tile through a model: pixels without a value filled, the output processed, the halo cut off again."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from finewave.inference.processing import PLAIN, Processing
from finewave.inference.tiling.tiles import Tile, Tiling, Window, enlarged, widened, within
from finewave.process.allocator import release_freed_memory, return_large_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from finewave.inference.tiling.sources import WindowSource
    from finewave.zoo.model import Model
    from finewave.zoo.runnable import RunnableModel

FARTHEST_FILL = 256
"""Maximum distance in input pixels beyond the network's input to search values for empty pixels."""

_NETWORK = threading.Lock()


@dataclass
class TileFacts:
    """Findings of a tile: missing pixels by input, whether all others are zero, clipped values.

    And pixels of the first input that are unlike all that the model has seen, of those with a value.
    """

    holes: dict[str, int] = field(default_factory=dict)
    dark: dict[str, bool] = field(default_factory=dict)
    cut: int = 0
    unlike: int = 0


class TileResult(NamedTuple):
    """A tile's core: values (C, s h, s w), findings, and the spread of the values if requested; float32."""

    values: NDArray[np.float32]
    facts: TileFacts
    spread: NDArray[np.float32] | None = None


def read_window(tile: Tile, tiling: Tiling) -> Window:
    """Return the window to read for a tile: the network's input and a margin to fill missing pixels.

    A missing pixel h that affects a valid pixel v is at most sqrt(2) times the halo away, so the value nearest to h is
    no farther. With this margin, missing pixels are filled as in the whole image, up to `FARTHEST_FILL`.
    """
    if len(tiling) == 1:
        return tile.seen
    margin = min(math.ceil(math.sqrt(2) * tiling.halo), FARTHEST_FILL)
    return widened(tile.seen, margin, tiling.height, tiling.width)


def run_tile(
    model: RunnableModel,
    images: Mapping[str, NDArray[Any]],
    tile: Tile,
    tiling: Tiling,
    processing: Processing = PLAIN,
) -> TileResult:
    """Return the model's output for a tile's core.

    Parameters
    ----------
    model : RunnableModel
        Run by one thread at a time: it uses all cores by itself.
    images : mapping of str to ndarray (c, h, w), float
        The inputs by name, within `read_window`; images at the finer size within that window there, a ``ref_rgb``
        whole.
    tile, tiling : Tile, Tiling
        In pixels of the first input.
    processing : Processing
        Processing around the network.

    Returns
    -------
    TileResult
        Of the core; NaN where a pixel of an aligned input is not finite.
    """
    from finewave.zoo.invalid_pixels import blank_pixels, fill_pixels

    read = read_window(tile, tiling)
    facts = TileFacts()
    arrays, holes_of = {}, []
    all_empty = False
    for name, values in images.items():
        filled, invalid = fill_pixels(np.array(values, dtype=np.float32), band_by_band=model.band_by_band)
        if name == "ref_rgb":
            core = invalid
        else:
            s = values.shape[1] // (read[0].stop - read[0].start)
            filled, seen_holes = (_cut(x, read, tile.seen, s) for x in (filled, invalid))
            core = _cut(seen_holes, tile.seen, tile.core, s)
            holes_of.append(core)
            all_empty = all_empty or bool(core.all())
        facts.holes[name] = int(core.any(axis=0).sum())
        facts.dark[name] = not bool(filled.any())
        if name == model.inputs[0] and model.seen is not None:
            known = _cut(filled, tile.seen, tile.core, s)
            facts.unlike = int((model.seen.unlike(known) & ~core.any(axis=0)).sum())
        arrays[name] = filled
    scale = model.upscaling
    height, width = ((each.stop - each.start) * scale for each in tile.core)
    if all_empty and (bands := model.bands_of(model.output)) is not None:
        bands = bands if processing.bands is None else len(processing.bands)
        nothing = np.full((bands, height, width), np.nan, np.float32)
        return TileResult(nothing, facts, nothing if processing.makes_second else None)
    with _NETWORK:
        if len(tiling) > 1:
            # blocks that do not fit into the gaps of the tile before would add half as much again to the peak
            release_freed_memory()
        elif "ref_rgb" in model.inputs:  # never in tiles, so its tensors are as large as the image
            return_large_blocks()
        result, deviation = _output(model, arrays, tile, tiling, processing)
    for holes in holes_of:
        if processing.bands is not None and len(holes) > 1:  # one mask per band, of which some are kept
            holes = holes[list(processing.bands)]
        result = blank_pixels(result, holes)
        deviation = None if deviation is None else blank_pixels(deviation, holes)
    if processing.clip is not None:
        low, high = processing.clip
        facts.cut = int(((result < low) | (result > high)).sum())
        result = np.clip(result, low, high)
    return TileResult(result, facts, deviation)


def _output(
    model: RunnableModel,
    arrays: Mapping[str, NDArray[np.float32]],
    tile: Tile,
    tiling: Tiling,
    processing: Processing,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the output (C, s h, s w) of the core, and what goes beside it if requested."""
    if processing.is_plain:
        made = tiling.windows(tile)[-1]
        result = _cut(model.run_arrays(arrays, tiling.margins(tile)), made, tile.core, model.upscaling)
        return (result if processing.bands is None else result[list(processing.bands)]), None
    import torch

    from finewave.zoo.model import Model

    assert isinstance(model, Model), "others refuse processing by PyTorch"
    tensors = {name: torch.from_numpy(image)[None] for name, image in arrays.items()}
    output, beside = _processed(model, tensors, tile, tiling, processing)
    return output[0].numpy(), None if beside is None else beside[0].numpy()


def _processed(
    model: Model, tensors: Mapping[str, Tensor], tile: Tile, tiling: Tiling, processing: Processing
) -> tuple[Tensor, Tensor | None]:
    """Return the output (1, C, s h, s w) of the core, and the spread of the orientations if requested."""
    scale = model.upscaling
    margins = tiling.margins(tile)
    made = tiling.windows(tile)[-1]
    near = widened(tile.core, processing.reach, tiling.height, tiling.width)
    observed = {}
    for name, image in tensors.items():
        if name != "ref_rgb":
            s = image.shape[2] // (tile.seen[0].stop - tile.seen[0].start)
            observed[name] = _cut(image, tile.seen, near, s)

    def finished(output: Tensor) -> Tensor:
        output = _cut(output, made, near, scale)
        if processing.anchors is not None:
            output = processing.anchors(output, near[0].start * scale, near[1].start * scale)
        if processing.projection is not None:
            output = processing.projection(output, observed)
        return _cut(output, near, tile.core, scale)

    def kept(image: Tensor) -> Tensor:
        return image if processing.bands is None else image[:, list(processing.bands)]

    if not processing.ensemble:
        result = finished(model.run(tensors, margins).float())
        return kept(result), _half_width(result, tile, scale, processing, kept)
    from finewave.inference.self_ensemble import ORIENTATIONS, Spread

    spread: Spread | None = None
    for orientation in ORIENTATIONS:
        turned = {name: orientation.turn(image) for name, image in tensors.items()}
        turned_margins = [orientation.turn_margins(each) for each in margins]
        output = finished(orientation.turn_back(model.run(turned, turned_margins).float()))
        if spread is None:
            spread = Spread(output)
        else:
            spread.add(output)
    assert spread is not None
    if processing.spread:
        return kept(spread.mean), kept(spread.deviation)
    return kept(spread.mean), _half_width(spread.mean, tile, scale, processing, kept)


def _half_width(
    result: Tensor, tile: Tile, scale: int, processing: Processing, kept: Callable[[Tensor], Tensor]
) -> Tensor | None:
    """Return the half-widths of the bands that are kept, if they are asked for."""
    if processing.intervals is None:
        return None
    rows, columns = enlarged(tile.core, scale)
    return kept(processing.intervals(result, processing.anchors, rows.start, columns.start))


def _cut(x: Any, outer: Window, inner: Window, scale: int) -> Any:
    """Crop an image (..., h, w) from window ``outer`` to ``inner``, both in pixels before scaling."""
    rows, columns = (within(w, g, scale) for w, g in zip(inner, outer, strict=True))
    return x[..., rows, columns]


def window_of(name: str, tile: Tile, tiling: Tiling, ratio: int) -> Window | None:
    """Return the window of an input of ``ratio`` times the first one's size; None for all of it."""
    return None if name == "ref_rgb" else enlarged(read_window(tile, tiling), ratio)


def read_tile(
    sources: Mapping[str, tuple[WindowSource, int]], tile: Tile, tiling: Tiling
) -> dict[str, NDArray[np.float32]]:
    """Return the arguments of `run_tile`: inputs by name, read from their windows."""
    return {name: source.read(window_of(name, tile, tiling, ratio)) for name, (source, ratio) in sources.items()}
