"""A result set right by spectra that were measured on the ground: a gain from panels, then errors kriged from spots."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from finewave.calibration.residual_kriging import (
    FLOOR,
    OF_DARK_PIXELS,
    ErrorModel,
    FloatArray,
    ResidualKriging,
    brightness_of,
    features_of,
    fewness_of,
)

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_GAIN = 4.0
"""Of a band, and its inverse the smallest: beyond, panel and image do not belong together."""
DARK = 0.065
"""Brightness (full scale 1) at which the two models of errors count alike. Of 0.05 to 0.08 it was settled after looks
at CAVE's validation scenes, too."""
FEW_IN_THE_DARK = 10.0
"""The share of the dark pixels' model is divided by 1 + this times `fewness_of`."""
_AT_ONCE = 1 << 16  # pixels, so that distances to the spots stay small beside the image


@dataclass(frozen=True)
class AnchorCorrection:
    """What is done to each pixel of a result.

    Attributes
    ----------
    colour : ndarray (c, C)
        Weights of the bands in the image whose colour errors go by: the sensor's response.
    side : int
        Larger side of the scene in pixels of the result.
    gain : ndarray (C,) or None
        By which bands are multiplied first.
    kriging : ResidualKriging or None
        Errors that are added then.
    in_the_dark : ResidualKriging or None
        Errors that are added instead the more, the darker a pixel is below `DARK`.
    dark_share : float
        At most how much of them, 0 to 1.
    """

    colour: FloatArray
    side: int
    gain: FloatArray | None = None
    kriging: ResidualKriging | None = None
    in_the_dark: ResidualKriging | None = None
    dark_share: float = 1.0

    def __call__(self, image: Tensor, row: int = 0, column: int = 0) -> Tensor:
        """Return an image (1, C, H, W) corrected; its first pixel is at ``row``, ``column`` of the result."""
        import torch

        from finewave.physics.sensors import apply_response

        if self.gain is not None:
            image = image * torch.from_numpy(self.gain).to(image)[:, None, None]
        if self.kriging is None:
            return image
        colours = apply_response(self.colour, image)[0]
        _, bands, height, width = image.shape
        features = features_of(colours).flatten(1).T
        places = self._places(image, row, column)
        brightness = brightness_of(colours).flatten()
        result = image[0].flatten(1).clone()
        for start in range(0, height * width, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            errors, _ = self._errors(features[part], places[part], brightness[part])
            before = result[:, part]
            after = before + errors * brightness[part]
            result[:, part] = torch.maximum(after, before.clamp(max=0))  # no value is made negative
        return result.reshape(1, bands, height, width)

    def variance_left(self, image: Tensor, row: int = 0, column: int = 0) -> Tensor:
        """Return the part of the errors' variance (H, W) that the spots leave, 1 far from all of them."""
        import torch

        from finewave.physics.sensors import apply_response

        _, _, height, width = image.shape
        if self.kriging is None:
            return torch.ones(height, width)
        colours = apply_response(self.colour, image)[0]
        features = features_of(colours).flatten(1).T
        places = self._places(image, row, column)
        brightness = brightness_of(colours).flatten()
        starts = range(0, height * width, _AT_ONCE)
        parts = [slice(start, start + _AT_ONCE) for start in starts]
        left = [self._errors(features[part], places[part], brightness[part])[1] for part in parts]
        return torch.cat(left).reshape(height, width)

    def _errors(self, features: Tensor, places: Tensor, brightness: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `ResidualKriging` does, by the brightness (P,) of pixels between two of them."""
        assert self.kriging is not None
        errors, left = self.kriging(features, places)
        if self.in_the_dark is None:
            return errors, left
        dark_errors, dark_left = self.in_the_dark(features, places)
        weight = self.dark_share / (1 + ((brightness - FLOOR) / DARK) ** 2)
        return errors + (dark_errors - errors) * weight, left + (dark_left - left) * weight

    def _places(self, image: Tensor, row: int, column: int) -> Tensor:
        import torch

        rows = (torch.arange(image.shape[2]) + row + 0.5) / self.side
        columns = (torch.arange(image.shape[3]) + column + 0.5) / self.side
        return torch.cartesian_prod(rows, columns).to(image)

    def identity(self) -> str:
        """Return a text that changes with the correction."""
        solved = [each for each in (self.kriging, self.in_the_dark) if each is not None]
        digest = hashlib.sha256(repr((self.side, self.dark_share, [each.model for each in solved])).encode())
        arrays = [self.colour, self.gain]
        for each in solved:
            arrays += [each.features, each.places, each.weights]
        for values in arrays:
            digest.update(b"-" if values is None else np.ascontiguousarray(values, np.float64).tobytes())
        return digest.hexdigest()


def gain_of(known: FloatArray, predicted: FloatArray, doubt: FloatArray | None = None) -> FloatArray:
    """Return the gain of each band from panels, known and predicted (n, C): least squares through nothing.

    Bounded by `LARGEST_GAIN`; 1 in a band of which nothing is known. A panel counts by one over its ``doubt`` (n,).
    """
    usable = np.isfinite(known) & np.isfinite(predicted)
    weight = 1.0 if doubt is None else 1 / doubt[:, None]
    products = np.where(usable, weight * known * predicted, 0).sum(0)
    squares = np.where(usable, weight * predicted**2, 0).sum(0)
    gain = np.divide(products, squares, out=np.ones(known.shape[1]), where=squares > 0)
    return gain.clip(1 / LARGEST_GAIN, LARGEST_GAIN)


def as_bright_as(measured: FloatArray, predicted: FloatArray, colour: FloatArray) -> FloatArray:
    """Return measured spectra (n, C), each multiplied so that a sensor sees it as bright as the result there.

    How bright a spot is, the image shows; a measured spectrum is brighter or darker by its light, its angle, and what
    else lies in its spot. Least squares over the sensor's bands ``colour`` (c, C), of the bands that were measured;
    bounded by `LARGEST_GAIN`.
    """
    known = np.isfinite(measured)
    seen, shown = (np.where(known, spectra, 0.0) @ colour.T for spectra in (measured, predicted))
    squares = np.square(seen).sum(1)
    times = np.divide((seen * shown).sum(1), squares, out=np.ones(len(measured)), where=squares > 0)
    scaled: FloatArray = measured * times.clip(1 / LARGEST_GAIN, LARGEST_GAIN)[:, None]
    return scaled


def fit_correction(
    measured: FloatArray,
    predicted: FloatArray,
    colour: FloatArray,
    places: FloatArray,
    side: int,
    *,
    panels: FloatArray | None = None,
    doubt: FloatArray | None = None,
    start: ErrorModel | None = None,
    dark_start: ErrorModel | None = None,
) -> AnchorCorrection:
    """Return the correction that spots ask for.

    Parameters
    ----------
    measured, predicted : ndarray (n, C)
        Spectra on the bands of the result; NaN in bands that are not measured.
    colour : ndarray (c, C)
        See `AnchorCorrection`.
    places : ndarray (n, 2)
        Row and column of the spots' centres, in pixels of the result.
    side : int
        Larger side of the scene, likewise.
    panels : bool ndarray (n,), optional
        Which spots are targets of known reflectance: they set the gain of each band, the others what remains.
    doubt : ndarray (n,), optional
        See `ResidualKriging.fit`.
    start, dark_start : ErrorModel, optional
        Likewise, of pixels as they are, and of dark ones.
    """
    import torch

    panels = np.zeros(len(measured), bool) if panels is None else panels
    doubt = np.ones(len(measured)) if doubt is None else doubt
    gain = None
    if panels.any():
        gain = gain_of(measured[panels], predicted[panels], doubt[panels])
        predicted = predicted * gain
    rest = np.logical_not(panels)
    if not rest.any():
        return AnchorCorrection(colour, side, gain)
    colours = torch.from_numpy(colour @ predicted[rest].T)[:, :, None]  # (c, n, 1): an image of the spots
    features = features_of(colours)[:, :, 0].T.numpy()
    brightness = brightness_of(colours)[:, 0].numpy()
    errors = (as_bright_as(measured[rest], predicted[rest], colour) - predicted[rest]) / brightness[:, None]

    def solved(model: ErrorModel) -> ResidualKriging:
        noisier = doubt[rest] * (1 + model.dark / brightness)
        return ResidualKriging.fit(features, places[rest] / side, errors, start=model, doubt=noisier)

    usual, in_the_dark = solved(start or ErrorModel()), solved(dark_start or OF_DARK_PIXELS)
    dark_share = 1 / (1 + FEW_IN_THE_DARK * fewness_of(features))
    return AnchorCorrection(colour, side, gain, usual, in_the_dark, dark_share)
