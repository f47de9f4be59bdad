"""All metrics of a prediction, in one convention."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real

from torch import Tensor

from finewave.errors import InputError
from finewave.metrics.cc import cc
from finewave.metrics.conventions import Convention, get_convention
from finewave.metrics.description import METRICS
from finewave.metrics.ergas import dark_bands, ergas
from finewave.metrics.images import Image, image_pairs
from finewave.metrics.psnr import psnr
from finewave.metrics.rmse import rmse
from finewave.metrics.sam import sam, zero_spectra
from finewave.metrics.ssim import ssim
from finewave.warnings import FinewaveWarning


@dataclass(frozen=True)
class Scores:
    """Metrics of one image, and counts of what was excluded.

    Parameters
    ----------
    values : dict of str to float
        By the names of `METRICS`.
    nodata_pixels : int
        Pixels that are nan in either image; left out of every metric.
    zero_spectra : int
        Pixels whose spectrum has a norm below 1e-8 in either image; left out of SAM where the convention
        skips them.
    dark_bands : int
        Bands whose target mean is below 1e-8; left out of ERGAS.
    """

    values: dict[str, float]
    nodata_pixels: int
    zero_spectra: int
    dark_bands: int

    @property
    def left_out(self) -> dict[str, int]:
        """The three counts, by name."""
        return {
            "nodata_pixels": self.nodata_pixels,
            "zero_spectra": self.zero_spectra,
            "dark_bands": self.dark_bands,
        }


def evaluate(
    pred: Image,
    target: Image,
    scale: float = 4,
    *,
    data_range: float = 1.0,
    convention: str | Convention = "finewave",
) -> dict[str, float]:
    """Compare a prediction with its reference.

    Parameters
    ----------
    pred, target : (B, C, H, W) or (C, H, W) float tensor or array, or scene (band, y, x)
        Values in [0, `data_range`]; clipped only in the convention ``"mulsr"``. Computed in float64, a few bands at a
        time.
    scale : float, optional
        Sampling factor between the high and the low resolution, for ``ergas``.
    data_range : float, optional
        The peak of PSNR and the range of SSIM.
    convention : str or Convention, optional
        ``"finewave"``, or the name of a system whose tables are compared with: see
        `finewave.metrics.conventions`.

    Returns
    -------
    dict of str to float
        ``psnr`` (dB; of all bands together, per band in the conventions ``"sspsr"`` and ``"ssc-hsr"``),
        ``psnr_band`` (dB, mean of the bands' values), ``ssim``, ``sam`` (degrees), ``ergas`` (ratio = scale;
        in ``"jssunet"`` 4, and the prediction's means), ``ergas_4`` (always ratio 4 and the target's means),
        ``rmse``, ``cc``. Of a batch, the mean over its images. PSNR of identical images is ``inf``; a metric
        that is not defined is ``nan`` (SSIM of an image smaller than its window of 11 or 7 pixels).

    Raises
    ------
    InputError
        If shapes or wavelengths differ, dimensions are wrong, values are integers or infinite, or no pixel
        has data.

    Warns
    -----
    FinewaveWarning
        If pixels are nan (left out of every metric), spectra have no direction (left out of SAM), bands are
        dark (left out of ERGAS), or the image is too small for SSIM.
    """
    scores = list(score_images(pred, target, scale, data_range=data_range, convention=convention))
    _warn_of_gaps(scores)
    return mean_values([one.values for one in scores])


def score_images(
    pred: Image,
    target: Image,
    scale: float = 4,
    *,
    data_range: float = 1.0,
    convention: str | Convention = "finewave",
) -> Iterator[Scores]:
    """Yield the metrics of each image, with counts of what was excluded; see `evaluate`.

    Parameters
    ----------
    pred, target, scale, data_range, convention
        As in `evaluate`.

    Yields
    ------
    Scores
    """
    selected = convention if isinstance(convention, Convention) else get_convention(convention)
    for name, value in (("scale", scale), ("data_range", data_range)):
        if not isinstance(value, Real) or not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be a positive number, got {value!r}")
    for pred_image, target_image, valid in image_pairs(pred, target):
        yield _score(pred_image, target_image, valid, scale, data_range, selected)


def mean_values(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each metric over images, leaving out those where it is not defined (nan).

    Parameters
    ----------
    rows : list of dict
        One image each, by the names of `METRICS`.

    Returns
    -------
    dict of str to float
        ``nan`` where no image has a value.
    """
    means = {}
    for name in METRICS:
        defined = [row[name] for row in rows if not math.isnan(row[name])]
        means[name] = sum(defined) / len(defined) if defined else math.nan
    return means


def _score(
    pred: Tensor,
    target: Tensor,
    valid: Tensor | None,
    scale: float,
    data_range: float,
    convention: Convention,
) -> Scores:
    """Metrics of one image."""
    if convention.clip:
        pred, target = pred.clamp(0.0, data_range), target.clamp(0.0, data_range)
    psnr_band = psnr(pred, target, data_range=data_range, per_band=True, valid=valid)
    psnr_global = psnr(pred, target, data_range=data_range, valid=valid)
    values = {
        "psnr": psnr_band if convention.psnr == "band" else psnr_global,
        "psnr_band": psnr_band,
        "ssim": ssim(pred, target, data_range=data_range, variant=convention.ssim, valid=valid),
        "sam": sam(pred, target, zeros=convention.sam_zeros, valid=valid),
        "ergas": ergas(
            pred,
            target,
            convention.ergas_ratio or scale,
            mean_of_prediction=convention.ergas_mean_of_prediction,
            valid=valid,
        ),
        "ergas_4": ergas(pred, target, 4.0, valid=valid),
        "rmse": rmse(pred, target, valid=valid),
        "cc": cc(pred, target, valid=valid),
    }
    return Scores(
        values=values,
        nodata_pixels=0 if valid is None else int((~valid).sum()),
        zero_spectra=zero_spectra(pred, target, valid=valid),
        dark_bands=int(dark_bands(target, valid=valid).sum()),
    )


def _warn_of_gaps(scores: list[Scores]) -> None:
    """Warn about what was excluded."""
    totals = {name: sum(one.left_out[name] for one in scores) for name in scores[0].left_out}
    reasons = {
        "nodata_pixels": "pixels are nan in a band of the prediction or the target; left out of every metric "
        "(fill them to have them count)",
        "zero_spectra": "pixels have a spectrum of zeros in the prediction or the target; they have no SAM "
        "(another convention= may count them)",
        "dark_bands": "bands have a target mean of zero; left out of ERGAS "
        "(remove them from both images if they were not measured)",
    }
    for name, count in totals.items():
        if count:
            warnings.warn(f"{count} {reasons[name]}", FinewaveWarning, stacklevel=3)
    if any(math.isnan(one.values["ssim"]) for one in scores):
        warnings.warn(
            "no window of SSIM fits into the image; its SSIM is nan; take images of 11 x 11 pixels or more",
            FinewaveWarning,
            stacklevel=3,
        )
