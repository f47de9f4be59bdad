"""A measured spectrum on the bands of an image: the mean that each band, with its width, takes of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finewave.physics.sensors.resampling import integrate_over_bands

FloatArray = NDArray[np.float64]

LEAST_COVERED = 0.5
"""Part of a band that a spectrum covers at least for the band to have a value."""
_SAME_NM = 0.5
_GAP = 3.0
_SIGMA_OF_FWHM = 1 / (2 * np.sqrt(2 * np.log(2)))


def band_widths(centres: FloatArray) -> FloatArray:
    """Return the full widths at half maximum in nm of bands of which only the centres are known: their spacing.

    The mean of a band's distances from its neighbours. One across a gap, more than `_GAP` times the two before and
    after it, is no width: bands were left out there, those of water vapour for instance. The first or last band beyond
    a gap is as wide as the next distance, that of a short-wave infrared band as of the visible ones for instance.
    """
    if len(centres) < 2:
        return np.full(len(centres), 10.0)
    order = np.argsort(centres)
    steps = np.diff(centres[order])
    around = [
        max((*steps[max(index - 2, 0) : index], *steps[index + 1 : index + 3]), default=step)
        for index, step in enumerate(steps)
    ]
    bridged = np.where(steps > _GAP * np.array(around), np.nan, steps)
    known = bridged[np.isfinite(bridged)]  # two gaps side by side are none: neither is wider than the other by that
    sides = np.stack([np.append(known[0], bridged), np.append(bridged, known[-1])])
    widths = np.empty(len(centres))
    widths[order] = np.nanmean(sides, axis=0)
    return widths


def on_bands(
    wavelengths: FloatArray, values: FloatArray, centres: FloatArray, widths: FloatArray | None = None
) -> FloatArray:
    """Return a spectrum, or several, on bands.

    Parameters
    ----------
    wavelengths : ndarray (m,)
        In nm, ascending, m >= 2.
    values : ndarray (..., m)
        May be NaN, in all spectra at the same wavelengths: where one has no value, none is used.
    centres : ndarray (C,)
        Of the bands, in nm.
    widths : ndarray (C,), optional
        Full widths at half maximum of their Gaussian responses, in nm; by default their spacing.

    Returns
    -------
    ndarray (..., C)
        NaN in bands of which less than `LEAST_COVERED` is measured. Where a spectrum no finer than the bands has a
        sample at a band's centre, it is taken as it is.
    """
    known = np.isfinite(values).reshape(-1, len(wavelengths)).all(0)
    wavelengths, values = wavelengths[known], values[..., known]
    result = np.full((*values.shape[:-1], len(centres)), np.nan)
    if len(wavelengths) < 2:
        return result
    widths = band_widths(centres) if widths is None else widths
    nearest = np.abs(wavelengths[None] - centres[:, None]).argmin(1)
    direct = np.abs(wavelengths[nearest] - centres) <= _SAME_NM
    averaged = np.ones(len(centres), bool)
    if np.median(np.diff(wavelengths)) >= 0.8 * np.median(widths):
        result[..., direct] = values[..., nearest[direct]]
        averaged = ~direct & (centres > wavelengths[0]) & (centres < wavelengths[-1])  # nothing beyond its last samples
    for band in np.flatnonzero(averaged):
        sigma = widths[band] * _SIGMA_OF_FWHM
        samples = centres[band] + np.linspace(-3, 3, 61) * sigma
        curve = np.exp(-0.5 * np.square((samples - centres[band]) / sigma))
        weights, covered = integrate_over_bands(samples, curve[None], wavelengths)
        total = weights.sum()
        if covered[0] >= LEAST_COVERED and total > 0:
            result[..., band] = values @ weights[0] / total
    return result
