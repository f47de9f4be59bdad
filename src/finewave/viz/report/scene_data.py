"""Data of a result, its input and its reference, embedded into a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.extras import importing
from finewave.physics.rendering.display import DisplayRange, display_range, on_grey, srgb_bytes
from finewave.physics.rendering.renderings import (
    Rendering,
    offered_renderings,
    rendering_at,
    rendering_of_bands,
    wavelengths_of,
)
from finewave.scene import band_values
from finewave.viz.error_maps import angle_map, rmse_map
from finewave.viz.figure.figure import rendering_like
from finewave.viz.metric_table import metric_values
from finewave.viz.places import representative_points
from finewave.viz.report.block_means import BlockMeans, read_rows, step_for, strips
from finewave.viz.report.encoding import encode_map, encode_pictures, encode_spectra
from finewave.viz.scene_pair import ScenePair
from finewave.viz.series_colours import MAP

if TYPE_CHECKING:
    import xarray as xr

PICTURE_SIDE = 1024
"""Maximum side of composites and maps in pixels."""
BAND_SIDE = 512
"""The same of the pictures of single bands."""
BAND_SAMPLES = 2**24
"""Maximum number of values of all band pictures of an image: bounds memory."""
SPECTRA = 1_200_000
"""Maximum number of values of the spectra of result and reference together."""
INPUT_SPECTRA = 200_000
METRIC_SAMPLES = 2**26
"""Maximum number of values for metrics, which need the whole scene in memory."""
COMPOSITE_BYTES, BAND_BYTES, MAP_BYTES = 2_000_000, 3_500_000, 1_000_000
DEFAULT_POINTS = 3


@dataclass
class ReportLayer:
    """Accumulated data of an image that is read in strips."""

    role: str
    scene: xr.DataArray
    renderings: list[Rendering]
    bands: BlockMeans
    pictures: BlockMeans
    low: float = math.inf
    high: float = -math.inf
    missing: int = 0

    def add(self, top: int, values: np.ndarray) -> None:
        """Add a strip (C, r, W)."""
        self.bands.add(top, values)
        channels = [shown.channels(values[shown.bands]) for shown in self.renderings]
        self.pictures.add(top, np.concatenate(channels))
        there = np.isfinite(values)
        self.missing += int(np.count_nonzero(~there.all(0)))
        if there.any():
            self.low = min(self.low, float(np.nanmin(values)))
            self.high = max(self.high, float(np.nanmax(values)))


@dataclass
class ReportData:
    """Data of a page.

    Parameters
    ----------
    data : dict
        For the page's script, ready for JSON.
    layers : list of ReportLayer
        Result first.
    spectra_step : int
        Side in pixels of the result of the blocks that spectra are means of.
    picture_step, band_step : int
        The same of composites and of single bands.
    scores : dict of str to float or None
        Metrics; None without reference, or if the scene is too large.
    """

    data: dict[str, Any]
    layers: list[ReportLayer]
    spectra_step: int
    picture_step: int
    band_step: int
    scores: dict[str, float] | None = None
    notes: list[str] = field(default_factory=list)


def gather(scenes: ScenePair, *, rgb: Sequence[float] | None = None, convention: str) -> ReportData:
    """Read scenes strip by strip and return the data of a page.

    Memory is bounded by `STRIP_SAMPLES` of `finewave.viz.report.block_means`, `BAND_SAMPLES` and, for the metrics,
    `METRIC_SAMPLES`, whatever the scenes' size.
    """
    result, reference, observed = (
        None if layer is None else layer.scene for layer in (scenes.result, scenes.reference, scenes.input)
    )
    assert result is not None
    composites = choose_composites(result, rgb)
    layers = [_layer("result", result, composites, rgb)]
    if reference is not None:
        layers.append(_layer("reference", reference, composites, rgb))
    maps = _read_together(layers, with_maps=reference is not None)
    if observed is not None:
        layers.append(_layer("input", observed, composites, rgb))
        _read(layers[-1])
    main = layers[1] if reference is not None else layers[0]
    step = _spectra_step(layers[: 1 + (reference is not None)], SPECTRA)
    data: dict[str, Any] = {
        "size": list(scenes.size),
        "composites": [{"key": each.name, "label": each.label} for each in composites],
        "layers": [_encoded(layer, step) for layer in layers],
        "maps": [],
        "points": _points(main, scenes.size),
    }
    whites = _pictures(data["layers"], layers, main, composites)
    for composite_data, white in zip(data["composites"], whites, strict=True):
        composite_data["white"] = white
    if scenes.half_width is not None:
        data["half_widths"] = _half_widths(scenes.half_width.scene, layers[0], step)
    if maps is not None:
        data["maps"], data["colours"] = _maps(maps)
    report = ReportData(data, layers, step, layers[0].pictures.step, layers[0].bands.step)
    if reference is not None:
        report.scores = _scores(scenes, convention)
    return report


def _half_widths(scene: xr.DataArray, result: ReportLayer, step: int) -> dict[str, Any]:
    """Return half-widths of the result's errors on the blocks of its spectra: the mean of a block's, which is wider."""
    means = BlockMeans(scene.sizes["band"], scene.sizes["y"], scene.sizes["x"], result.bands.step)
    for top, bottom in strips(scene, result.bands.step):
        means.add(top, read_rows(scene, top, bottom))
    return encode_spectra(means.coarser(step // result.bands.step).values)


def choose_composites(scene: xr.DataArray, rgb: Sequence[float] | None) -> list[Rendering]:
    """Return a scene's renderings: by the requested wavelengths, then all that its bands allow."""
    requested = [] if rgb is None else [rendering_at(scene, rgb)]
    return requested + [
        each for each in offered_renderings(scene).values() if not (requested and each.name == requested[0].name)
    ]


