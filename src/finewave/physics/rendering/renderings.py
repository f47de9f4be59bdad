"""Renderings of scenes: true colour, natural colour, infrared, indices, or any three bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from finewave.band_names import colour_of
from finewave.errors import InputError, unknown_name
from finewave.physics.rendering.srgb import srgb_to_linear
from finewave.scene import band_values

if TYPE_CHECKING:
    import xarray as xr

Light = Literal["D65", "scene"]
LIGHTS: tuple[Light, ...] = ("D65", "scene")
TRIPLES: dict[str, tuple[str, tuple[float, float, float]]] = {
    "natural": ("Natural colour", (640.0, 550.0, 460.0)),
    "infrared": ("Colour infrared", (860.0, 650.0, 550.0)),
    "shortwave": ("Short-wave infrared", (1610.0, 860.0, 660.0)),
}
"""Renderings by name: title, and the wavelengths in nm shown as red, green and blue."""
INDICES: dict[str, tuple[str, tuple[float, float]]] = {
    "ndvi": ("NDVI (vegetation)", (860.0, 650.0)),
    "ndwi": ("NDWI (water)", (550.0, 860.0)),
}
"""Normalised differences (a - b) / (a + b) by name: title, and the wavelengths of a and b in nm."""
RENDERINGS = ("true", "natural", "infrared", "shortwave", "bands", *INDICES)
CAMERA_WIDTH_NM = 80.0
"""Width of the bands of "natural": the full width at half maximum of the green of both Nikon cameras in `sensors`."""
FAR_NM = 60.0
"""Largest distance in nm from a requested wavelength to the nearest band."""
MIN_COVERAGE = 0.95
"""Fraction of the observer's response to each primary that the bands must cover for true colour."""
MAX_GAP_NM = 50.0
"""Largest step between neighbouring visible bands for true colour."""
MIN_STEP_NM = 8.0
"""Smallest band spacing for true colour; denser bands are thinned: the observer's curves are smooth over 20 nm."""
COARSE_STEP_NM = 28.0
"""The same for a quick look."""
SRGB_NM = 1.0
"""Difference in nm from the centres of sRGB up to which three bands are its primaries: centres may be rounded."""
VISIBLE_NM = (380.0, 740.0)
"""Outside this range the observer's response is negligible."""


