"""Fusion by local linear regression: HS bands as affine maps of the MS bands, other ones around every pixel.

A guided filter (K. He, J. Sun, X. Tang, "Guided Image Filtering", IEEE TPAMI 35(6), 2013, eq. 5, 6 and 8) whose maps
are found at low resolution, where both images are known, and applied to the sharp MSI, as in the fast guided filter
(K. He, J. Sun, arXiv 1505.00996). No training, and nothing need be known of the sensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from finewave.errors import InputError
from finewave.nn.sampling import bicubic
from finewave.physics.inversion.pseudo_inverse import PseudoInverse
from finewave.physics.observation import Observation
from finewave.systems.base import SRNetwork
from finewave.systems.baselines import white_noise
from finewave.systems.baselines.gaussian_windows import smooth, window_radius
from finewave.systems.option_checks import at_least, require

MOST_WITH_ROOTS = 4
"""MS bands of which geometric means are taken, too; of ten there would be 45."""
DARK = 1e-6
"""Added to the mean square of the MS bands, so that black surroundings have a ridge, too."""
ITERATIONS = 10
"""Back-projections for blurs whose pseudo-inverse is not used, see `SpatialCorrection`."""
LARGEST_GAIN = 25.0
"""Of noise by D⁺: where it enlarges variances more, the correction is iterated; ten iterations enlarge no more."""
BICUBIC_PRODUCTS = 20
"""Multiplications for each number that bicubic interpolation makes."""
CORRECTION_PRODUCTS = 15
"""The same of a spatial correction: blur, and spreading of differences, along two axes; what is at LR is little."""
SLOPES = 30.0
"""Variance of the LR-HSI's noise, over that of slopes: the ridge that noise adds in a window that averages nothing."""
NEARBY = 1.5
"""Standard deviation in LR pixels of the windows in which what a map or the correction adds is compared with noise."""
WIDE = 2.0
"""Windows from which on noise is averaged out: their maps are not compared with it."""
EXPORT_LACKS = "its regressions solve a system of equations at every pixel"


class LocalRegression(SRNetwork):
    """``H = A(p) x + b(p)`` at every HR pixel p, then the nearest image that reproduces the LR-HSI.

    x are the MS bands and, of up to four bands, the geometric means of two of them: what root-polynomial regression
    uses, whose maps do not depend on the light (see `finewave.systems.baselines.pixel_regression`). A and b are found
    at the LR pixels, where h is the HS pixel and m the degraded x, by ridge regression with Gaussian weights around
    each: with means E, ``A = cov(h, m) (cov(m, m) + ridge E|m|²/n)⁻¹``, n the size of m, and ``b = E h - A E m``.
    It is done for one window after the other, from wide to narrow, each for what the wider ones left over, so that
    where little varies nearby the wider surroundings decide. A and b are interpolated (bicubic), applied, and
    ``D⁺ (h - D H)`` is added. Where the sensor's response R gives R h for the degraded MSI, R H is the MSI.

    Parameters
    ----------
    scale : int
        s >= 2.
    ms_bands, hs_bands : int
        c and C.
    windows : sequence of float
        Standard deviations of the Gaussian windows in LR pixels, > 0.
    ridge : sequence of float
        Of each window, > 0.
    degradation : dict, optional
        D: keyword arguments of `degrade`; by default its Gaussian. Where its pseudo-inverse is not known in closed
        form or enlarges noise beyond `LARGEST_GAIN`, the correction is iterated, as in ``ibp``.
    noise : {"ignored", "estimated"}
        Whether the white noise of both images is estimated around every pixel: the MSI is then filtered, ridges grow
        with the noise, and maps and correction change only what stands out of it. Without noise it is about the same.

    Raises
    ------
    InputError
        A ``ValueError``, if a value is out of range.
    """

    task = "fusion"
    export_lacks: ClassVar = dict.fromkeys(("onnx", "pt2"), EXPORT_LACKS)

    def __init__(
        self,
        scale: int = 4,
        ms_bands: int = 3,
        hs_bands: int = 31,
        *,
        windows: Sequence[float] = (8.0, 3.0, 1.2, 0.6),
        ridge: Sequence[float] = (1e-5, 1e-4, 1e-3, 1e-3),
        degradation: dict[str, Any] | None = None,
        noise: Literal["ignored", "estimated"] = "ignored",
    ) -> None:
        super().__init__()
        self.observation = Observation(scale, degradation, "local-regression")
        at_least("local-regression", 1, ms_bands=ms_bands, hs_bands=hs_bands)
        check_windows("local-regression", windows, ridge)
        self.scale, self.ms_bands, self.hs_bands = scale, ms_bands, hs_bands
        self.windows, self.ridge = tuple(windows), tuple(ridge)
        self.correction = SpatialCorrection(self.observation)
        self.working_memory = regression_memory(scale, ms_bands, hs_bands)
        self.noise_aware = noise == "estimated"
        self.receptive_field = regression_reach(windows) + self.observation.reach + self.correction.reach
        if self.noise_aware:
            self.receptive_field += _reach_of_noise(windows)
            self.working_memory += noise_memory(ms_bands)

    def forward(self, lr_hsi: Tensor, hr_msi: Tensor) -> Tensor:
        """Return (B, C, s h, s w) of ``lr_hsi`` (B, C, h, w) and ``hr_msi`` (B, c, s h, s w)."""
        wide = torch.promote_types(lr_hsi.dtype, torch.float32)
        h, x = lr_hsi.to(wide), hr_msi.to(wide)
        noise = None
        if self.noise_aware:
            x, noise = without_noise(h, x, self.scale)
        known = with_roots(x)
        estimate = regressed(h, known, self.observation(known), self.windows, self.ridge, noise)
        return self.correction(estimate, h, noise).to(lr_hsi.dtype)