def _layer(role: str, scene: xr.DataArray, composites: list[Rendering], rgb: Sequence[float] | None) -> ReportLayer:
    bands, (rows, columns) = scene.sizes["band"], (scene.sizes["y"], scene.sizes["x"])
    renderings = [rendering_like(scene, each, rgb if number == 0 else None) for number, each in enumerate(composites)]
    band_step = step_for(rows, columns, bands, BAND_SIDE, BAND_SAMPLES)
    picture_step = step_for(rows, columns, 1, PICTURE_SIDE, PICTURE_SIDE**2)
    channels = sum(len(each.weights) for each in renderings)
    return ReportLayer(
        role,
        scene,
        renderings,
        BlockMeans(bands, rows, columns, band_step),
        BlockMeans(channels, rows, columns, picture_step),
    )


def _read(layer: ReportLayer) -> None:
    for top, bottom in strips(layer.scene, math.lcm(layer.bands.step, layer.pictures.step)):
        layer.add(top, read_rows(layer.scene, top, bottom))


def _read_together(layers: list[ReportLayer], *, with_maps: bool) -> BlockMeans | None:
    """Read result and reference side by side; return means of the squared error and of the angle of blocks."""
    first = layers[0]
    maps = BlockMeans(2, first.scene.sizes["y"], first.scene.sizes["x"], first.pictures.step) if with_maps else None
    for top, bottom in strips(first.scene, math.lcm(first.bands.step, first.pictures.step)):
        values = [read_rows(layer.scene, top, bottom) for layer in layers]
        for layer, strip in zip(layers, values, strict=True):
            layer.add(top, strip)
        if maps is not None:
            maps.add(top, np.stack([rmse_map(*values) ** 2, angle_map(*values)]).astype(np.float32))
    return maps


def _spectra_step(layers: list[ReportLayer], samples: int) -> int:
    """Return the block side of the mean spectra, within the limit: a multiple of that of the band pictures."""
    bands = layers[0].bands
    channels, rows, columns = bands.values.shape
    return bands.step * step_for(rows, columns, channels * len(layers), max(rows, columns), samples)


