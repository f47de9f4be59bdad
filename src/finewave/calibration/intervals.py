"""How wrong a value may be: intervals that held on scenes the model had not seen (split conformal prediction).

The absolute error of each pixel and band, divided by the pixel's brightness, is compared with what is usual for pixels
of its colour and brightness: a kernel mean over the scenes held out (J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani,
L. Wasserman, "Distribution-free predictive inference for regression", Journal of the American Statistical Association
113(523), 2018, section 5.2). Half-widths are
one number times what is usual. Errors of one scene go together, so that scenes, not pixels, are what is exchanged: the
number is such that each scene, judged by the errors of the others alone, is covered as often as stated on average.

Spectra measured at a few spots correct the result, and its half-widths shrink with the variance that they leave. How
far they may shrink is calibrated likewise, on the same scenes corrected by simulated spots.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.calibration.residual_kriging import FloatArray, brightness_of, features_of
from finewave.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

SHARES = (0.5, 0.8, 0.9, 0.95)
FORMAT = 2
"""Of what a card stores; half-widths of the first format went by classes of brightness."""
_NUMBERS = 4000
"""Numbers that a card stores at most, about: bands times centres."""
_CENTRES = (16, 128)  # at least and at most
_PIXELS = 3000  # of a scene, so that all scenes count alike
_LENGTH = 0.035
"""Of the kernel, in the features' unit, where shares of three bands and `LOG_WEIGHT` times log brightness are added."""
_FAR = 0.3
"""Weight, beside that of a centre at no distance, of the value for colours that no scene held out had."""
_UNUSUAL = 0.95  # for these: what is usual for all but a twentieth of the centres
_LEAST_LEFT = 0.3
"""Part of an error's variance that remains where spots are measured: what materials of one colour differ by."""
_LARGEST_NARROWING = _LEAST_LEFT**-0.5
"""With it half-widths stay as they are without spots, wherever these lie."""
_LEAST_NARROWING = 0.25
_INNER = 6
"""Groups in which scenes are left out for what is usual, beside a scene that is judged: at most so many."""
_AT_ONCE = 1 << 15  # pixels


@dataclass(frozen=True)
class HeldOutErrors:
    """Errors of one scene that a model did not see in training.

    Attributes
    ----------
    name : str
    relative : ndarray (C, P)
        Absolute errors of its pixels, or a sample of them, by brightness.
    features : ndarray (P, d)
        Of each pixel, see `finewave.calibration.residual_kriging.features_of`.
    with_spots : ErrorsWithSpots, optional
        Of the same scene, corrected by spectra measured at spots.
    """

    name: str
    relative: NDArray[np.float32]
    features: FloatArray
    with_spots: ErrorsWithSpots | None = None


@dataclass(frozen=True)
class ErrorsWithSpots:
    """Errors of a result that was corrected by spots, see `HeldOutErrors`.

    Attributes
    ----------
    relative : ndarray (C, P)
    features : ndarray (P, d)
    left : ndarray (P,)
        Part of the variance that the spots leave, 0 to 1.
    """

    relative: NDArray[np.float32]
    features: FloatArray
    left: FloatArray


@dataclass(frozen=True)
class Ratios:
    """Errors of a scene by what is usual in other scenes.

    Attributes
    ----------
    plain : ndarray (N,)
        Sorted.
    with_spots : ndarray (C, P) or None
        Of the corrected result.
    left : ndarray (P,) or None
        See `ErrorsWithSpots`.
    """

    plain: FloatArray
    with_spots: FloatArray | None = None
    left: FloatArray | None = None

    def spot_levels(self, factor: float) -> FloatArray:
        """Return, sorted, the logarithm of the narrowing from which on each corrected value is covered (N,)."""
        assert self.with_spots is not None
        assert self.left is not None
        ratios = np.log(self.with_spots.clip(min=1e-12) / factor)
        taken = 1 - self.left
        levels = np.divide(
            ratios - np.log(_shrinkage(self.left)),
            taken,
            out=np.where(ratios <= 0, -np.inf, np.inf),
            where=taken > 1e-9,
        )
        return np.sort(np.where(ratios > 0, np.inf, levels), axis=None)  # spots never make a half-width larger


