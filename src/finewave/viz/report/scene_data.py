"""A result, its input and its reference as what a page embeds."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError
from finewave.physics.srgb import linear_to_srgb
from finewave.viz.error_maps import angle_map, rmse_map
from finewave.viz.figure.composite import (
    FALSE_COLOURS,
    bands_of_rgb,
    choose_rgb,
    composite,
    composite_in_words,
    display_limit,
    nearest_bands,
)
from finewave.viz.figure.places import telling_points
from finewave.viz.figure.scenes import Scenes, wavelengths_of
from finewave.viz.report.blocks import BlockMeans, read_rows, step_for, strips
from finewave.viz.report.encoding import encode_map, encode_pictures, encode_spectra

if TYPE_CHECKING:
    import xarray as xr

PICTURE_SIDE = 1024
"""Most pixels along a side of the composites and maps."""
BAND_SIDE = 512
"""The same of the pictures of single bands."""
BAND_SAMPLES = 2**24
"""Most values of the pictures of all bands of an image: bounds memory."""
SPECTRA = 1_200_000
"""Most values of the spectra of result and reference together."""
INPUT_SPECTRA = 200_000
METRIC_SAMPLES = 2**26
"""Scenes of more values are not read into memory at once, which metrics need."""
COMPOSITE_BYTES, BAND_BYTES, MAP_BYTES = 2_000_000, 3_500_000, 1_000_000
DEFAULT_POINTS = 3


@dataclass(frozen=True)
class Composite:
    """A way to show three channels.

    Parameters
    ----------
    key, label : str
    rgb : tuple of float or None
        nm; None takes bands by their order.
    daylight : bool
        All bands, as the eye sees them, where an image has enough of them.
    """

    key: str
    label: str
    rgb: tuple[float, ...] | None
    daylight: bool = False


@dataclass
class Layer:
    """What is kept of an image while its strips go by."""

    role: str
    scene: xr.DataArray
    weights: list[np.ndarray]
    bands: BlockMeans
    pictures: BlockMeans
    low: float = math.inf
    high: float = -math.inf
    missing: int = 0

    def add(self, top: int, values: np.ndarray) -> None:
        """Take in a strip (C, r, W)."""
        self.bands.add(top, values)
        channels = [np.einsum("kc,chw->khw", weights, values[used]) for weights, used in map(_used, self.weights)]
        self.pictures.add(top, np.concatenate(channels))
        there = np.isfinite(values)
        self.missing += int(np.count_nonzero(~there.all(0)))
        if there.any():
            self.low = min(self.low, float(np.nanmin(values)))
            self.high = max(self.high, float(np.nanmax(values)))


@dataclass
class Gathered:
    """Everything a page shows of scenes.

    Parameters
    ----------
    data : dict
        For the page's script, ready for JSON.
    layers : list of Layer
        Result first.
    spectra_step : int
        Side in pixels of the result of the blocks that spectra are means of.
    picture_step, band_step : int
        The same of composites and of single bands.
    scores : dict of str to float or None
        Metrics; None without reference, or where the scene is too large.
    """

    data: dict[str, Any]
    layers: list[Layer]
    spectra_step: int
    picture_step: int
    band_step: int
    scores: dict[str, float] | None = None
    notes: list[str] = field(default_factory=list)


def gather(scenes: Scenes, *, rgb: tuple[float, ...] | None = None, convention: str) -> Gathered:
    """Read scenes strip by strip and return what a page shows of them.

    Memory is bounded by `STRIP_SAMPLES` of `finewave.viz.report.blocks`, `BAND_SAMPLES` and, for the metrics,
    `METRIC_SAMPLES`, whatever the scenes' size.
    """
    result, reference, observed = scenes.results[0], scenes.reference, scenes.observed
    composites = choose_composites(result, rgb)
    layers = [_layer("result", result, composites)]
    if reference is not None:
        layers.append(_layer("reference", reference, composites))
    maps = _read_together(layers, with_maps=reference is not None)
    if observed is not None:
        layers.append(_layer("input", observed, composites))
        _read(layers[-1])
    main = layers[1] if reference is not None else layers[0]
    step = _spectra_step(layers[: 1 + (reference is not None)], SPECTRA)
    data: dict[str, Any] = {
        "size": list(scenes.size),
        "composites": [{"key": each.key, "label": each.label} for each in composites],
        "layers": [_encoded(layer, step) for layer in layers],
        "maps": [],
        "points": _points(main, scenes.size),
    }
    whites = _pictures(data["layers"], layers, main, composites)
    for composite_data, white in zip(data["composites"], whites, strict=True):
        composite_data["white"] = white
    if maps is not None:
        data["maps"], data["colours"] = _maps(maps)
    gathered = Gathered(data, layers, step, layers[0].pictures.step, layers[0].bands.step)
    if reference is not None:
        gathered.scores = _scores(scenes, convention)
    return gathered


def choose_composites(scene: xr.DataArray, rgb: tuple[float, ...] | None) -> list[Composite]:
    """Return the composites that are offered for a scene: by wavelength, with false colours, under daylight."""
    chosen = choose_rgb(scene, rgb)
    found = [Composite("rgb", f"RGB: {composite_in_words(scene, chosen)}", chosen)]
    given = wavelengths_of(scene)
    if given is None or len(given) < 4:
        return found
    false: tuple[float, ...] = FALSE_COLOURS
    if nearest_bands(scene, false) is None:  # the same shift by one colour, as far as the bands go
        ordered = np.sort(given)
        false = tuple(float(ordered[int(part * (len(ordered) - 1))]) for part in (0.95, 0.65, 0.35))
    found.append(Composite("false", f"False colour: {composite_in_words(scene, false)}", false))
    if _daylight(given) is not None:
        found.append(Composite("daylight", "Daylight: all visible bands (CIE 1931)", chosen, daylight=True))
    return found


def _daylight(wavelengths: np.ndarray) -> np.ndarray | None:
    """Return the weights (3, C) of linear sRGB under daylight, None where the bands do not cover it."""
    from finewave.physics.sensors import get_sensor

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return np.asarray(get_sensor("srgb").response(wavelengths), np.float32)
    except (InputError, Warning):
        return None


def _layer(role: str, scene: xr.DataArray, composites: list[Composite]) -> Layer:
    bands, (rows, columns) = scene.sizes["band"], (scene.sizes["y"], scene.sizes["x"])
    weights = [_weights(scene, each) for each in composites]
    band_step = step_for(rows, columns, bands, BAND_SIDE, BAND_SAMPLES)
    picture_step = step_for(rows, columns, 1, PICTURE_SIDE, PICTURE_SIDE**2)
    return Layer(
        role,
        scene,
        weights,
        BlockMeans(bands, rows, columns, band_step),
        BlockMeans(3 * len(weights), rows, columns, picture_step),
    )


def _weights(scene: xr.DataArray, shown: Composite) -> np.ndarray:
    """Return (3, C): how the bands of an image make red, green and blue."""
    given = wavelengths_of(scene)
    if shown.daylight and given is not None and len(given) > 3:
        found = _daylight(given)
        if found is not None:
            return found
    weights = np.zeros((3, scene.sizes["band"]), np.float32)
    weights[range(3), bands_of_rgb(scene, shown.rgb)] = 1
    return weights


def _used(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the bands that count, and which they are: a band without data spoils no other."""
    used = np.flatnonzero(weights.any(0))
    return weights[:, used], used


