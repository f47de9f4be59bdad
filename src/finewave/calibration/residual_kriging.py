"""What spectra measured at a few spots say about the errors of a prediction everywhere else.

The error of a spectrum, divided by its brightness, is taken as a Gaussian process (C. E. Rasmussen, C. K. I. Williams,
"Gaussian Processes for Machine Learning", MIT Press, 2006, chapter 2): two pixels err alike if they have one colour and
about one brightness, and the more so if they lie near each other, since one colour may be of two materials. How far
errors are alike differs from scene to scene and from material to material: the covariance is a rational quadratic
(section 4.2.1, equation 4.19), which mixes squared exponentials of all lengths. The fewer colours the spots have, the
less is known of that, and the nearer to themselves they count. The posterior mean is the correction. Far from every
spot, in colour or on the ground, it shrinks to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = NDArray[np.float64]

FLOOR = 0.02
"""Added to brightness (full scale 1) where errors are divided by it: below that they are the sensor's noise."""
LOG_WEIGHT = 0.12
"""What a natural logarithm of brightness counts beside the shares of three bands."""
_DARKEST = 1e-4
_ALIKE = 0.05
"""Distance of features at which two spots count as one and a half."""
_LENGTHS = (0.06, 0.08, 0.1, 0.13)
_NOISES = (0.05, 0.1, 0.2, 0.4)
_PRIOR_WIDTH = (0.35, 0.7)
"""Standard deviations of the logarithms of length and noise around their start, over scenes."""


@dataclass(frozen=True)
class ErrorModel:
    """How errors of a model go together, in units of their own variance.

    Kernel, noise and most other defaults were chosen over CAVE's 20 training scenes, each predicted by what was fitted
    to others, so that few lose wherever 1 to 32 spots are. ``python -m benchmarks.anchor_kernel`` shows what each
    number is worth there. Not only there: what counts as dark, and the model by which places are chosen, were settled
    after looks at the six validation scenes and at tiles of EnMAP; the joint model's validation scores were looked at
    several times while the kernel was chosen; `few_noise` and the noise of dark pixels were set on EnMAP's validation
    tiles, and `few_power` by the losses of all 26 scenes, the validation's among them. Scores of the validation are
    slightly optimistic for that.

    Attributes
    ----------
    length : float
        Of the rational quadratic over shares of bands and `LOG_WEIGHT` times the logarithm of brightness.
    noise : float
        Variance of a spot's own error: of the measurement, and of what the spot has not in common with its like.
    shared : float
        Part of the variance that pixels of one colour share wherever they lie.
    reach : float
        Distance, in sides of the scene, over which they share the rest.
    few : float
        ``shared`` is divided by (1 + this times `fewness_of`): few colours do not show whether a colour is of one
        material, and spots are trusted around themselves only.
    few_noise : float
        ``noise`` is multiplied by the same with this number.
    dark : float
        Brightness at which a spot counts as twice as noisy as a bright one: its relative error is less certain, and
        would be added to bright pixels.
    brightness : float
        How many times the features' last, of brightness, counts.
    power : float
        Of the rational quadratics: the larger it is, the less spots count far from themselves.
    few_power : float
        This number times `fewness_of` is added to it.
    trust : float
        For how many spots it counts that spots say the right of each other. Where those that are left out in turn say
        otherwise, all are corrected by less.
    """

    length: float = 0.06
    noise: float = 0.12
    shared: float = 0.5
    reach: float = 0.22
    few: float = 20.0
    few_noise: float = 10.0
    dark: float = 0.08
    brightness: float = 0.75
    power: float = 1.0
    few_power: float = 30.0
    trust: float = 0.3

    def covariance(self, a: Any, b: Any, places_a: Any, places_b: Any) -> Any:
        """Return the covariance (n, m) of errors at features (n, d) and (m, d) and places (n, 2) and (m, 2).

        NumPy arrays or tensors.
        """
        power = -self.power
        colour = (1 + _squared_distances(self._scaled(a), self._scaled(b)) / (-2 * power * self.length**2)) ** power
        ground = (1 + _squared_distances(places_a, places_b) / (-2 * power * self.reach**2)) ** power
        return colour * (self.shared + (1 - self.shared) * ground)

    def _scaled(self, features: Any) -> Any:
        """Return features whose last counts as often as `brightness` says."""
        return features if self.brightness == 1 else _with_brightness(features, self.brightness)