@dataclass(frozen=True, eq=False)
class Rendering:
    """A rendering: how the bands of one scene are shown as an image.

    Attributes
    ----------
    name : str
        One of `RENDERINGS`, or ``"band"``.
    label : str
        Human-readable description: ``"True colour (CIE 1931, D65, 400-700 nm)"``.
    weights : ndarray of shape (k, C)
        float32, from bands to linear channels. k is 3 (red, green, blue), 1 (grey), or 2 (the a and b of an index).
    centres : tuple of float or None
        Wavelengths in nm of single channels; None for true colour and where there are none.
    index : bool
        The channels are a and b of (a - b) / (a + b).
    encoded : bool
        The scene's values are sRGB-encoded, as its ``transfer_function`` says.
    """

    name: str
    label: str
    weights: NDArray[np.float32]
    centres: tuple[float, ...] | None = None
    index: bool = False
    encoded: bool = False

    @property
    def bands(self) -> list[int]:
        """Indices of the bands in use; bands without data do not matter if they are not used."""
        return [int(i) for i in np.flatnonzero(self.weights.any(axis=0))]

    @property
    def is_colorimetric(self) -> bool:
        """Whether values 0 to 1 are absolute colours, so that white is 1 unless the scene is dark."""
        return self.name == "true"

    def channels(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return linear channels (k, y, x) of the values (n, y, x) of `bands`."""
        values = np.asarray(values, np.float32)
        if self.encoded:
            values = srgb_to_linear(values)
        weights = self.weights[:, self.bands]
        if (np.count_nonzero(weights, axis=1) == 1).all():  # single bands: avoid rounding
            return np.stack([weights[k, i] * values[i] for k, i in enumerate(weights.argmax(axis=1))])
        flat: NDArray[np.float32] = weights @ values.reshape(len(values), -1)
        return flat.reshape(len(weights), *values.shape[1:])


def offered_renderings(scene: xr.DataArray, light: Light = "D65") -> dict[str, Rendering]:
    """Return the renderings possible with a scene's bands, by name; the first is the default.

    Parameters
    ----------
    scene : xarray.DataArray (band, y, x)
    light : {"D65", "scene"}
        See `to_rgb`.

    Returns
    -------
    dict of str to Rendering
        Never empty.
    """
    if light not in LIGHTS:
        raise unknown_name("light", light, LIGHTS)
    renderings = [_true_colour(scene, light)]
    if wavelengths_of(scene) is None:
        renderings += [] if is_srgb(scene) else [_named(scene)]
    else:
        renderings += [_triple(scene, name, title, centres) for name, (title, centres) in TRIPLES.items()]
        renderings += [_index(scene, name) for name in INDICES]
    offered = {each.name: each for each in renderings if each is not None}
    if not offered or set(offered) <= set(INDICES):
        fallback = _spread(scene)
        offered = {fallback.name: fallback, **offered}
    return offered


def rendering(scene: xr.DataArray, name: str = "default", light: Light = "D65") -> Rendering:
    """Return one rendering of a scene.

    Parameters
    ----------
    scene : xarray.DataArray (band, y, x)
    name : str
        One of `RENDERINGS`; ``"default"`` is the first of `offered_renderings`.
    light : {"D65", "scene"}

    Raises
    ------
    InputError
        If there is no such rendering, or the scene lacks the bands for it.
    """
    offered = offered_renderings(scene, light)
    if name == "default":
        return next(iter(offered.values()))
    if name not in offered:
        if name in RENDERINGS:
            raise InputError(f"the scene has no bands for {name!r} ({_range(scene)}); it has: {', '.join(offered)}")
        raise unknown_name("rendering", name, RENDERINGS)
    return offered[name]


def coarse_rendering(scene: xr.DataArray, shown: Rendering) -> Rendering:
    """Return true colour from fewer bands, `COARSE_STEP_NM` apart, for a quick look; other renderings as they are."""
    if shown.name != "true" or wavelengths_of(scene) is None:
        return shown
    return _true_colour(scene, "D65", COARSE_STEP_NM) or shown


def rendering_at(scene: xr.DataArray, positions: Sequence[float]) -> Rendering:
    """Return three bands as red, green and blue, or one as grey: the nearest to wavelengths in nm.

    Parameters
    ----------
    scene : xarray.DataArray (band, y, x)
    positions : sequence of one or three float
        nm; band numbers from 1 if the scene has no wavelengths.

    Raises
    ------
    InputError
        If the scene has no band within `FAR_NM` of one of them, or no band of that number.
    """
    wavelengths = wavelengths_of(scene)
    axis = np.arange(1.0, scene.sizes["band"] + 1) if wavelengths is None else wavelengths
    distance = np.abs(axis[None] - np.asarray(positions, float)[:, None])
    if not (distance.min(axis=1) <= (FAR_NM if wavelengths is not None else 0.5)).all():  # NaN is near none
        unit = "nm" if wavelengths is not None else "(band numbers, as it has no wavelengths)"
        raise InputError(f"the scene ({_range(scene)}) has no band near each of {_numbers(positions)} {unit}")
    return rendering_of_bands(scene, [int(i) for i in distance.argmin(axis=1)])


def _true_colour(scene: xr.DataArray, light: Light, step_nm: float = MIN_STEP_NM) -> Rendering | None:
    """Return the rendering by the CIE 1931 observer; None where the bands do not cover the visible range."""
    wavelengths, good = wavelengths_of(scene), _good(scene)
    order = _srgb_order(scene)
    if order is not None:
        weights = np.zeros((3, 3), np.float32)
        weights[range(3), order] = 1
        return Rendering("true", "True colour (sRGB photograph)", weights, encoded=_encoded(scene))
    if wavelengths is None:
        if not is_srgb(scene):
            return None
        named = _named(scene)
        primaries = np.eye(3, dtype=np.float32) if named is None else named.weights
        return Rendering("true", "True colour (sRGB photograph)", primaries, encoded=_encoded(scene))
    visible = np.flatnonzero(good & (wavelengths >= VISIBLE_NM[0]) & (wavelengths <= VISIBLE_NM[1]))
    used = _thinned(wavelengths, visible, step_nm)
    seen = wavelengths[used]
    if seen.size < 4 or np.diff(seen).max() > MAX_GAP_NM:
        return None
    try:
        response = _primaries(light, tuple(seen.tolist()))
    except InputError:
        return None
    weights = np.zeros((3, scene.sizes["band"]), np.float32)
    weights[:, used] = response
    span = f"{seen[0]:.4g}–{seen[-1]:.4g} nm"
    under = "D65" if light == "D65" else "the scene's light"
    return Rendering("true", f"True colour (CIE 1931, {under}, {span})", weights, encoded=_encoded(scene))


def _thinned(wavelengths: NDArray[np.float64], bands: NDArray[np.intp], step_nm: float) -> NDArray[np.intp]:
    """Return bands in order of wavelength, at least ``step_nm`` apart, to avoid needless reading."""
    kept: list[int] = []
    for band in bands[np.argsort(wavelengths[bands], kind="stable")].tolist():
        if not kept or wavelengths[band] - wavelengths[kept[-1]] >= step_nm:
            kept.append(band)
    return np.asarray(kept, np.intp)


@lru_cache(maxsize=32)
def _primaries(light: Light, wavelengths: tuple[float, ...]) -> NDArray[np.float64]:
    """Return linear sRGB (3, C) of spectra at wavelengths in nm.

    For reflectance: ``M (cmf D65)`` with rows scaled to sum 1 (white is 1, 1, 1). For radiance, which includes the
    illumination: ``M cmf``, scaled so that a flat spectrum of 1 has the luminance of white. M converts CIE XYZ to
    linear sRGB (IEC 61966-2-1).
    """
    from finewave.physics.sensors import get_sensor
    from finewave.physics.sensors.cameras import XYZ_TO_SRGB

    if light == "D65":
        return get_sensor("srgb").response(wavelengths, min_coverage=MIN_COVERAGE)
    return np.asarray(XYZ_TO_SRGB @ get_sensor("cie1931").response(wavelengths, min_coverage=MIN_COVERAGE))


def _triple(scene: xr.DataArray, name: str, title: str, centres: Sequence[float]) -> Rendering | None:
    weights = _mean_weights(scene, centres)
    if weights is None:
        return None
    return Rendering(name, f"{title} ({_numbers(centres)} nm)", weights, tuple(centres), encoded=_encoded(scene))


def _index(scene: xr.DataArray, name: str) -> Rendering | None:
    title, centres = INDICES[name]
    weights = _mean_weights(scene, centres)
    return None if weights is None else Rendering(name, title, weights, tuple(centres), index=True)


def _mean_weights(scene: xr.DataArray, centres: Sequence[float]) -> NDArray[np.float32] | None:
    """Return weights that average the bands around each wavelength; None if one has no band near."""
    wavelengths, good = wavelengths_of(scene), _good(scene)
    assert wavelengths is not None
    weights = np.zeros((len(centres), len(wavelengths)), np.float32)
    for row, centre in enumerate(centres):
        distance = np.where(good, np.abs(wavelengths - centre), np.inf)
        inside = distance <= CAMERA_WIDTH_NM / 2
        if not inside.any():
            if not distance.min() <= FAR_NM:
                return None
            inside = np.arange(len(wavelengths)) == distance.argmin()
        weights[row, inside] = 1 / np.count_nonzero(inside)
    # one band cannot represent two colours
    return weights if len({tuple(row) for row in weights.tolist()}) == len(centres) else None


def _named(scene: xr.DataArray) -> Rendering | None:
    """Return the bands identified as red, green and blue by their names or by the colours of the file format."""
    labels = ("red", "green", "blue")
    names = [band_values(scene, coordinate) for coordinate in ("band_name", "colour")]
    for each in names:
        if each is None:
            continue
        colours = [colour_of(str(name)) for name in each]
        if all(colours.count(colour) == 1 for colour in labels):
            return rendering_of_bands(scene, [colours.index(colour) for colour in labels], name="natural")
    return None


def _spread(scene: xr.DataArray) -> Rendering:
    """Return a fallback rendering for bands of unknown colour."""
    count, wavelengths = scene.sizes["band"], wavelengths_of(scene)
    if count < 3:
        return rendering_of_bands(scene, [0])
    order = np.arange(count) if wavelengths is None else np.argsort(wavelengths)
    if count == 3:
        return rendering_of_bands(scene, [int(i) for i in (order if wavelengths is None else order[::-1])])
    places = np.linspace(count - 1, 0, 5)[1:4].round().astype(int)
    return rendering_of_bands(scene, [int(order[i]) for i in places])


def rendering_of_bands(scene: xr.DataArray, bands: Sequence[int], name: str | None = None) -> Rendering:
    """Return single bands, by their indices: three as red, green and blue, or one as grey."""
    weights = np.zeros((len(bands), scene.sizes["band"]), np.float32)
    weights[range(len(bands)), list(bands)] = 1
    wavelengths = wavelengths_of(scene)
    centres = None if wavelengths is None else tuple(float(wavelengths[i]) for i in bands)
    names = band_values(scene, "band_name")
    if centres is not None and name is None:
        shown = f"{_numbers(centres)} nm"
    elif names is not None and all(str(names[i]) for i in bands):
        shown = ", ".join(str(names[i]) for i in bands)
    else:
        numbers = ", ".join(str(i + 1) for i in bands)
        shown = f"band{'s' * (len(bands) > 1)} {numbers}; wavelengths unknown"
    kind = name or ("band" if len(bands) == 1 else "bands")
    title = {"natural": "By name", "band": "One band", "bands": "Three bands"}[kind]
    return Rendering(kind, f"{title} ({shown})", weights, centres, encoded=_encoded(scene))


def wavelengths_of(scene: xr.DataArray) -> NDArray[np.float64] | None:
    """Return the wavelengths of the bands in nm, None unless every band has one."""
    values = band_values(scene, "wavelength")
    return values.astype(float) if values is not None and np.isfinite(values).all() else None


def is_srgb(scene: xr.DataArray) -> bool:
    """Return whether a scene's bands are the primaries of sRGB, as a photograph's, by its sensor or their centres."""
    return scene.sizes["band"] == 3 and (scene.attrs.get("sensor") == "srgb" or _srgb_order(scene) is not None)


def _srgb_order(scene: xr.DataArray) -> list[int] | None:
    """Return which bands are red, green and blue of sRGB by their centres; None of other bands."""
    from finewave.physics.sensors import get_sensor

    wavelengths = wavelengths_of(scene)
    if wavelengths is None or len(wavelengths) != 3:
        return None
    apart = np.abs(wavelengths[None] - np.asarray(get_sensor("srgb").centres)[:, None])
    order = apart.argmin(axis=1)
    return order.tolist() if sorted(order) == [0, 1, 2] and apart.min(axis=1).max() <= SRGB_NM else None


def _encoded(scene: xr.DataArray) -> bool:
    return scene.attrs.get("transfer_function") == "sRGB"


def _good(scene: xr.DataArray) -> NDArray[np.bool_]:
    flags = band_values(scene, "good_band")
    return np.ones(scene.sizes["band"], bool) if flags is None or not flags.any() else flags.astype(bool)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{each:.4g}" for each in values)


def _range(scene: xr.DataArray) -> str:
    wavelengths = wavelengths_of(scene)
    where = "no wavelengths" if wavelengths is None else f"{wavelengths.min():.4g} to {wavelengths.max():.4g} nm"
    return f"{scene.sizes['band']} bands, {where}"
