"""Where to measure: the places whose spectra take most of the doubt from a result, from the image alone.

Greedy choice of the place that lowers the variance of the errors most, summed over the scene, each time given all
places before it (A. Krause, A. Singh, C. Guestrin, Journal of Machine Learning Research 9, 2008, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from finewave.calibration.residual_kriging import ErrorModel, FloatArray, brightness_of, features_of
from finewave.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

FOR_PLACES = ErrorModel(brightness=1.0)
"""Counts brightness more than the correction does, so that light and dark parts of a scene get places. Settled after
looks at CAVE's validation scenes and tiles of EnMAP, too."""
_CANDIDATES = 1500
_SCENE = 2500
_DARK = 0.01  # of full scale: a spectrometer sees little there, and so does the image
_FLATTEST = 0.5  # part of the places that count as flat
_BRIGHT_COUNTS = 0.25  # exponent: between areas as they are (0) and squared errors (2)


@dataclass(frozen=True)
class ChosenPlace:
    """A place to measure at.

    Attributes
    ----------
    row, column : float
        Of its centre, in pixels of the image.
    left : float
        Part of the errors' variance over the scene that is expected to be left after it and all before it, 0 to 1.
    """

    row: float
    column: float
    left: float


def choose_places(
    image: Tensor,
    count: int,
    *,
    size: int = 3,
    model: ErrorModel | None = None,
    usable: np.ndarray | None = None,
    seed: int = 0,
) -> list[ChosenPlace]:
    """Return the places most worth measuring, the most useful one first.

    Parameters
    ----------
    image : Tensor (c, H, W)
        What the model sees; NaN where there is nothing.
    count : int
        How many places, >= 1.
    size : int
        Side of a place in pixels, odd: it is flat over ``size``, and further than that from the border.
    model : ErrorModel, optional
        How errors go together.
    usable : bool ndarray (H, W), optional
        Where one can go.
    seed : int
        Of the random samples of pixels that stand for a large scene.

    Raises
    ------
    InputError
        The image has fewer flat places that are bright enough.
    """
    if count < 1:
        raise InputError(f"{count} places were asked for; give a number >= 1")
    model = model or FOR_PLACES
    values = image.double()
    means, roughness = _flatness(values, size)
    candidates = _candidates(values, means, roughness, size, usable, seed)
    if len(candidates) < count:
        raise InputError(
            f"the image has {len(candidates)} flat places that are neither dark nor saturated; {count} were asked for"
        )
    scene = _scene_sample(values, seed)
    side = max(image.shape[1:])
    features = [
        features_of(each[:, points[:, 0], points[:, 1]][..., None])[:, :, 0].T.numpy()
        for each, points in ((means, candidates), (values, scene))
    ]
    places = [(points + 0.5) / side for points in (candidates, scene)]
    brightness = brightness_of(values)[scene[:, 0], scene[:, 1]].numpy()
    counts = brightness**_BRIGHT_COUNTS
    return _greedy(candidates, model, features, places, counts / counts.sum(), count)


def flat_places(image: Tensor, size: int, seed: int = 0) -> tuple[np.ndarray, FloatArray]:
    """Return rows and columns (n, 2) of a sample of the places of which `choose_places` chooses, and their shares."""
    values = image.double()
    means, roughness = _flatness(values, size)
    places = _candidates(values, means, roughness, size, None, seed)
    shares = features_of(means[:, places[:, 0], places[:, 1]][..., None])[:-1, :, 0].T.numpy()
    return places, shares


def _greedy(
    candidates: np.ndarray,
    model: ErrorModel,
    features: list[FloatArray],
    places: list[FloatArray],
    counts: FloatArray,
    count: int,
) -> list[ChosenPlace]:
    """Choose one place after the other, none twice; covariances are updated by each."""
    total = len(candidates)
    covariance = model.covariance(
        np.concatenate(features), features[0], np.concatenate(places), places[0]
    )  # of candidates and scene with candidates
    variance = np.ones(total)
    left, selected = 1.0, []
    chosen: list[int] = []
    for _ in range(count):
        gains = (counts @ covariance[total:] ** 2) / (variance + model.noise)
        gains[chosen] = -np.inf
        best = int(gains.argmax())
        chosen.append(best)
        left -= float(gains[best])
        row, column = candidates[best]
        selected.append(ChosenPlace(float(row) + 0.5, float(column) + 0.5, max(left, 0.0)))
        column_of_best = covariance[:, best].copy()
        covariance -= np.outer(column_of_best, column_of_best[:total]) / (variance[best] + model.noise)
        variance = covariance[np.arange(total), np.arange(total)].copy()
    return selected


def _flatness(values: Tensor, size: int) -> tuple[Tensor, np.ndarray]:
    """Return the means (c, H, W) over ``size`` x ``size`` pixels, and the deviation by brightness (H, W)."""
    from torch.nn import functional as F

    padded = F.pad(values[None], [size // 2] * 4, mode="replicate")
    means = F.avg_pool2d(padded, size, 1)[0]
    squares = F.avg_pool2d(padded**2, size, 1)[0]
    deviation = (squares - means**2).clamp(min=0).sqrt().mean(0)
    return means, (deviation / brightness_of(means)).numpy()


def _candidates(
    values: Tensor, means: Tensor, roughness: np.ndarray, size: int, usable: np.ndarray | None, seed: int
) -> np.ndarray:
    """Return rows and columns (n, 2) of places that are flat, bright, far from borders and not saturated."""
    height, width = roughness.shape
    good = np.zeros((height, width), bool)
    good[size : height - size, size : width - size] = True
    good &= np.isfinite(roughness) & (means.mean(0).numpy() > _DARK) & (means.amax(0).numpy() < 0.98)
    if usable is not None:
        good &= usable
    if not good.any():
        return np.empty((0, 2), int)
    good &= roughness <= np.quantile(roughness[good], _FLATTEST)
    return _sampled(np.argwhere(good), _CANDIDATES, seed)


def _scene_sample(values: Tensor, seed: int) -> np.ndarray:
    finite = values.isfinite().all(0).numpy()
    return _sampled(np.argwhere(finite), _SCENE, seed + 1)


def _sampled(points: np.ndarray, most: int, seed: int) -> np.ndarray:
    if len(points) <= most:
        return points
    return points[np.random.default_rng(seed).permutation(len(points))[:most]]