OF_DARK_PIXELS = ErrorModel(
    length=0.16, noise=0.02, shared=0.9, few=4.0, few_noise=12.0, dark=0.0, brightness=0.33, trust=1e6
)
"""Trusts spots further. For dark pixels: there a wrong correction costs little in squared error, and a right one gains
as much in the angle as anywhere."""


def fewness_of(features: FloatArray) -> float:
    """Return how little spots (n, d) show of the colours of a scene: 1 for one spot, near 0 for many.

    Spots of one colour count as one: seven on a grey wall and one on a red fruit show as little of the fruits as two
    spots would. They count as the participation ratio of a squared exponential's eigenvalues, n² / ΣK². Its inverse
    square is returned, but n to the power of -1.75 at least.
    """
    scaled = _with_brightness(features, ErrorModel.brightness)
    alike = np.exp(-_squared_distances(scaled, scaled) / (2 * _ALIKE**2))
    count = len(features)
    return max(float(count**2 / np.square(alike).sum()) ** -2, count**-1.75)


def features_of(image: Tensor) -> Tensor:
    """Return what errors go by (c + 1, H, W) of an image (c, H, W): shares of bands, and brightness.

    Shares of more bands than three are smaller; they are enlarged to differ by as much.
    """
    import torch

    positive = image.clamp(min=_DARKEST)
    total = positive.sum(0, keepdim=True)
    bands = image.shape[0]
    shares = positive / total * (bands / 3) ** 0.5
    return torch.cat([shares, LOG_WEIGHT * torch.log(total / bands)])


def brightness_of(image: Tensor) -> Tensor:
    """Return what errors are divided by (H, W), of an image (c, H, W)."""
    return image.clamp(min=0).mean(0) + FLOOR


