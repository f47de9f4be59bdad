"""The images of one view, opened and placed on the grid of the result's pixels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.physics.rendering.renderings import Rendering, offered_renderings, wavelengths_of
from finewave.text.plain_text import one_line
from finewave.viz.pyramid import Pyramid
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    import xarray as xr

HALF_WIDTHS = "uncertainty"
"""Coordinate of results in memory that holds half-widths of their errors, see `finewave.super_resolve`."""
SAME_WAVELENGTH_NM = 0.5  # as the metrics have it: files round their wavelengths


@dataclass(frozen=True)
class Place:
    """Position of an image on the grid of the result: corner and pixel size, in pixels of the result."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0


@dataclass
class SceneLayer:
    """One image: label, position and pixels.

    Attributes
    ----------
    role : {"result", "input", "reference", "half-width"}
    title : str
        For the page.
    scene : xarray.DataArray with dims (band, y, x)
    pyramid : Pyramid
        Its pixels at all resolutions.
    place : Place
    wavelengths : ndarray or None
        nm, one per band; for a camera's image those of its sensor. None for sRGB, whose primaries are display colours,
        not spectral bands.
    """

    role: str
    title: str
    scene: xr.DataArray
    pyramid: Pyramid
    place: Place = field(default_factory=Place)
    wavelengths: NDArray[np.float64] | None = None

    @cached_property
    def renderings(self) -> dict[str, Rendering]:
        """Possible renderings by name; the first is the default."""
        return offered_renderings(self.scene)

    @property
    def default_rendering(self) -> Rendering:
        """The default rendering."""
        return next(iter(self.renderings.values()))

    @property
    def axis(self) -> NDArray[np.float64]:
        """Positions of the bands: wavelengths in nm, or numbers from 1."""
        if self.wavelengths is not None:
            return self.wavelengths
        return np.arange(1.0, self.pyramid.bands + 1)

    def nearest(self, position: float) -> int:
        """Return the index of the band nearest to a wavelength in nm, or of a number."""
        return int(np.abs(self.axis - position).argmin())

    def pixels(self, x0: float, x1: float, y0: float, y1: float) -> tuple[slice, slice] | None:
        """Return rows and columns of the pixels that overlap a rectangle on the result's grid; None if none do.

        The rectangle [x0, x1) x [y0, y1) is in pixels of the result.
        """
        rows = _met((y0 - self.place.top) / self.place.height, (y1 - self.place.top) / self.place.height)
        columns = _met((x0 - self.place.left) / self.place.width, (x1 - self.place.left) / self.place.width)
        rows = slice(max(rows.start, 0), min(rows.stop, self.pyramid.height))
        columns = slice(max(columns.start, 0), min(columns.stop, self.pyramid.width))
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _met(start: float, stop: float) -> slice:
    # a millionth of a pixel is rounding of the georeference, not a neighbour that is met
    return slice(int(np.floor(start + 1e-6)), int(np.ceil(stop - 1e-6)))


