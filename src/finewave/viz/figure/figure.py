"""``finewave figure``: the figure of a publication."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError, unknown_name
from finewave.io.file_errors import reading
from finewave.physics.rendering.display import display_range, on_grey, srgb_bytes
from finewave.physics.rendering.renderings import Rendering, offered_renderings, rendering_at, wavelengths_of
from finewave.scene import band_values
from finewave.text.plain_text import one_line
from finewave.viz.error_maps import rmse_map
from finewave.viz.figure.drawing import Column, Drawing, draw
from finewave.viz.places import highest_contrast_window, representative_points
from finewave.viz.scene_pair import (
    HALF_WIDTHS,
    SceneLayer,
    ScenePair,
    half_widths_beside,
    half_widths_of,
    open_scene_pair,
)
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

EXTENSIONS = (".pdf", ".png")


@dataclass(frozen=True)
class FigureResult:
    """Result of `make_figure`.

    Parameters
    ----------
    path : pathlib.Path
    caption : str
        Caption.
    """

    path: Path
    caption: str


def make_figure(
    results: Sequence[str | Path],
    path: str | Path,
    *,
    observed: str | Path | None = None,
    reference: str | Path | None = None,
    labels: Sequence[str] | None = None,
    rgb: Sequence[float] | None = None,
    region: tuple[int, int, int, int] | None = None,
    points: Sequence[tuple[int, int]] | None = None,
    convention: str = "finewave",
    title: str = "",
    dpi: int = 300,
) -> FigureResult:
    """Draw results side by side, magnified, with error maps and spectra.

    Parameters
    ----------
    results : sequence of path
        Scenes of one size, in the order of the columns.
    path : path
        ``.pdf`` (text stays text, fonts embedded) or ``.png``.
    observed : path, optional
        Input of the model; shown as a column, with its bands among the spectra.
    reference : path, optional
        The truth; a column, error maps, PSNR and SAM.
    labels : sequence of str, optional
        One per result; default the names of the files.
    rgb : three float, optional
        Wavelengths in nm of red, green and blue, or band numbers from 1 without wavelengths; default as
        `finewave.to_rgb`: true colour where the bands cover 400 to 700 nm.
    region : (x, y, width, height), optional
        Magnified part in pixels of the results; default the square with the highest contrast.
    points : sequence of (x, y), optional
        Points of the spectra; default four in uniform areas with the most different spectra. Empty for none.
    convention : str
        Of PSNR and SAM, see `finewave.metrics.conventions`.
    title : str
    dpi : int
        Of a PNG.

    Returns
    -------
    FigureResult

    Raises
    ------
    InputError
        If a file cannot be read, sizes or bands do not fit, a region or point lies outside, or matplotlib is missing.
    """
    from finewave.io.atomic import atomic_output
    from finewave.io.path_checks import keep_inputs
    from finewave.metrics import get_convention

    target = Path(path)
    if target.suffix.lower() not in EXTENSIONS:
        raise unknown_name("extension of a figure", target.suffix or target.name, EXTENSIONS)
    keep_inputs([each for each in (*results, observed, reference) if each is not None], [target])
    get_convention(convention)
    names = check_labels(results, labels)
    scenes = open_scene_pair(results[0], observed, reference, results[1:])
    for result, layer in zip(results, scenes.results, strict=True):
        attach_half_widths(layer, Path(result))
    if rgb is not None:
        rendering_at(scenes.result.scene, rgb)  # checked before anything is drawn
    drawing, caption = drawing_of(scenes, names, rgb, region, points, convention, one_line(title))
    with atomic_output(target) as temporary:
        draw(drawing, temporary, dpi)
    return FigureResult(target, caption)


def attach_half_widths(layer: SceneLayer, path: Path) -> None:
    """Give a result the half-widths that ``finewave predict --uncertainty`` has written beside it, as a coordinate.

    Warns
    -----
    FinewaveWarning
        That file belongs to another result, or cannot be read.
    """
    beside = half_widths_beside(path)
    if beside is None:
        return
    try:
        half_widths = half_widths_of(beside, layer).scene
    except InputError as error:
        warnings.warn(f"half-widths are not shown: {error}", FinewaveWarning, stacklevel=3)
        return
    layer.scene = layer.scene.assign_coords({HALF_WIDTHS: half_widths.variable})


def check_labels(results: Sequence[str | Path], labels: Sequence[str] | None) -> list[str]:
    """Return one label per result: those given, or the names of the files.

    Raises
    ------
    InputError
        If the numbers of labels and results differ, or there are no results.
    """
    if not results:
        raise InputError("there is no result to draw")
    if labels is None:
        return [one_line(Path(result).stem) for result in results]
    if len(labels) != len(results):
        raise InputError(f"{len(labels)} labels ({', '.join(labels)}) for {len(results)} results; give one per result")
    return [one_line(label) for label in labels]


def _flagged(scenes: Sequence[xr.DataArray]) -> set[float]:
    """Return the wavelengths whose band is flagged bad in any of the scenes: spectra are not drawn there."""
    found: set[float] = set()
    for scene in scenes:
        flags, centres = band_values(scene, "good_band"), wavelengths_of(scene)
        if flags is not None and centres is not None:
            found |= set(centres[~flags.astype(bool)].tolist())
    return found


def drawing_of(
    scenes: ScenePair,
    names: list[str],
    rgb: Sequence[float] | None,
    region: tuple[int, int, int, int] | None,
    points: Sequence[tuple[int, int]] | None,
    convention: str,
    title: str,
) -> tuple[Drawing, str]:
    """Return the drawing and the caption."""
    scale = scenes.scale
    for layer in (*scenes.layers.values(), *scenes.others):
        with reading(layer.title, "scene"):
            layer.scene.load()
    reference = None if scenes.reference is None else scenes.reference.scene
    main = scenes.result.scene if reference is None else reference
    marked = check_points(points, scenes.size) if points is not None else tuple(representative_points(main.values))
    part = check_region(region, scenes.size) if region is not None else _square(main.values)
    shown = rendering_like(main, None, rgb)
    limits = display_range("auto", shown, shown.channels(main.values[shown.bands]))
    labels = {}
    bad = _flagged([layer.scene for layer in (*scenes.layers.values(), *scenes.others)])

    def column(scene: xr.DataArray, label: str, role: Any, **more: Any) -> Column:
        own = rendering_like(scene, shown, rgb)
        labels[label] = own.label
        colours = on_grey(srgb_bytes(own, own.channels(scene.values[own.bands]), limits))
        ratio = 1 if scale is None or role != "input" else scale
        spectra = np.stack([scene.values[:, y // ratio, x // ratio] for y, x in marked]) if marked else None
        own_nm = wavelengths_of(scene)
        if spectra is not None and own_nm is not None and bad:
            spectra = np.where(np.isin(own_nm, list(bad)), np.nan, spectra)
        half_widths = None
        if marked and role == "result" and HALF_WIDTHS in scene.coords:
            half_widths = np.stack([scene.coords[HALF_WIDTHS].values[:, y, x] for y, x in marked])
        return Column(label, role, colours, spectra, own_nm, half_widths, **more)

    columns = []
    if reference is not None:
        columns.append(column(reference, "reference", "reference"))
    if scenes.input is not None:
        columns.append(column(scenes.input.scene, "input", "input"))
    for name, layer in zip(names, scenes.results, strict=True):
        more = {} if reference is None else _compared(layer.scene, reference, convention)
        columns.append(column(layer.scene, name, "result", **more))
    top, left, height, width = part
    differing = {label: text for label, text in labels.items() if text != shown.label}
    others = "".join(f"; {label}: {text}" for label, text in differing.items())
    bright = f"{limits.low[0]:.3g} to {limits.high[0]:.3g}, sRGB curve, alike for all"
    caption = (
        f"Images: {shown.label}{others}; {bright}. Magnified: {width} x {height} pixels from x = {left}, y = {top}."
    )
    lines = [f"{label}: {text}" for label, text in {"Images": shown.label, **differing}.items()]
    note = ";\n".join(line.replace(" (", "\n(") for line in lines)
    note += f";\n{limits.low[0]:.3g} to {limits.high[0]:.3g}, sRGB curve.\n\n"
    if reference is not None:
        caption += f" PSNR (peak 1) and SAM of the whole scene, convention {convention}."
        note += f"PSNR (peak 1), SAM: whole\nscene, convention {convention}."
    if marked:
        caption += f" Spectra at (x, y) = {', '.join(f'({x}, {y})' for y, x in marked)}."
        if any(column.half_widths is not None for column in columns):
            caption += " Shaded: half-widths of the results' errors, as predicted."
    return Drawing(tuple(columns), scenes.size, part, marked, title, note), caption


def rendering_like(scene: xr.DataArray, other: Rendering | None, rgb: Sequence[float] | None) -> Rendering:
    """Return the rendering of a scene: by wavelengths, like another scene, or its default.

    Parameters
    ----------
    scene : xarray.DataArray (band, y, x)
    other : Rendering or None
        Rendering of the first scene; None for the first scene itself.
    rgb : three float or None
        Requested wavelengths; an image without these bands uses its default rendering.

    Raises
    ------
    InputError
        If the first scene lacks the requested bands.
    """
    offered = offered_renderings(scene)
    first = next(iter(offered.values()))
    if rgb is not None:
        try:
            return rendering_at(scene, rgb)
        except InputError:
            if other is None:
                raise
            return first
    return first if other is None else offered.get(other.name, first)


def _compared(scene: xr.DataArray, reference: xr.DataArray, convention: str) -> dict[str, Any]:
    """Return error map and scores of a result."""
    from finewave.metrics import evaluate
    from finewave.metrics.description import in_words

    scores = evaluate(scene.astype("float32"), reference.astype("float32"), convention=convention)
    words = in_words({name: scores[name] for name in ("psnr", "sam")})
    return {"error": rmse_map(scene.values, reference.values), "scores": words}


def _square(values: np.ndarray) -> tuple[int, int, int, int]:
    top, left, side = highest_contrast_window(values)
    return top, left, side, side


def check_region(region: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) as (top, left, height, width).

    Raises
    ------
    InputError
        If it is empty or not inside an image of ``size`` (rows, columns).
    """
    x, y, width, height = region
    rows, columns = size
    if min(width, height) < 1 or min(x, y) < 0 or x + width > columns or y + height > rows:
        raise InputError(
            f"the region x={x}, y={y}, {width} x {height} pixels, is not inside the scene of {columns} x {rows} pixels"
        )
    return y, x, height, width


def check_points(points: Sequence[tuple[int, int]], size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return points (x, y) as (y, x).

    Raises
    ------
    InputError
        If one is not a column and a row inside an image of ``size`` (rows, columns).
    """
    rows, columns = size
    for point in points:
        if np.shape(point) != (2,) or not all(isinstance(each, int | np.integer) for each in point):
            raise InputError(f"the point {point!r} is not a column and a row, whole numbers from 0")
        x, y = point
        if not (0 <= x < columns and 0 <= y < rows):
            raise InputError(f"the point x={x}, y={y} is not inside the scene of {columns} x {rows} pixels")
    return tuple((y, x) for x, y in points)
