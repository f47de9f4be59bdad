"""Resampling of spectral responses to the wavelengths of a scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# A step between neighbouring scene bands of more than this many median steps is a gap: bands were removed there (water
# vapour, for instance), and interpolating across it would invent a spectrum.
HOLE_IN_STEPS = 4.0


def covered_intervals(wavelengths: FloatArray) -> list[tuple[int, int, float, float]]:
    """Wavelength intervals that a scene's bands cover.

    Every band extends half a step to each side. At a gap (a step of more than `HOLE_IN_STEPS` median steps) one
    interval ends and the next begins.

    Parameters
    ----------
    wavelengths : (n,) array
        Band centres in nm, increasing, n >= 2.

    Returns
    -------
    list of (first, end, low, high)
        Bands ``first:end`` cover ``low`` to ``high`` nm.
    """
    steps = np.diff(wavelengths)
    usual = float(np.median(steps))
    breaks = np.flatnonzero(steps > HOLE_IN_STEPS * usual) + 1
    firsts, ends = [0, *breaks.tolist()], [*breaks.tolist(), wavelengths.size]
    intervals = []
    for first, end in zip(firsts, ends, strict=True):
        alone = end - first == 1
        low_half = 0.5 * (usual if alone else float(steps[first]))
        high_half = 0.5 * (usual if alone else float(steps[end - 2]))
        intervals.append((first, end, float(wavelengths[first] - low_half), float(wavelengths[end - 1] + high_half)))
    return intervals


def _cells(nodes: FloatArray, low: float, high: float) -> FloatArray:
    """Width of the part of ``low..high`` that is nearest to each node."""
    edges = np.concatenate([[low], 0.5 * (nodes[1:] + nodes[:-1]), [high]])
    return np.diff(edges)


def _reach(wavelengths: FloatArray) -> tuple[float, float]:
    """Interval covered by a sampled curve: half a step beyond its first and last samples."""
    return (
        float(wavelengths[0] - 0.5 * (wavelengths[1] - wavelengths[0])),
        float(wavelengths[-1] + 0.5 * (wavelengths[-1] - wavelengths[-2])),
    )


def sample_widths(wavelengths: FloatArray) -> FloatArray:
    """Width in nm of each sample of a curve, shape (m,): curves @ widths are areas."""
    return _cells(wavelengths, *_reach(wavelengths))


def integrate_over_bands(
    curve_wavelengths: FloatArray, curves: FloatArray, scene_wavelengths: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the weight of every scene band in every sensor band, and the covered part of each sensor band.

    The scene's spectrum is taken as linear between its bands, the sensor's curve as linear between its samples, and
    their product is integrated with the trapezoidal rule over the samples of both. So where the scene is coarser than
    the curve, the curve is integrated over each scene band (with the triangular weights of linear interpolation, so
    that a sensor band narrower than the scene's step uses its two neighbours); where the scene is finer, the curve is
    interpolated; and on an even grid equal to the curve's, the weights equal the curve's values.

    Parameters
    ----------
    curve_wavelengths : (m,) array
        Where the curves are sampled, nm, increasing.
    curves : (c, m) array
        One curve a sensor band; zero outside their samples.
    scene_wavelengths : (n,) array
        Centres of the scene's bands, nm, increasing.

    Returns
    -------
    weights : (c, n) array
        Not normalised: a flat spectrum of 1 gives the area under the curve, in nm.
    coverage : (c,) array
        Part of each curve's (absolute) area that lies where the scene has bands, 0 to 1.
    """
    reach_low, reach_high = _reach(curve_wavelengths)
    whole = np.abs(curves) @ sample_widths(curve_wavelengths)
    weights = np.zeros((curves.shape[0], scene_wavelengths.size))
    covered = np.zeros(curves.shape[0])
    for first, end, interval_low, interval_high in covered_intervals(scene_wavelengths):
        low, high = max(interval_low, reach_low), min(interval_high, reach_high)
        centres = scene_wavelengths[first:end]
        nodes = np.union1d(centres, curve_wavelengths)
        nodes = nodes[(nodes >= low) & (nodes <= high)]
        if nodes.size == 0:
            continue
        widths = _cells(nodes, low, high)
        areas = np.stack([np.interp(nodes, curve_wavelengths, curve) for curve in curves]) * widths
        covered += np.abs(areas).sum(axis=1)
        # Share of each node that goes to its left and right scene band; beyond the outermost centres the spectrum is
        # constant.
        right = np.clip(np.searchsorted(centres, nodes), 1, max(centres.size - 1, 1))
        if centres.size == 1:
            weights[:, first] += areas.sum(axis=1)
            continue
        share = np.clip((nodes - centres[right - 1]) / (centres[right] - centres[right - 1]), 0.0, 1.0)
        hats = np.zeros((nodes.size, centres.size))
        rows = np.arange(nodes.size)
        hats[rows, right - 1] = 1.0 - share
        hats[rows, right] = share
        weights[:, first:end] += areas @ hats
    return weights, np.minimum(covered / whole, 1.0)