@dataclass
class ScenePair:
    """A result with its input and reference, as shown by viewer, report and figure.

    Attributes
    ----------
    layers : dict of str to SceneLayer
        By role; ``"result"`` is always there.
    others : tuple of SceneLayer
        Further results of the same area and size, shown side by side in a figure.
    half_width : SceneLayer, optional
        Half-widths of the result's errors, as ``finewave predict --uncertainty`` writes them.
    """

    layers: dict[str, SceneLayer]
    others: tuple[SceneLayer, ...] = ()
    half_width: SceneLayer | None = None

    @property
    def result(self) -> SceneLayer:
        """The image that defines the grid."""
        return self.layers["result"]

    @property
    def results(self) -> tuple[SceneLayer, ...]:
        """All results, in the order given."""
        return self.result, *self.others

    @property
    def input(self) -> SceneLayer | None:
        """The input of the model."""
        return self.layers.get("input")

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the result."""
        return self.result.pyramid.height, self.result.pyramid.width

    @property
    def scale(self) -> int | None:
        """Number of pixels of the result per pixel of the input along an axis; None without an input.

        Raises
        ------
        InputError
            If the input's edges do not match the result's, or the ratio is not an integer.
        """
        if self.input is None:
            return None
        scale = self.size[0] // self.input.pyramid.height
        if scale < 1 or self.size != (scale * self.input.pyramid.height, scale * self.input.pyramid.width):
            raise InputError(
                f"the input {self.input.title} has {_size(self.input)} pixels, {self.result.title} has "
                f"{_size(self.result)} pixels; the result's size must be a whole multiple, the same both ways"
            )
        return scale

    @property
    def reference(self) -> SceneLayer | None:
        """The reference."""
        return self.layers.get("reference")

    @property
    def ratio(self) -> float:
        """Number of pixels of the result per pixel of the input along an axis, 1 without an input."""
        return self.layers["input"].place.width if "input" in self.layers else 1.0

    def close(self) -> None:
        """Close the files."""
        for layer in (*self.layers.values(), *filter(None, [self.half_width])):
            layer.pyramid.close()


def open_scene_pair(
    result: str | Path,
    input: str | Path | None = None,
    reference: str | Path | None = None,
    others: Sequence[str | Path] = (),
    half_width: str | Path | None = None,
) -> ScenePair:
    """Open images of one view and check that they match, without reading pixels.

    Parameters
    ----------
    result : str or Path
        Anything that `finewave.open_scene` opens.
    input : str or Path, optional
        Input of the model: placed by its georeference, otherwise assumed to cover the same area.
    reference : str or Path, optional
        Reference with the same number of pixels and bands.
    others : sequence of str or Path
        Further results, of the same size.
    half_width : str or Path, optional
        Half-widths of the errors of the first result, with its pixels and bands.

    Returns
    -------
    ScenePair

    Raises
    ------
    InputError
        A file cannot be opened, or does not match the result.
    """
    pair = pair_layers(
        [open_layer("result", Path(each)) for each in (result, *others)],
        None if input is None else open_layer("input", Path(input)),
        None if reference is None else open_layer("reference", Path(reference)),
    )
    if half_width is not None:
        pair.half_width = half_widths_of(Path(half_width), pair.result)
    return pair


def half_widths_beside(result: Path) -> Path | None:
    """Return the half-widths that ``finewave predict --uncertainty`` has written beside a result, if they are there."""
    path = result.with_name(f"{result.stem}.uncertainty{result.suffix}")
    return path if path.exists() else None


def half_widths_of(path: Path, result: SceneLayer) -> SceneLayer:
    """Open the half-widths of a result's errors.

    Raises
    ------
    InputError
        The file cannot be opened, or has other pixels or bands than the result.
    """
    layer = open_layer("half-width", path)
    if _size(layer) != _size(result) or layer.pyramid.bands != result.pyramid.bands:
        raise InputError(
            f"the half-widths {layer.title} have {_size(layer)} pixels and {_bands(layer)}, {result.title} has "
            f"{_size(result)} pixels and {_bands(result)}; they belong to another result"
        )
    layer.wavelengths = result.wavelengths
    return layer


def pair_layers(
    results: Sequence[SceneLayer], input: SceneLayer | None = None, reference: SceneLayer | None = None
) -> ScenePair:
    """Place images on one grid, and check that they match.

    Parameters
    ----------
    results : sequence of SceneLayer
        At least one; of equal size.
    input, reference : SceneLayer, optional
        As for `open_scene_pair`.

    Raises
    ------
    InputError
        An image does not match the first result.
    """
    first = results[0]
    layers = {"result": first}
    if input is not None:
        layers["input"] = _placed(input, first)
    if reference is not None:
        layers["reference"] = _compared(reference, first)
    for layer in results[1:]:
        if _size(layer) != _size(first):
            raise InputError(
                f"{layer.title} has {_size(layer)} pixels, {first.title} has {_size(first)} pixels; "
                "results must be of one size"
            )
        if reference is not None:
            _compared(reference, layer)
    return ScenePair(layers, tuple(results[1:]))


def layer_of(role: str, title: str, scene: xr.DataArray) -> SceneLayer:
    """Return a scene that is open already as a layer."""
    return SceneLayer(role, title, scene, Pyramid(scene), wavelengths=_wavelengths(scene))


def open_layer(role: str, path: Path) -> SceneLayer:
    """Open one image with the overviews of its file."""
    from finewave.io.open_save import open_scene, overview_factors

    scene = open_scene(path)
    overviews = {}
    for number, factor in enumerate(overview_factors(path)):
        level = int(factor).bit_length() - 1
        if factor == 1 << level:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FinewaveWarning)  # already warned about when the file was opened
                overviews[level] = open_scene(path, overview=number)
    return SceneLayer(role, one_line(path.name), scene, Pyramid(scene, overviews), wavelengths=_wavelengths(scene))


def _wavelengths(scene: xr.DataArray) -> NDArray[np.float64] | None:
    wavelengths = wavelengths_of(scene)
    if wavelengths is None and scene.attrs.get("sensor"):
        from finewave.physics.sensors import get_sensor

        try:
            sensor = get_sensor(str(scene.attrs["sensor"]))
        except InputError:  # the file names its own sensor
            return None
        return sensor.centres if len(sensor.bands) == scene.sizes["band"] and (sensor.curves >= 0).all() else None
    return wavelengths


def _placed(layer: SceneLayer, result: SceneLayer) -> SceneLayer:
    """Place an image on the result's grid: by georeferences if both have one, otherwise with matching edges."""
    from finewave.scene import scene_crs, scene_transform

    result_transform, layer_transform = scene_transform(result.scene), scene_transform(layer.scene)
    same_crs = scene_crs(result.scene) == scene_crs(layer.scene)
    if result_transform is not None and layer_transform is not None and same_crs:
        relative = ~result_transform * layer_transform
        turned = max(abs(relative.b), abs(relative.d)) > 1e-6 * abs(relative.a)
        if turned or relative.a <= 0 or relative.e <= 0:
            raise InputError(
                f"{layer.title} is turned or mirrored against {result.title}; bring both on one grid first"
            )
        layer.place = Place(relative.c, relative.f, relative.a, relative.e)
        if layer.pixels(0, result.pyramid.width, 0, result.pyramid.height) is None:
            raise InputError(f"{layer.title} and {result.title} show different places, by their georeferences")
        return layer
    height = result.pyramid.height / layer.pyramid.height
    width = result.pyramid.width / layer.pyramid.width
    if abs(height - width) > 1e-9 * width or (width > 1 and width != round(width)):
        raise InputError(
            f"the input {layer.title} has {_size(layer)} pixels, {result.title} has {_size(result)} pixels: no whole "
            "multiple of it in both directions, and there are no georeferences to lay one on the other"
        )
    layer.place = Place(0.0, 0.0, width, height)
    return layer