@dataclass(frozen=True)
class UsualErrors:
    """What errors are usual, by colour and brightness.

    Attributes
    ----------
    centres : ndarray (K, d)
        Colours of pixels of scenes held out.
    errors : ndarray (K, C)
        Mean relative error around each.
    far : ndarray (C,)
        Of colours far from all.
    """

    centres: FloatArray
    errors: FloatArray
    far: FloatArray

    @classmethod
    def of(cls, scenes: Sequence[HeldOutErrors]) -> UsualErrors:
        """Return what is usual in scenes, each of the same weight."""
        random = np.random.default_rng(0)
        samples = [random.permutation(len(each.features))[:_PIXELS] for each in scenes]
        features = np.concatenate([each.features[own] for each, own in zip(scenes, samples, strict=True)])
        relative = np.concatenate([each.relative[:, own] for each, own in zip(scenes, samples, strict=True)], 1)
        weight = np.concatenate([np.full(len(own), 1 / len(own)) for own in samples])
        count = int(np.clip(_NUMBERS // len(relative), *_CENTRES))
        start = features[random.permutation(len(features))[:count]]
        found = _centres(features, start)
        near = _kernel(found, features) * weight
        errors = near @ relative.T / near.sum(1, keepdims=True)
        return cls(found, errors, np.quantile(errors, _UNUSUAL, axis=0))

    def at(self, features: FloatArray) -> FloatArray:
        """Return what is usual (C, P) at features (P, d)."""
        parts = []
        for start in range(0, len(features), _AT_ONCE):
            near = _kernel(features[start : start + _AT_ONCE], self.centres)
            total = near.sum(1) + _FAR
            parts.append((self.errors.T @ near.T + _FAR * self.far[:, None]) / total)
        return np.concatenate(parts, 1)


@dataclass(frozen=True)
class Intervals:
    """Half-widths for the errors of a model, as its card stores them.

    Attributes
    ----------
    usual : UsualErrors
    factors : dict of str to float
        For each share, by how many times what is usual that share of the errors is not exceeded.
    calibration : dict
        What it was made of: ``dataset``, ``scenes``, and ``coverage``: for each share that of each scene left out.
    narrowing : dict of str to float
        For each share, by how many times half-widths are larger than the variance says where spots leave none of it:
        1.826 at most, where spots do not narrow them; empty where that was not calibrated.
    """

    usual: UsualErrors
    factors: dict[str, float]
    calibration: dict[str, Any]
    narrowing: dict[str, float] = field(default_factory=dict)

    def to_card(self) -> dict[str, Any]:
        """Return it as JSON has it: each row of numbers as one text, so that a card can still be read."""
        return {
            "format": FORMAT,
            **{key: _as_text(np.atleast_2d(values)) for key, values in asdict(self.usual).items()},
            "factors": self.factors,
            **({"narrowing": self.narrowing} if self.narrowing else {}),
            "calibration": self.calibration,
        }

    @classmethod
    def from_card(cls, stored: Mapping[str, Any]) -> Intervals:
        """Return what `to_card` stored; another format is an `InputError`."""
        if stored.get("format") != FORMAT:
            raise InputError(
                "the card's half-widths are of another version of finewave; finewave calibrate makes new ones"
            )
        centres, errors, far = (_as_array(stored[key]) for key in ("centres", "errors", "far"))
        return cls(
            UsualErrors(centres, errors, far[0]),
            dict(stored["factors"]),
            dict(stored["calibration"]),
            dict(stored.get("narrowing", {})),
        )

    @property
    def bands(self) -> int:
        """How many bands the model's output has."""
        return len(self.usual.far)

    def factor(self, share: float) -> float:
        """Return the factor of a share; one that is not stored is an `InputError`."""
        return self.factors[self._stored(share)]

    def narrowing_of(self, share: float) -> float:
        """Return the narrowing of a share; 1, by the variance alone, where it was not calibrated."""
        return self.narrowing.get(self._stored(share), 1.0)

    def _stored(self, share: float) -> str:
        for stored in self.factors:
            if abs(float(stored) - share) < 1e-9:
                return stored
        raise InputError(f"uncertainty={share:g}: the card has half-widths for {', '.join(self.factors)}")

    def half_width(self, image: Tensor, colours: Tensor, share: float, left: Tensor | None = None) -> Tensor:
        """Return half-widths (1, C, H, W) of the values of a result.

        Parameters
        ----------
        image : Tensor (1, C, H, W)
            The result.
        colours : Tensor (c, H, W)
            As the sensor sees it.
        share : float
            Of the errors that are no larger.
        left : Tensor (H, W), optional
            Part of the variance that measured spots leave.
        """
        import torch

        colours = colours.double()
        usual = self.usual.at(features_of(colours).flatten(1).T.numpy()).reshape(image.shape[1:])
        widths = self.factor(share) * usual * brightness_of(colours).numpy()
        result = torch.from_numpy(widths)[None].to(image)
        if left is None:
            return result
        narrower = narrowed(left.double().numpy(), self.narrowing_of(share))
        return result * torch.from_numpy(narrower).to(image)


def narrowed(left: FloatArray, narrowing: float) -> FloatArray:
    """Return how many times as wide half-widths are with spots, by the part of the variance that these leave."""
    return np.minimum(_shrinkage(left) * narrowing ** (1 - left), 1)


def _shrinkage(left: FloatArray) -> FloatArray:
    result: FloatArray = np.sqrt(_LEAST_LEFT + (1 - _LEAST_LEFT) * left)
    return result


def calibrated(scenes: Sequence[HeldOutErrors], dataset: str) -> Intervals:
    """Return intervals from the errors of scenes held out.

    Raises
    ------
    InputError
        There are fewer than three scenes.
    """
    if len(scenes) < 3:
        raise InputError(f"{len(scenes)} scenes were given; intervals need three that the model did not see, or more")
    ratios = ratios_left_out(scenes)
    factors = {f"{share:g}": float(f"{factor_for(ratios, share):.4g}") for share in SHARES}
    coverage = {
        share: {
            each.name: round(float((own.plain <= factor).mean()), 4) for each, own in zip(scenes, ratios, strict=True)
        }
        for share, factor in factors.items()
    }
    narrowing = {}
    if all(each.with_spots is not None for each in scenes):
        narrowing = {f"{share:g}": narrowing_for(ratios, factors[f"{share:g}"], share) for share in SHARES}
    facts = {"dataset": dataset, "scenes": [scene.name for scene in scenes], "coverage": coverage}
    return Intervals(UsualErrors.of(scenes), factors, facts, narrowing)


def coverage_by_others(scenes: Sequence[HeldOutErrors], share: float) -> dict[str, dict[str, float]]:
    """Return how often the half-widths of a share hold in each scene, calibrated by the other scenes alone.

    The judged scene has no part in what is usual, nor in factor and narrowing.

    Parameters
    ----------
    scenes : sequence of HeldOutErrors
        Three or more.
    share : float
        Of the errors.

    Returns
    -------
    dict
        For each scene ``plain``, the part of its errors within the half-widths; where it was corrected by spots, too,
        ``with_spots``, and ``width``: the mean of how many times as wide half-widths are with them.
    """
    found = {}
    for scene in scenes:
        others = [each for each in scenes if each is not scene]
        ratios, own = ratios_left_out(others, _INNER), _ratios(scene, UsualErrors.of(others))
        factor = factor_for(ratios, share)
        found[scene.name] = {"plain": _part_up_to(own.plain, factor)}
        if all(each.with_spots is not None for each in scenes) and own.left is not None:
            narrowing = narrowing_for(ratios, factor, share)
            found[scene.name] |= {
                "with_spots": _part_up_to(own.spot_levels(factor), np.log(narrowing)),
                "width": float(narrowed(own.left, narrowing).mean()),
            }
    return found


def coverage_of(intervals: Intervals, scenes: Sequence[HeldOutErrors], share: float) -> dict[str, dict[str, float]]:
    """Return what `coverage_by_others` does, of scenes that had no part in intervals."""
    factor, narrowing = intervals.factor(share), intervals.narrowing_of(share)
    found = {}
    for scene in scenes:
        own = _ratios(scene, intervals.usual)
        found[scene.name] = {"plain": _part_up_to(own.plain, factor)}
        if own.left is not None:
            found[scene.name] |= {
                "with_spots": _part_up_to(own.spot_levels(factor), np.log(narrowing)),
                "width": float(narrowed(own.left, narrowing).mean()),
            }
    return found


def ratios_left_out(scenes: Sequence[HeldOutErrors], groups: int | None = None) -> list[Ratios]:
    """Return each scene's errors by what is usual in the other scenes; or in those of the other groups, dealt in turn.

    Of many scenes groups take less time, and leave little less of what is usual.
    """
    count = min(groups or len(scenes), len(scenes))
    found: list[Ratios] = [Ratios(np.empty(0))] * len(scenes)
    for group in range(count):
        usual = UsualErrors.of([each for index, each in enumerate(scenes) if index % count != group])
        for index in range(group, len(scenes), count):
            found[index] = _ratios(scenes[index], usual)
    return found


def _ratios(scene: HeldOutErrors, usual: UsualErrors) -> Ratios:
    """Return the errors of a scene by what is usual."""
    plain = np.sort((scene.relative / usual.at(scene.features).clip(min=1e-9)).ravel())
    spots = scene.with_spots
    if spots is None:
        return Ratios(plain)
    return Ratios(plain, spots.relative / usual.at(spots.features).clip(min=1e-9), spots.left)


def factor_for(ratios: Sequence[Ratios], share: float) -> float:
    """Return the factor by which scenes left out are covered as often as stated on average.

    Of n scenes the next one is as likely as any to be the worst: (1 - share) / n is added, as in conformal prediction.
    """
    return _level([each.plain for each in ratios], share, 0.0, float(max(each.plain[-1] for each in ratios)))


def narrowing_for(ratios: Sequence[Ratios], factor: float, share: float) -> float:
    """Return the narrowing by which the same holds for scenes corrected by spots."""
    least, most = float(np.log(_LEAST_NARROWING)), float(np.log(_LARGEST_NARROWING))
    return float(f"{np.exp(_level([each.spot_levels(factor) for each in ratios], share, least, most)):.4g}")


def _level(values: Sequence[FloatArray], share: float, low: float, high: float) -> float:
    """Return the number from ``low`` to ``high`` that the wanted part of sorted values does not exceed, on average."""
    target = share + (1 - share) / len(values)
    for _ in range(40):
        middle = (low + high) / 2
        if np.mean([_part_up_to(each, middle) for each in values]) < target:
            low = middle
        else:
            high = middle
    return high


def _part_up_to(values: FloatArray, level: float) -> float:
    """Return which part of sorted values is no larger."""
    return float(np.searchsorted(values, level, side="right")) / len(values)


def _centres(features: FloatArray, start: FloatArray) -> FloatArray:
    """Return centres (K, d) of clusters of features, those that have pixels."""
    from scipy.cluster.vq import kmeans2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a centre of no pixel is left out below
        centres, labels = kmeans2(features, start, iter=8, minit="matrix", missing="warn")
    found: FloatArray = centres[np.unique(labels)]
    return found


def _kernel(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the weights (n, m) of features (m, d) around (n, d)."""
    squares = (a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)
    kernel: FloatArray = np.exp(-squares.clip(min=0) / (2 * _LENGTH**2))
    return kernel


def _as_text(rows: FloatArray) -> list[str]:
    return [" ".join(f"{value:.4g}" for value in row) for row in rows]


def _as_array(texts: Sequence[str]) -> FloatArray:
    return np.array([[float(value) for value in text.split()] for text in texts])
