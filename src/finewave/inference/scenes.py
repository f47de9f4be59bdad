"""Scene in, scene out: bands found by wavelength, georeference kept, large scenes in tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.inference.halo_check import say_what_the_halo_changes
from finewave.inference.plan import plan_tiles
from finewave.inference.request import Request, make_request
from finewave.inference.sources import masked
from finewave.inference.tile_run import TileFacts, run_tile, window_of
from finewave.inference.tiles import Tile, Tiling, enlarged

if TYPE_CHECKING:
    import xarray as xr

    from finewave.models.pretrained import Model


def super_resolve(
    scene: xr.DataArray,
    model: Model | str,
    guide: xr.DataArray | None = None,
    *,
    tile: int | None = None,
    halo: str | int = "exact",
    pooling: str = "local",
    progress: Callable[[int, int], None] | None = None,
) -> xr.DataArray:
    """Apply a model to a scene.

    A scene that is larger than what the network sees for a tile is processed in tiles that overlap. The result of a
    scene of dask arrays is one of dask arrays, a chunk for each tile: nothing is computed before it is asked for.
    That of any other scene is held in memory; `predict_file` goes from file to file without that.

    Parameters
    ----------
    scene : xarray.DataArray with dims (band, y, x)
        Reflectance-like values in the model's range, as `open_scene` returns them.
    model : Model or str
        From `load_model`, or the name to load.
    guide : xarray.DataArray, optional
        The second image of a model that takes two: the HR-MSI (band, y, x) of ``fusion``, s times as many rows and
        columns, aligned with the scene; or the RGB reference of ``refsr``, of any size and viewpoint, with which the
        scene is processed in one piece, never in tiles.
    tile : int, optional
        Side of a tile in pixels of the scene; by default as many as make 512 pixels of the output.
    halo : {"exact", "fast"} or int
        How far the network sees beyond a tile. ``"exact"``: as far as any pixel acts on it, so that the result is
        that of the scene in one piece. ``"fast"``: so far that it sees a quarter more pixels. Else in pixels of the
        scene. What a halo that is not exact changes is measured on one tile and said.
    pooling : {"local", "image"}
        Over what channel attention takes its means: windows of the training crop's size, or all pixels that the
        network sees at once; see `Model`. With ``"image"`` tiles cannot equal the scene in one piece.
    progress : callable, optional
        Called with the number of tiles done and of all tiles, after each; not for dask arrays.

    Returns
    -------
    xarray.DataArray with dims (band, y, x)
        float32, s times as many rows and columns, with the card's wavelengths in nm, the scene's CRS,
        transform and coordinates at the new pixel size (pixel areas keep their place), NaN where an input
        pixel was not finite, and the model's name and card in ``attrs``.

    Raises
    ------
    InputError
        A ``ValueError``, if the dimensions, values or bands of scene or guide are not what the model takes, a guide is
        missing or one too many, or its size does not belong to the scene's.

    Warns
    -----
    FinewaveWarning
        If bands are left out, the scene comes from another sensor, its values are far beyond the model's
        range, tiles are not exact, or for the reasons of `Model.predict`.
    """
    from finewave.models.pretrained import load_model

    if isinstance(model, str):
        model = load_model(model)
    model = model.with_pooling(pooling)
    request = make_request(scene, model, guide)
    tiling = plan_tiles(model, request.first.sizes["y"], request.first.sizes["x"], tile=tile, halo=halo)
    request.warn_of_range()
    if any(image.chunks is not None for image in request.scenes.values()):
        return request.result(_lazy(request, tiling))
    return request.result(_at_once(request, tiling, progress))


def warn_of_facts(request: Request, facts: list[TileFacts]) -> None:
    """Warn of what all tiles together have met: pixels without a value, nothing but zeros."""
    for name, image in request.scenes.items():
        holes = sum(each.holes.get(name, 0) for each in facts)
        dark = all(each.dark.get(name, False) for each in facts)
        request.model.warn_of_values(name, holes, image.sizes["y"] * image.sizes["x"], dark)


def _at_once(request: Request, tiling: Tiling, progress: Callable[[int, int], None] | None) -> NDArray[np.float32]:
    """Return the output (C, s h, s w), tile after tile."""
    sources = request.sources()
    say_what_the_halo_changes(request.model, sources, tiling)
    scale = request.model.upscaling
    result: NDArray[np.float32] | None = None
    facts = []
    for done, tile in enumerate(tiling, start=1):
        images = {name: source.read(window_of(name, tile, tiling, ratio)) for name, (source, ratio) in sources.items()}
        part, met = run_tile(request.model, images, tile, tiling)
        facts.append(met)
        if len(tiling) == 1:
            result = part
        else:
            if result is None:
                result = np.empty((part.shape[0], tiling.height * scale, tiling.width * scale), np.float32)
            rows, columns = enlarged(tile.core, scale)
            result[:, rows, columns] = part
        if progress is not None:
            progress(done, len(tiling))
    assert result is not None  # a checked scene has pixels, hence tiles
    warn_of_facts(request, facts)
    return result


def _lazy(request: Request, tiling: Tiling) -> Any:
    """Return the output (C, s h, s w) as a dask array with a chunk for each tile."""
    import dask
    import dask.array as da

    model = request.model
    bands = model.bands_of(model.output)
    if bands is None:
        raise InputError(f"{model.name} does not say how many bands it makes; load the scene first: scene.load()")
    arrays = {
        name: masked(_as_dask(image)[request.bands[name]], image.attrs.get("_FillValue"))
        for name, image in request.scenes.items()
    }
    shared = dask.delayed(model, traverse=False)
    rows, columns = tiling.grid

    def part(number: int) -> Any:
        tile = tiling[number]
        images = {}
        for name, array in arrays.items():
            window = window_of(name, tile, tiling, request.ratio(name))
            images[name] = array if window is None else array[:, window[0], window[1]]
        core = [each.stop - each.start for each in enlarged(tile.core, model.upscaling)]
        values = dask.delayed(_values)(shared, images, tile, tiling)
        return da.from_delayed(values, (bands, *core), np.float32)

    return da.block([[part(row * columns + column) for column in range(columns)] for row in range(rows)])


def _as_dask(image: xr.DataArray) -> Any:
    return image.data if image.chunks is not None else image.chunk().data


def _values(model: Model, images: Mapping[str, NDArray[Any]], tile: Tile, tiling: Tiling) -> NDArray[np.float32]:
    return run_tile(model, images, tile, tiling)[0]