def _compared(layer: SceneLayer, result: SceneLayer) -> SceneLayer:
    """Check that an image can be compared with the result pixel by pixel and band by band."""
    if _size(layer) != _size(result):
        raise InputError(
            f"the reference {layer.title} has {_size(layer)} pixels, {result.title} has {_size(result)} pixels; "
            "a reference has the pixels of the result (give the smaller image as --input)"
        )
    result_bands, layer_bands = result.pyramid.bands, layer.pyramid.bands
    if result_bands != layer_bands:
        raise InputError(
            f"the reference {layer.title} has {_bands(layer)}, {result.title} has {_bands(result)}; a reference has "
            "the same bands"
        )
    if result.wavelengths is not None and layer.wavelengths is not None:
        apart = np.abs(result.wavelengths - layer.wavelengths).max()
        if apart > SAME_WAVELENGTH_NM:
            raise InputError(
                f"the reference {layer.title} has {_bands(layer)}, {result.title} has {_bands(result)}; up to "
                f"{apart:.3g} nm apart, they cannot be compared"
            )
    elif result.wavelengths is not None:
        _adopt(layer, result.wavelengths)  # the same bands, as checked
    elif layer.wavelengths is not None:
        _adopt(result, layer.wavelengths)
    return layer


def _adopt(layer: SceneLayer, wavelengths: NDArray[np.float64]) -> None:
    layer.wavelengths = wavelengths
    layer.scene = layer.scene.assign_coords(wavelength=("band", wavelengths))
    layer.__dict__.pop("renderings", None)


def _bands(layer: SceneLayer) -> str:
    count, wavelengths = layer.pyramid.bands, layer.wavelengths
    where = "" if wavelengths is None else f" ({wavelengths.min():.4g} to {wavelengths.max():.4g} nm)"
    return f"{count} band{'s' * (count != 1)}{where}"


def _size(layer: SceneLayer) -> str:
    return f"{layer.pyramid.width} x {layer.pyramid.height}"