def _read(layer: Layer) -> None:
    for top, bottom in strips(layer.scene, math.lcm(layer.bands.step, layer.pictures.step)):
        layer.add(top, read_rows(layer.scene, top, bottom))


def _read_together(layers: list[Layer], *, with_maps: bool) -> BlockMeans | None:
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


def _spectra_step(layers: list[Layer], samples: int) -> int:
    """Return the side of the blocks whose mean spectra fit: a multiple of that of the bands' pictures."""
    bands = layers[0].bands
    channels, rows, columns = bands.values.shape
    return bands.step * step_for(rows, columns, channels * len(layers), max(rows, columns), samples)


def _encoded(layer: Layer, step: int) -> dict[str, Any]:
    """Return single bands and spectra of an image."""
    values = layer.bands.values
    if layer.role == "input":
        step = _spectra_step([layer], INPUT_SPECTRA)
    limits = [display_limit(band) for band in values]
    pictures = [_grey(band, limit) for band, limit in zip(values, limits, strict=True)]
    given = wavelengths_of(layer.scene)
    names = layer.scene.coords.get("band_name")
    return {
        "role": layer.role,
        "label": layer.role,
        "size": [layer.scene.sizes["y"], layer.scene.sizes["x"]],
        "wavelengths": None if given is None else [round(float(each), 3) for each in given],
        "names": None if names is None else [str(name) for name in np.atleast_1d(names.values)],
        "bands": pictures,
        "whites": [float(f"{limit:.4g}") for limit in limits],
        "step": step,
        "spectra": encode_spectra(layer.bands.coarser(step // layer.bands.step).values),
    }


def _grey(band: np.ndarray, limit: float) -> np.ndarray:
    encoded = linear_to_srgb(np.clip(band / np.float32(limit), 0, 1))
    return np.rint(np.nan_to_num(encoded, nan=0.5) * 255).astype(np.uint8)


def _pictures(
    encoded: list[dict[str, Any]], layers: list[Layer], main: Layer, composites: list[Composite]
) -> list[float]:
    """Put the composites of all images into what was encoded, one white for all of a kind; return the whites.

    The pictures of single bands become text here, too, so that those of all images share their bytes.
    """
    whites, pictures = [], []
    shown = [layer.pictures.values for layer in layers]
    for number in range(len(composites)):
        channels = slice(3 * number, 3 * number + 3)
        white = display_limit(shown[layers.index(main)][channels])
        whites.append(float(f"{white:.4g}"))
        pictures += [np.rint(255 * composite(each[channels], white)).astype(np.uint8) for each in shown]
    texts = encode_pictures(pictures, COMPOSITE_BYTES)
    for number, each in enumerate(encoded):
        each["pictures"] = {shown.key: texts[number + len(layers) * i] for i, shown in enumerate(composites)}
    bands = encode_pictures([band for each in encoded for band in each["bands"]], BAND_BYTES)
    for each in encoded:
        count = len(each["bands"])
        each["bands"], bands = bands[:count], bands[count:]
    return whites


def _maps(means: BlockMeans) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the maps as pictures, and the colours of their scale."""
    try:
        from matplotlib import colormaps
    except ImportError:
        raise InputError("reports need matplotlib: pip install 'finewave[viewer]'") from None
    colours = np.rint(255 * colormaps["magma"](np.linspace(0, 1, 255))[:, :3]).astype(np.uint8)
    squares, angles = means.values
    found = []
    for key, label, unit, values in (
        ("error", "error map", "", np.sqrt(squares)),
        ("angle", "spectral-angle map", "°", angles),
    ):
        finite = values[np.isfinite(values)]
        limit = float(f"{np.quantile(finite, 0.99) if finite.size else 0.0:.3g}") or 1e-6
        palette = np.concatenate([colours, [[128, 128, 128]]]).astype(np.uint8)
        picture = encode_map(values, limit, palette, MAP_BYTES // 2)
        found.append({"key": key, "label": label, "unit": unit, "limit": limit, "picture": picture})
    return found, [f"#{bytes(each).hex()}" for each in colours[np.linspace(0, 254, 17).astype(int)]]


def _points(main: Layer, size: tuple[int, int]) -> list[list[int]]:
    """Return (x, y) of points to begin with, in pixels of the result."""
    step = main.bands.step
    found = telling_points(main.bands.values, DEFAULT_POINTS)
    return [[min(x * step + step // 2, size[1] - 1), min(y * step + step // 2, size[0] - 1)] for y, x in found]


def _scores(scenes: Scenes, convention: str) -> dict[str, float] | None:
    """Return the metrics; ERGAS is left out where the scale is not known. None where the scene is too large."""
    from finewave.metrics import evaluate

    result, reference = scenes.results[0], scenes.reference
    if reference is None or result.size > METRIC_SAMPLES:
        return None
    ours, theirs = (read_rows(scene, 0, scene.sizes["y"]) for scene in (result, reference))
    scores = evaluate(ours, theirs, scale=scenes.scale or 4, convention=convention)
    if scenes.scale is None or scenes.scale == 1:
        del scores["ergas"]
    return scores