class Noise(NamedTuple):
    """Variances of white noise (B, 1, h, w), float64: of the LR-HSI, and of the MSI when it is filtered."""

    hs: Tensor
    ms: Tensor


def without_noise(h: Tensor, x: Tensor, scale: int) -> tuple[Tensor, Noise]:
    """Return the MSI x (B, c, s h, s w) filtered, and the noise of the LR-HSI h (B, C, h, w) and of that."""
    hs, ms = white_noise.noise_of_spectra(h).double(), white_noise.noise_of_bands(x, scale)
    return white_noise.wiener(x, ms, scale), Noise(hs, white_noise.LEFT * ms.double())


def _reach_of_noise(windows: Sequence[float]) -> int:
    """Return by how many LR pixels the reach of regression and correction grows with estimated noise."""
    narrow = sum(window < WIDE for window in windows)
    return white_noise.noise_reach() + (narrow + 1) * window_radius(NEARBY)


def noise_memory(ms_bands: int) -> int:
    """Return the bytes for each HR pixel that filtering the MSI needs: ten matrices of its bands."""
    return 40 * ms_bands**2


class SpatialCorrection:
    """Makes an image consistent with its LR version: ``G + D⁺ (h - D G)``, in one step where D⁺ is usable.

    Attributes
    ----------
    reach : int
        Distance in LR pixels up to which a pixel acts on the result.
    """

    def __init__(self, observation: Observation) -> None:
        self.observation = observation
        self.inverse: PseudoInverse | None = None
        try:
            inverse = PseudoInverse(observation, "the degradation")
        except InputError:  # not separable, not symmetric, or far too wide a blur
            pass
        else:
            self.inverse = inverse if inverse.noise_gain <= LARGEST_GAIN else None
        if self.inverse is not None:
            self.reach = self.inverse.reach + observation.reach
        else:
            self.reach = ITERATIONS * (2 + observation.reach)

    def __call__(self, image: Tensor, lr: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the corrected image (B, C, s h, s w), given the LR one (B, C, h, w)."""
        if noise is not None:
            low = self.observation(image)
            difference = (lr - low).double()
            lr = low + (difference * white_noise.signal_share(difference, noise.hs, NEARBY)).to(low)
        if self.inverse is not None:
            return image + self.inverse(lr - self.observation(image))
        size = (image.shape[2], image.shape[3])
        for _ in range(ITERATIONS):
            image = image + bicubic(lr - self.observation(image), size)
        return image


def check_windows(system: str, windows: Sequence[float], ridge: Sequence[float]) -> None:
    """Refuse windows and ridges that are out of range; ``system`` is for the message."""
    require(system, len(windows) > 0 and min(windows) > 0, "one or more numbers > 0", windows=list(windows))
    accepted = f"{len(windows)} numbers > 0, one for each window"
    require(system, len(ridge) == len(windows) and min(ridge) > 0, accepted, ridge=list(ridge))


def regression_reach(windows: Sequence[float]) -> int:
    """Return the distance in LR pixels up to which `regressed` looks: windows, bicubic interpolation and blur."""
    return sum(window_radius(window) for window in windows) + 2


def regression_memory(scale: int, ms_bands: int, hs_bands: int) -> int:
    """Return the bytes for each HR pixel that `regressed` needs at most, see `SRNetwork.working_memory`.

    At LR the means of all products, some copies of them in double precision, and what is smoothed at a time; at HR some
    images of the result. Measured at scales 2 to 8, with 31 and 100 bands.
    """
    known = n_with_roots(ms_bands)
    means = (known + hs_bands) * (known + 1)
    return max(SRNetwork.working_memory, (36 * means + 4000) // scale**2 + 14 * hs_bands)


def n_with_roots(bands: int) -> int:
    """Return how many bands `with_roots` makes."""
    return bands * (bands + 1) // 2 if bands <= MOST_WITH_ROOTS else bands


def map_products(window: float, known: int, hs_bands: int) -> float:
    """Return how many multiplications a window's maps take for an LR pixel: means of products, and systems solved."""
    smoothed = known + hs_bands + known * known + known * hs_bands
    solved = known**3 / 3 + known * known * hs_bands
    return (2 * (2 * window_radius(window) + 1) + 2) * smoothed + solved


def with_roots(x: Tensor) -> Tensor:
    """Return the bands (B, c, H, W) and, of few, the geometric means of every two: (B, c (c + 1) / 2, H, W)."""
    bands = x.shape[1]
    if bands > MOST_WITH_ROOTS:
        return x
    first, second = torch.triu_indices(bands, bands, 1)
    positive = x.clamp(min=0)
    return torch.cat([x, (positive[:, first] * positive[:, second]).sqrt()], 1)


def regressed(
    h: Tensor,
    x: Tensor,
    low: Tensor,
    windows: Sequence[float],
    ridge: Sequence[float],
    noise: Noise | None = None,
) -> Tensor:
    """Return (B, C, s h, s w), the local affine maps between LR images applied to the sharp one.

    Parameters
    ----------
    h : Tensor (B, C, h, w)
        LR-HSI.
    x : Tensor (B, c, s h, s w)
        What is known at HR, see `with_roots`.
    low : Tensor (B, c, h, w)
        The same, degraded.
    windows, ridge : sequence of float
        See `LocalRegression`.
    noise : Noise, optional
        Of h and x.
    """
    m = low.double()  # variances are differences of means of squares
    maps = no_maps(h.double(), m)
    for window, each in zip(windows, ridge, strict=True):
        maps = maps.refined(m, window, each, noise)
    return applied(maps.slopes.to(x.dtype), maps.constants.to(x.dtype), x)


class Maps(NamedTuple):
    """Affine maps at LR, in double precision, and what they leave over of the LR-HSI.

    Attributes
    ----------
    slopes : Tensor (B, c, C, h, w)
    constants : Tensor (B, C, h, w)
    left : Tensor (B, C, h, w)
    """

    slopes: Tensor
    constants: Tensor
    left: Tensor

    def refined(self, m: Tensor, window: float, ridge: float, noise: Noise | None = None) -> Maps:
        """Return maps to which those of one window, for what is left over, are added; m (B, c, h, w).

        A window that averages n pixels has a ridge of `SLOPES` times the noise over n besides, and its map is
        multiplied, unless it is `WIDE`, by the share of what it changes that does not come from noise.
        """
        averaged = white_noise.averaged(window)
        more = 0.0 if noise is None else (SLOPES * noise.hs / averaged + noise.ms)[:, 0]
        slope, constant = _affine_maps(self.left, m, window, ridge, more)
        change = constant + (slope * m[:, :, None]).sum(1)
        if noise is not None and window < WIDE:
            share = white_noise.signal_share(change, 2 * noise.hs / averaged, NEARBY)
            slope, constant, change = slope * share[:, None], constant * share, change * share
        return Maps(self.slopes + slope, self.constants + constant, self.left - change)


def no_maps(h: Tensor, m: Tensor) -> Maps:
    """Return the maps to nothing, which leave all of h (B, C, h, w) over; m (B, c, h, w); both double."""
    return Maps(torch.zeros_like(h)[:, None] * m[:, :, None], torch.zeros_like(h), h)


def applied(slopes: Tensor, constants: Tensor, x: Tensor) -> Tensor:
    """Return (B, C, s h, s w): the maps (B, c, C, h, w) and (B, C, h, w), interpolated, of x (B, c, s h, s w)."""
    size = (x.shape[2], x.shape[3])
    result = bicubic(constants, size)
    for band in range(x.shape[1]):
        result = result.addcmul_(bicubic(slopes[:, band], size), x[:, band : band + 1])
    return result


def _affine_maps(h: Tensor, m: Tensor, window: float, ridge: float, more: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return slopes (B, c, C, h, w) and constants (B, C, h, w) of h on m around each pixel; ``more`` is ridge, too."""
    c, C = m.shape[1], h.shape[1]
    weight = smooth(torch.ones_like(m[:, :1]), window)
    m_mean, h_mean = smooth(m, window) / weight, smooth(h, window) / weight
    squares = (smooth((m[:, :, None] * m[:, None]).flatten(1, 2), window) / weight).unflatten(1, (c, c))
    products = (smooth((m[:, :, None] * h[:, None]).flatten(1, 2), window) / weight).unflatten(1, (c, C))
    penalty = ridge * (squares.diagonal(dim1=1, dim2=2).mean(-1) + DARK) + more  # (B, h, w)
    cov = (squares - m_mean[:, :, None] * m_mean[:, None]).permute(0, 3, 4, 1, 2)
    cross = products.sub_(m_mean[:, :, None] * h_mean[:, None]).permute(0, 3, 4, 1, 2)
    cov = cov + penalty[..., None, None] * torch.eye(c).to(cov)
    slope = torch.linalg.solve(cov, cross).permute(0, 3, 4, 1, 2)
    return slope, h_mean - (slope * m_mean[:, :, None]).sum(1)
