"""From linear channels to the screen: display range, sRGB curve, colours of an index."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from finewave.errors import unknown_name
from finewave.physics.rendering.renderings import Rendering
from finewave.physics.rendering.srgb import linear_to_srgb

_BROWN_TO_GREEN = np.array([[0.55, 0.32, 0.04], [0.96, 0.96, 0.96], [0.0, 0.40, 0.36]])  # for indices, -1 to 1
_STEPS = 2**14


@dataclass(frozen=True)
class DisplayRange:
    """Values shown as black and as full brightness, one per channel."""

    low: tuple[float, ...]
    high: tuple[float, ...]


RANGES = {
    "auto": "Automatic",
    "unit": "Values 0–1",
    "joint": "Joint, 0–99.5 %",
    "each": "Each band, 2–98 %",
}
"""Kinds of display ranges by name."""


def display_range(kind: str, shown: Rendering, channels: NDArray[np.float32]) -> DisplayRange:
    """Return the values shown as black and as full brightness.

    Parameters
    ----------
    kind : str
        One of `RANGES`. ``"auto"`` is 0 to 1 for true colour whose 99.5th percentile lies between 0.25 and 1.5, as that
        of reflectance and photographs. Otherwise it is ``"joint"``: from 0 to that percentile, the same for all
        channels, which brightens dark scenes and shows values of any unit.
    shown : Rendering
    channels : ndarray (k, y, x)
        Linear, of the scene or a sample of it; NaN is ignored.

    Returns
    -------
    DisplayRange
        For an index always -1 to 1.
    """
    if kind not in RANGES:
        raise unknown_name("display range", kind, RANGES)
    count = len(channels)
    if shown.index:
        return DisplayRange((-1.0,), (1.0,))
    if kind == "unit" or not np.isfinite(channels).any():
        return DisplayRange((0.0,) * count, (1.0,) * count)
    if kind == "each":
        pairs = [_percentiles(channel) for channel in channels]
        return DisplayRange(tuple(low for low, _ in pairs), tuple(_above(low, high) for low, high in pairs))
    known = channels[np.isfinite(channels)]
    low, high = min(0.0, float(np.percentile(known, 0.5))), float(np.percentile(known, 99.5))
    if kind == "auto" and shown.is_colorimetric:
        if 0.25 <= high <= 1.5:
            return DisplayRange((0.0,) * count, (1.0,) * count)
        low = 0.0  # black is 0: colours outside the gamut are negative
    return DisplayRange((low,) * count, (_above(low, high),) * count)


def _percentiles(channel: NDArray[np.float32]) -> tuple[float, float]:
    known = channel[np.isfinite(channel)]
    return (float(np.percentile(known, 2)), float(np.percentile(known, 98))) if known.size else (0.0, 1.0)


def _above(low: float, high: float) -> float:
    return high if high > low else low + 1.0


def encode_srgb(shown: Rendering, channels: NDArray[np.float32], limits: DisplayRange) -> NDArray[np.float32]:
    """Return the picture (3, y, x) of linear channels (k, y, x): sRGB in [0, 1], NaN where a channel has no value."""
    if shown.index:
        with np.errstate(invalid="ignore", divide="ignore"):
            value = (channels[0] - channels[1]) / (channels[0] + channels[1])
        value[np.isinf(value)] = np.nan
        shades = np.stack([np.interp(value, (-1, 0, 1), column) for column in _BROWN_TO_GREEN.T])
        return np.where(np.isnan(value), np.nan, shades).astype(np.float32)
    low = np.asarray(limits.low, np.float32)[:, None, None]
    span = np.asarray(limits.high, np.float32)[:, None, None] - low
    picture = linear_to_srgb(np.clip((channels - low) / span, 0, 1))
    if len(picture) == 1:
        picture = np.repeat(picture, 3, axis=0)
    return np.where(np.isnan(picture).any(axis=0), np.float32(np.nan), picture)


def srgb_bytes(shown: Rendering, channels: NDArray[np.float32], limits: DisplayRange) -> NDArray[np.uint8]:
    """Return `encode_srgb` as RGBA (y, x, 4) in bytes, transparent where there is no value: for screens.

    The curve is tabulated in steps below 8-bit resolution, which is several times faster.
    """
    result = np.empty((*channels.shape[1:], 4), np.uint8)
    result[..., 3] = 255
    if shown.index:
        picture = encode_srgb(shown, channels, limits)
        missing = np.isnan(picture).any(axis=0)
        result[..., :3] = np.rint(255 * np.nan_to_num(picture)).transpose(1, 2, 0)
        result[missing, 3] = 0
        return result
    curve = _curve()
    for k, plane in enumerate(channels):
        steps = np.subtract(plane, np.float32(limits.low[k]), dtype=np.float32)
        steps *= np.float32((_STEPS - 1) / (limits.high[k] - limits.low[k]))
        steps += np.float32(0.5)
        np.clip(steps, 0, _STEPS - 1, out=steps)
        missing = np.isnan(steps)
        if missing.any():
            result[missing, 3] = 0
            steps[missing] = 0
        result[..., k if len(channels) == 3 else slice(3)] = (
            curve[steps.astype(np.uint16)] if len(channels) == 3 else curve[steps.astype(np.uint16)][..., None]
        )
    return result


def on_grey(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return RGB (y, x, 3) of RGBA; pixels without a value are mid-grey."""
    return np.where(rgba[..., 3:] == 0, np.uint8(128), rgba[..., :3])


@lru_cache(maxsize=1)
def _curve() -> NDArray[np.uint8]:
    return np.rint(linear_to_srgb(np.linspace(0, 1, _STEPS)) * 255).astype(np.uint8)
