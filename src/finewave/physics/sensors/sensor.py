"""Spectral response of cameras and satellites."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from finewave.errors import InputError, unknown_name
from finewave.physics.sensors.resampling import FloatArray, integrate_over_bands, sample_widths
from finewave.warnings import FinewaveWarning

# A sensor band with less than this part within the scene's wavelengths is rejected: its simulation would differ too
# much from the real band.
MIN_COVERAGE = 0.5
_MOST_NAMED = 16  # bands in a message
# Below this a band is used with a warning.
FULL_COVERAGE = 0.9


@dataclass(frozen=True, eq=False)
class Sensor:
    """Spectral response of a camera or satellite: one curve per band.

    Parameters
    ----------
    name : str
        Lower case with dashes, e.g. ``"sentinel2a"``.
    bands : tuple of str
        Names of the c bands, in the order of the rows of `curves`.
    wavelengths : (m,) float64 array
        Where the curves are sampled, in nm, increasing.
    curves : (c, m) float64 array
        Relative sensitivity, any unit; zero outside the samples. Only ``srgb`` has negative values.
    description : str
        One line.
    source : str
        Where the numbers come from.
    ground_sampling_distances : tuple of float, optional
        Pixel size on the ground in m, one per band; for satellites.
    mtf : tuple of float or None, optional
        Modulation transfer function at the Nyquist frequency of the band's own pixels, one per band, between 0 and 1;
        None where it is not known.

    Raises
    ------
    InputError
        If the curves have an area that is not positive, or shapes do not belong together.
    """

    name: str
    bands: tuple[str, ...]
    wavelengths: FloatArray
    curves: FloatArray
    description: str = ""
    source: str = ""
    ground_sampling_distances: tuple[float, ...] | None = None
    mtf: tuple[float | None, ...] | None = None

    def __post_init__(self) -> None:
        """Validate the sensor."""
        if self.curves.shape != (len(self.bands), self.wavelengths.size) or not self.bands:
            raise InputError(
                f"sensor {self.name!r}: {len(self.bands)} band names and {self.wavelengths.size} "
                f"wavelengths, but curves of shape {self.curves.shape}; expected (bands, wavelengths)"
            )
        if self.wavelengths.size < 2 or not np.all(np.diff(self.wavelengths) > 0):
            raise InputError(f"sensor {self.name!r}: needs at least two wavelengths, strictly increasing, in nm")
        if not np.isfinite(self.curves).all():
            raise InputError(f"sensor {self.name!r}: its curves hold NaN or infinite values")
        for band, area in zip(self.bands, self.curves @ sample_widths(self.wavelengths), strict=True):
            if area <= 0:
                raise InputError(
                    f"sensor {self.name!r}, band {band!r}: the area under its response is {area:g}; it must be positive"
                )
        for quantity, values in (("ground sampling distances", self.ground_sampling_distances), ("MTFs", self.mtf)):
            if values is not None and len(values) != len(self.bands):
                raise InputError(f"sensor {self.name!r}: {len(values)} {quantity} for {len(self.bands)} bands")
        for band, value in zip(self.bands, self.mtf or (), strict=False):
            if value is not None and not 0 < value < 1:
                raise InputError(
                    f"sensor {self.name!r}, band {band!r}: mtf {value:g}; an MTF at Nyquist lies between 0 and 1"
                )

    def __repr__(self) -> str:
        low, high = self.wavelengths[0], self.wavelengths[-1]
        return f"Sensor({self.name!r}, bands {', '.join(self.bands)}, {low:g}-{high:g} nm)"

    @property
    def centres(self) -> FloatArray:
        """Centroid of each band in nm, shape (c,)."""
        weights = np.abs(self.curves) * sample_widths(self.wavelengths)
        return weights @ self.wavelengths / weights.sum(axis=1)

    @property
    def widths(self) -> FloatArray:
        """Distance in nm of the outermost places at which each curve crosses half of its maximum, shape (c,)."""
        return np.array([_full_width(self.wavelengths, np.abs(curve)) for curve in self.curves])

    @property
    def nyquist_mtf(self) -> float | None:
        """One MTF for all bands: the geometric mean of those that are known, None if none is.

        Blur and response commute only if all bands have the same blur. The squared width of a Gaussian is
        proportional to -ln MTF, so the geometric mean of the MTFs is the mean of the squared widths.
        """
        known = [each for each in self.mtf or () if each is not None]
        return float(np.exp(np.mean(np.log(known)))) if known else None

    def select(self, bands: str | int | Iterable[str | int]) -> Sensor:
        """Return the sensor with some of its bands, in the order given.

        Parameters
        ----------
        bands : str, int or iterable of them
            Names (case-insensitive) or indices from 0; negative ones count from the end.

        Returns
        -------
        Sensor

        Raises
        ------
        InputError
            If a band does not exist, or the list is empty.
        """
        requested = [bands] if isinstance(bands, str | int) else list(bands)
        if not requested:
            raise InputError(f"no band of {self.name!r} selected; it has {', '.join(self.bands)}")
        rows = [self._index(band) for band in requested]
        gsd = self.ground_sampling_distances
        return replace(
            self,
            bands=tuple(self.bands[row] for row in rows),
            curves=self.curves[rows],
            ground_sampling_distances=None if gsd is None else tuple(gsd[row] for row in rows),
            mtf=None if self.mtf is None else tuple(self.mtf[row] for row in rows),
        )

    def _index(self, band: str | int) -> int:
        """Row of a band given by name or index."""
        if isinstance(band, str):
            for form in (str.casefold, _without_zeros):  # "B02" in file names is the operator's "B2"
                for row, name in enumerate(self.bands):
                    if form(name) == form(band):
                        return row
            raise unknown_name(f"band of sensor {self.name}", band, self.bands)
        count = len(self.bands)
        if not -count <= band < count:
            raise InputError(
                f"sensor {self.name!r} has no band {band}; its {count} bands are 0 to {count - 1} "
                f"({', '.join(self.bands)})"
            )
        return int(band) % count

    def response(
        self,
        wavelengths_nm: ArrayLike,
        *,
        bands: str | int | Iterable[str | int] | None = None,
        min_coverage: float = MIN_COVERAGE,
    ) -> FloatArray:
        """Response at the wavelengths of a scene: the matrix R of HR-MSI = R HR-HSI.

        The curves are integrated over the scene's bands when these are coarser than the curves' samples and
        interpolated when they are finer; see `finewave.physics.sensors.resampling.integrate_over_bands`. Parts of a
        curve outside the scene's wavelengths, or in a gap without bands, are dropped; the rest is scaled to sum 1, so
        that a flat spectrum keeps its value.

        Parameters
        ----------
        wavelengths_nm : (n,) array_like
            Centres of the scene's bands in nm, in any order, all different; at least two.
        bands : str, int or iterable of them, optional
            Only these bands; see `select`.
        min_coverage : float, optional
            A sensor band with a smaller part of its area within the scene's wavelengths is rejected. Between this and
            0.9 it is used with a `FinewaveWarning`.

        Returns
        -------
        (c, n) float64 array
            Weights; every row sums to 1.

        Raises
        ------
        InputError
            If the wavelengths are not usable, or a band is not covered; the message names the bands that are.
        """
        selected = self if bands is None else self.select(bands)
        return selected._response(_checked_wavelengths(wavelengths_nm), min_coverage)

    def _response(self, scene: FloatArray, min_coverage: float) -> FloatArray:
        """Response of all bands at validated wavelengths."""
        order = np.argsort(scene)
        weights, coverage = integrate_over_bands(self.wavelengths, self.curves, scene[order])
        sums = weights.sum(axis=1)
        # A small part of a curve with negative lobes may sum to zero.
        usable = (coverage >= max(min_coverage, 1e-6)) & (sums > 0)
        if not usable.all():
            raise self._refusal(scene, coverage, usable, min_coverage)
        for row in np.flatnonzero(coverage < FULL_COVERAGE).tolist():
            warnings.warn(
                f"only {coverage[row]:.0%} of band {self.bands[row]} of {self.name} ({self._range(row)}) "
                f"lies in the scene's wavelengths ({_span(scene)}); its response uses only that part "
                f"(min_coverage={FULL_COVERAGE} refuses it, select() takes the other bands)",
                FinewaveWarning,
                stacklevel=3,
            )
        response = np.empty_like(weights)
        response[:, order] = weights / sums[:, None]
        return response

    def _range(self, row: int) -> str:
        """Range in which a band is at least 1 % of its peak, as text."""
        strength = np.abs(self.curves[row])
        return _span(self.wavelengths[strength >= 0.01 * strength.max()])

    def _refusal(self, scene: FloatArray, coverage: FloatArray, usable: np.ndarray, min_coverage: float) -> InputError:
        """Error for bands that the scene does not cover."""
        if coverage.max() < 1e-6:
            return InputError(
                f"sensor {self.name!r} ({_span(self.wavelengths)}) does not overlap the scene's wavelengths "
                f"({_span(scene)})"
            )
        short = [
            f"{self.bands[row]} ({self._range(row)}, {coverage[row]:.0%} covered)"
            for row in np.flatnonzero(~usable).tolist()
        ]
        missing = ", ".join(short[:_MOST_NAMED]) + (
            f" and {more} others" if (more := len(short) - _MOST_NAMED) > 0 else ""
        )
        fitting = [self.bands[row] for row in np.flatnonzero(usable)]
        own = self.name.partition(":")[0]
        remedy = f"choose bands that fit: {own}:{','.join(fitting)}" if fitting else "no band of it fits this scene"
        if len(fitting) > _MOST_NAMED:  # imaging spectrometers have hundreds
            remedy = f"choose among the {len(fitting)} bands that fit: {own}:{fitting[0]},...,{fitting[-1]}"
        return InputError(
            f"the scene's wavelengths ({_span(scene)}) cover less than {min_coverage:.0%} of these bands of "
            f"sensor {self.name!r}: {missing}; {remedy}"
        )


def _full_width(wavelengths: FloatArray, curve: FloatArray) -> float:
    above = np.flatnonzero(curve >= 0.5 * curve.max())

    def crossing(inside: int, outside: int) -> float:
        if not 0 <= outside < curve.size:
            return float(wavelengths[inside])  # the curve is cut off here
        share = (curve[inside] - 0.5 * curve.max()) / (curve[inside] - curve[outside])
        return float(wavelengths[inside] + share * (wavelengths[outside] - wavelengths[inside]))

    return crossing(int(above[-1]), int(above[-1]) + 1) - crossing(int(above[0]), int(above[0]) - 1)


def _without_zeros(band: str) -> str:
    """Lower case, and numbers without leading zeros."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", band.casefold())


def _span(wavelengths: FloatArray) -> str:
    """First and last wavelength, as text."""
    return f"{wavelengths.min():g}-{wavelengths.max():g} nm"


def _checked_wavelengths(wavelengths_nm: ArrayLike) -> FloatArray:
    """Return the scene's wavelengths as an array, or raise an error."""
    scene = np.asarray(wavelengths_nm, dtype=np.float64)
    if scene.ndim != 1 or scene.size < 2:
        raise InputError(f"wavelengths of shape {scene.shape} given; expected a list of at least two, in nm")
    if not np.isfinite(scene).all() or scene.min() <= 0:
        raise InputError("wavelengths must be positive, finite numbers in nm")
    if scene.max() < 100:
        raise InputError(f"wavelengths {_span(scene)} look like micrometres; give them in nm (multiply by 1000)")
    values, counts = np.unique(scene, return_counts=True)
    if values.size < scene.size:
        raise InputError(f"the wavelength {values[counts > 1][0]:g} nm is given more than once; each may appear once")
    return scene