@dataclass(frozen=True)
class ResidualKriging:
    """Errors at spots, solved once; what they say anywhere is a small matrix product.

    Attributes
    ----------
    model : ErrorModel
    features : ndarray (n, d)
        Of the spots.
    places : ndarray (n, 2)
        Row and column in sides of the scene.
    weights : ndarray (n, C)
        (K + N)⁻¹ times the relative errors, and times the share of `share_of`; 0 in a band that a spot says nothing of.
    inverse : ndarray (n, n)
        (K + N)⁻¹, for the variance.
    """

    model: ErrorModel
    features: FloatArray
    places: FloatArray
    weights: FloatArray
    inverse: FloatArray

    @classmethod
    def fit(
        cls,
        features: FloatArray,
        places: FloatArray,
        errors: FloatArray,
        *,
        start: ErrorModel | None = None,
        doubt: FloatArray | None = None,
        estimate: bool = True,
    ) -> ResidualKriging:
        """Solve for the weights of the spots.

        Parameters
        ----------
        features, places : ndarray (n, d) and (n, 2)
        errors : ndarray (n, C)
            Measured less predicted, divided by brightness; NaN where a spectrum does not cover a band.
        start : ErrorModel, optional
            What is known beforehand, of the model's residuals on other scenes.
        doubt : ndarray (n,), optional
            How many times the noise of a spot is the usual one's, >= 1.
        estimate : bool
            Let the spots change length and noise, as far as they are many.
        """
        model = start or ErrorModel()
        fewness = fewness_of(features)
        model = replace(
            model,
            shared=model.shared / (1 + model.few * fewness),
            noise=model.noise * (1 + model.few_noise * fewness),
            power=model.power + model.few_power * fewness,
        )
        doubt = np.ones(len(features)) if doubt is None else doubt
        if estimate and len(features) > 2:
            model = estimated(model, features, places, errors, doubt)
        covariance = model.covariance(features, features, places, places)
        weights, expected, certain = (np.zeros(errors.shape) for _ in range(3))
        known = np.isfinite(errors)
        for pattern in np.unique(known.T, axis=0):  # bands that the same spots know are solved together
            bands = np.flatnonzero((pattern == known.T).all(1))
            spots = np.flatnonzero(pattern)
            if spots.size:
                part = np.ix_(spots, bands)
                own = np.linalg.inv(covariance[np.ix_(spots, spots)] + np.diag(model.noise * doubt[spots]))
                weights[part] = own @ errors[part]
                certain[part] = np.diag(own)[:, None]
                expected[part] = errors[part] - weights[part] / certain[part]
        inverse = np.linalg.inv(covariance + np.diag(model.noise * doubt))
        share = share_of(np.where(known, errors, 0.0), expected, certain, model.trust)
        return cls(model, features, places, weights * share, inverse)

    def __call__(self, features: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return relative errors (C, P) and the part of their variance that is left (P), at features (P, d)."""
        import torch

        def like(values: FloatArray) -> Tensor:
            return torch.from_numpy(values).to(features)

        covariance = self.model.covariance(features, like(self.features), places, like(self.places))
        left = 1 - ((covariance @ like(self.inverse)) * covariance).sum(1)
        return (covariance @ like(self.weights)).T, left.clamp(0, 1)


def share_of(errors: FloatArray, expected: FloatArray, certain: FloatArray, trust: float) -> float:
    """Return by how much of itself a correction is the better one, 0 to 1, by spots that are left out in turn.

    Parameters
    ----------
    errors, expected : ndarray (n, C)
        Of each spot, and what the other spots say of it ("Gaussian Processes for Machine Learning", equation 5.12); 0
        where it is not known.
    certain : ndarray (n, C)
        The inverse of the variance of that.
    trust : float
        See `ErrorModel`.
    """
    scale = np.square(errors).sum() / len(errors)
    if scale == 0:
        return 1.0
    agreeing = float((errors * expected * certain).sum() / scale)
    predicted = float((expected * expected * certain).sum() / scale)
    return min(max((agreeing + trust) / (predicted + trust), 0.0), 1.0)


def estimated(
    start: ErrorModel, features: FloatArray, places: FloatArray, errors: FloatArray, doubt: FloatArray
) -> ErrorModel:
    """Return length and noise of the largest posterior probability, given errors (n, C) at spots.

    The marginal likelihood with the variance integrated out (a Student process), counted for as many bands as vary by
    themselves, and log-normal priors around the start.
    """
    known = np.where(np.isfinite(errors), errors, 0.0)
    count = len(known)
    values = np.linalg.eigvalsh(known @ known.T).clip(min=0)
    if values.sum() == 0:
        return start
    independent = float(values.sum() ** 2 / np.square(values).sum())
    best, best_model = -np.inf, start
    for length in (start.length, *_LENGTHS):
        for noise in (start.noise, *_NOISES):
            model = replace(start, length=length, noise=noise)
            covariance = model.covariance(features, features, places, places) + np.diag(noise * doubt)
            factor = np.linalg.cholesky(covariance)
            scaled = np.linalg.solve(factor, known)
            mean_square = np.square(scaled).sum() / known.shape[1] / count
            likelihood = -np.log(np.diag(factor)).sum() - count / 2 * np.log(mean_square)
            prior = sum(
                -(np.log(value / usual) ** 2) / (2 * width**2)
                for value, usual, width in zip((length, noise), (start.length, start.noise), _PRIOR_WIDTH, strict=True)
            )
            posterior = independent * likelihood + prior
            if posterior > best:
                best, best_model = posterior, model
    return best_model


def _with_brightness(features: Any, weight: float) -> Any:
    """Return features of which the last, of brightness, is multiplied."""
    scaled = features * 1
    scaled[:, -1] *= weight
    return scaled


def _squared_distances(a: Any, b: Any) -> Any:
    """Return squared distances (n, m) of the rows of two matrices, NumPy arrays or tensors."""
    product = a @ b.T
    return ((a * a).sum(1)[:, None] - 2 * product + (b * b).sum(1)[None]).clip(min=0)
