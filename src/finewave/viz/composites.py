"""Which bands a picture shows, and how their values become colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.viz.rendering import linear_as_srgb

if TYPE_CHECKING:
    from finewave.viz.layers import Layer

PRESETS: dict[str, tuple[str, tuple[float, float, float]]] = {
    "rgb": ("Natural colour", (640.0, 550.0, 460.0)),
    "infrared": ("Colour infrared", (860.0, 650.0, 550.0)),
    "shortwave": ("Short-wave infrared", (1610.0, 860.0, 660.0)),
}
"""Composites by name: what it is called, and the wavelengths in nm that are shown as red, green and blue."""
FAR_NM = 60.0
"""A composite is offered where every wavelength has a band that is no farther off."""
STRETCHES = {
    "unit": "Values 0–1",
    "joint": "Joint, 0–99.5 %",
    "each": "Each band, 2–98 %",
}
_STEPS = 4096


def offered_presets(layer: Layer) -> dict[str, str]:
    """Return the composites that an image has the bands for, by name."""
    if layer.wavelengths is None:
        return {}
    return {
        name: title
        for name, (title, centres) in PRESETS.items()
        if all(np.abs(layer.wavelengths - centre).min() <= FAR_NM for centre in centres)
    }


def usual_bands(layer: Layer) -> tuple[float, float, float]:
    """Return three positions on `Layer.axis` for a composite where no preset fits: spread over the bands."""
    count = layer.pyramid.bands
    if count == 3:
        order = np.argsort(layer.axis)[::-1] if layer.wavelengths is not None else np.arange(3)
    else:
        order = np.linspace(count - 1, 0, 5)[1:4].round().astype(int) if count > 3 else np.array([count - 1, 0, 0])
    first, second, third = (float(layer.axis[i]) for i in order)
    return first, second, third


def bands_for(layer: Layer, positions: tuple[float, ...], measured_in_nm: bool) -> list[int]:
    """Return the bands of an image that stand for positions on the result's axis.

    An image without wavelengths beside one that has them shows its own: a band of three in their order, others spread.
    """
    if measured_in_nm and layer.wavelengths is None:
        positions = usual_bands(layer) if len(positions) == 3 else (1.0,)
    return [layer.nearest(position) for position in positions]


@dataclass(frozen=True)
class Stretch:
    """Values that become black and full brightness, one pair for each channel."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def choose_stretch(kind: str, sample: NDArray[np.float32]) -> Stretch:
    """Return the stretch of a kind for a sample (channels, y, x) of the image.

    Parameters
    ----------
    kind : str
        One of `STRETCHES`.
    sample : ndarray
        NaN does not count.

    Returns
    -------
    Stretch
    """
    count = len(sample)
    if kind == "unit" or not np.isfinite(sample).any():
        return Stretch((0.0,) * count, (1.0,) * count)
    if kind == "joint":
        low, high = min(0.0, float(np.nanpercentile(sample, 0.5))), float(np.nanpercentile(sample, 99.5))
        return Stretch((low,) * count, (_above(low, high),) * count)
    pairs = [_percentiles(channel) for channel in sample]
    return Stretch(tuple(low for low, _ in pairs), tuple(_above(low, high) for low, high in pairs))


def _percentiles(channel: NDArray[np.float32]) -> tuple[float, float]:
    known = channel[np.isfinite(channel)]
    return (float(np.percentile(known, 2)), float(np.percentile(known, 98))) if known.size else (0.0, 1.0)


def _above(low: float, high: float) -> float:
    return high if high > low else low + 1.0


def colours(values: NDArray[np.float32], stretch: Stretch) -> NDArray[np.uint8]:
    """Return (y, x, 4) bytes RGBA of one or three channels (channels, y, x): sRGB, transparent where there is no value.

    The curve is that of `finewave.viz.rendering.linear_as_srgb`, in steps too small for 8 bits to show.
    """
    if len(values) == 1:
        values = np.broadcast_to(values, (3, *values.shape[1:]))
        stretch = Stretch(stretch.low * 3, stretch.high * 3)
    result = np.empty((*values.shape[1:], 4), np.uint8)
    result[..., 3] = 255
    curve = _curve()
    for channel, plane in enumerate(values):
        low, high = stretch.low[channel], stretch.high[channel]
        steps = np.subtract(plane, np.float32(low), dtype=np.float32)
        steps *= np.float32((_STEPS - 1) / (high - low))
        np.clip(steps, 0, _STEPS - 1, out=steps)
        unknown = np.isnan(steps)
        if unknown.any():
            result[unknown, 3] = 0
            steps[unknown] = 0
        result[..., channel] = curve[steps.astype(np.uint16)]
    return result


@lru_cache(maxsize=1)
def _curve() -> NDArray[np.uint8]:
    ramp: Any = np.linspace(0, 1, _STEPS)[None, None]
    encoded: NDArray[np.uint8] = np.rint(linear_as_srgb(ramp)[0, :, 0] * 255).astype(np.uint8)
    return encoded