def _encoded(layer: ReportLayer, step: int) -> dict[str, Any]:
    """Return single bands and spectra of an image."""
    values = layer.bands.values
    if layer.role == "input":
        step = _spectra_step([layer], INPUT_SPECTRA)
    pictures, whites = [], []
    for number, band in enumerate(values):
        grey = rendering_of_bands(layer.scene, [number])
        white = display_range("joint", grey, band[None]).high[0]
        pictures.append(on_grey(srgb_bytes(grey, band[None], DisplayRange((0.0,), (white,))))[..., 0])
        whites.append(white)
    wavelengths, flags = wavelengths_of(layer.scene), band_values(layer.scene, "good_band")
    names = layer.scene.coords.get("band_name")
    return {
        "role": layer.role,
        "label": layer.role,
        "size": [layer.scene.sizes["y"], layer.scene.sizes["x"]],
        "wavelengths": None if wavelengths is None else [round(float(each), 3) for each in wavelengths],
        "names": None if names is None else [str(name) for name in np.atleast_1d(names.values)],
        "good": None if flags is None or not flags.any() else flags.astype(bool).tolist(),
        "bands": pictures,
        "whites": [float(f"{white:.4g}") for white in whites],
        "step": step,
        "spectra": encode_spectra(layer.bands.coarser(step // layer.bands.step).values),
    }


def _pictures(
    encoded: list[dict[str, Any]], layers: list[ReportLayer], main: ReportLayer, composites: list[Rendering]
) -> list[float]:
    """Encode the composites of all images, with a common display range for each rendering; return the ranges.

    The pictures of single bands are also encoded here, so that all images share the size limit.
    """
    whites, pictures = [], []
    for number, composite in enumerate(composites):
        limits = display_range("auto", main.renderings[number], _channels(main, number))
        whites.append(float(f"{limits.high[0]:.4g}"))
        for layer in layers:
            own, channels = layer.renderings[number], _channels(layer, number)
            # an image with another kind of channels has its own range
            alike = own.index == composite.index and len(channels) == len(composite.weights)
            pictures.append(
                on_grey(srgb_bytes(own, channels, limits if alike else display_range("auto", own, channels)))
            )
    texts = encode_pictures(pictures, COMPOSITE_BYTES)
    for number, each in enumerate(encoded):
        each["pictures"] = {shown.name: texts[number + len(layers) * i] for i, shown in enumerate(composites)}
        each["shown"] = {shown.name: layers[number].renderings[i].label for i, shown in enumerate(composites)}
    bands = encode_pictures([band for each in encoded for band in each["bands"]], BAND_BYTES)
    for each in encoded:
        count = len(each["bands"])
        each["bands"], bands = bands[:count], bands[count:]
    return whites


def _channels(layer: ReportLayer, number: int) -> np.ndarray:
    """Return the linear channels of one of the renderings of an image."""
    first = sum(len(each.weights) for each in layer.renderings[:number])
    return layer.pictures.values[first : first + len(layer.renderings[number].weights)]


def _maps(means: BlockMeans) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the maps as pictures, and the colours of their scale."""
    with importing("view", "a report"):
        from matplotlib import colormaps
    colours = np.rint(255 * colormaps[MAP](np.linspace(0, 1, 255))[:, :3]).astype(np.uint8)
    squares, angles = means.values
    maps = []
    for key, label, unit, values in (
        ("error", "error map", "", np.sqrt(squares)),
        ("angle", "spectral-angle map", "°", angles),
    ):
        finite = values[np.isfinite(values)]
        limit = float(f"{np.quantile(finite, 0.99) if finite.size else 0.0:.3g}") or 1e-6
        palette = np.concatenate([colours, [[128, 128, 128]]]).astype(np.uint8)
        picture = encode_map(values, limit, palette, MAP_BYTES // 2)
        maps.append({"key": key, "label": label, "unit": unit, "limit": limit, "picture": picture})
    return maps, [f"#{bytes(each).hex()}" for each in colours[np.linspace(0, 254, 17).astype(int)]]


def _points(main: ReportLayer, size: tuple[int, int]) -> list[list[int]]:
    """Return (x, y) of points to begin with, in pixels of the result."""
    step = main.bands.step
    points = representative_points(main.bands.values, DEFAULT_POINTS)
    return [[min(x * step + step // 2, size[1] - 1), min(y * step + step // 2, size[0] - 1)] for y, x in points]


def _scores(scenes: ScenePair, convention: str) -> dict[str, float] | None:
    """Return the metrics; ERGAS is left out where the scale is not known. None if the scene is too large."""
    if scenes.reference is None or scenes.result.scene.size > METRIC_SAMPLES:
        return None
    pair = scenes.result.scene, scenes.reference.scene
    pred, target = (read_rows(scene, 0, scene.sizes["y"]) for scene in pair)
    return metric_values(pred, target, scenes.scale, convention)
