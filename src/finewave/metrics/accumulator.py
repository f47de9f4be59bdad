"""Metrics of a test set, accumulated image by image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finewave.errors import InputError
from finewave.metrics.conventions import get_convention
from finewave.metrics.description import METRICS
from finewave.metrics.evaluate_images import Scores, mean_values, score_images
from finewave.metrics.images import Image


@dataclass(frozen=True)
class Summary:
    """Metrics of a test set.

    Parameters
    ----------
    means : dict of str to float
        Mean over images of each metric; images where it is not defined (nan) are left out of its mean.
    names : tuple of str
        One per image, in order of addition.
    scores : tuple of Scores
        One per image.
    scale : float
        Sampling factor.
    convention : str
        Name of the convention.
    data_range : float
        Peak and range.
    """

    means: dict[str, float]
    names: tuple[str, ...]
    scores: tuple[Scores, ...]
    scale: float
    convention: str
    data_range: float

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict per image: its ``name``, metrics, and counts of excluded pixels and bands."""
        return [{"name": name, **one.values, **one.left_out} for name, one in zip(self.names, self.scores, strict=True)]

    @property
    def by_image(self) -> dict[str, dict[str, float]]:
        """Metrics of each image by its name."""
        return {name: dict(one.values) for name, one in zip(self.names, self.scores, strict=True)}

    @property
    def left_out(self) -> dict[str, int]:
        """Totals over all images of pixels without data, zero spectra and dark bands."""
        return {key: sum(one.left_out[key] for one in self.scores) for key in self.scores[0].left_out}

    @property
    def undefined(self) -> dict[str, int]:
        """For each metric, the number of images where it is nan."""
        return {metric: sum(math.isnan(one.values[metric]) for one in self.scores) for metric in METRICS}


class MetricAccumulator:
    """Metrics of images given one by one or in batches; only numbers are stored, no images.

    Parameters
    ----------
    scale : float, optional
        Sampling factor, for ``ergas``.
    convention : str, optional
        See `finewave.metrics.conventions`.
    data_range : float, optional
        The peak of PSNR and the range of SSIM.

    Raises
    ------
    InputError
        If there is no such convention.

    Examples
    --------
    >>> import torch
    >>> accumulator = MetricAccumulator(scale=4)
    >>> target = torch.rand(2, 31, 16, 16)
    >>> accumulator.update(target + 0.1, target, names=["cloth", "beads"])
    >>> round(accumulator.compute().means["psnr"], 3)
    20.0
    """

    def __init__(self, scale: float = 4, convention: str = "finewave", data_range: float = 1.0) -> None:
        get_convention(convention)
        self.scale, self.convention, self.data_range = scale, convention, data_range
        self._names: list[str] = []
        self._scores: list[Scores] = []

    def __len__(self) -> int:
        return len(self._scores)

    def update(self, pred: Image, target: Image, names: str | Sequence[str] | None = None) -> None:
        """Add an image or a batch.

        Parameters
        ----------
        pred, target : (B, C, H, W) or (C, H, W) float tensor or array, or scene (band, y, x)
            See `finewave.metrics.evaluate`.
        names : str or sequence of str, optional
            One per image; numbers by default.

        Raises
        ------
        InputError
            If the images cannot be compared, or there is not one name per image.
        """
        new = list(score_images(pred, target, self.scale, data_range=self.data_range, convention=self.convention))
        if names is None:
            names = [str(len(self) + position) for position in range(len(new))]
        names = [names] if isinstance(names, str) else list(names)
        if len(names) != len(new):
            raise InputError(f"{len(new)} images but {len(names)} names ({', '.join(names)})")
        self._names += names
        self._scores += new

    def compute(self) -> Summary:
        """Return the means over all images so far, and their rows.

        Returns
        -------
        Summary

        Raises
        ------
        InputError
            If no image was added.
        """
        if not self._scores:
            raise InputError("no image was evaluated; add some with update() first")
        return Summary(
            means=mean_values([one.values for one in self._scores]),
            names=tuple(self._names),
            scores=tuple(self._scores),
            scale=self.scale,
            convention=self.convention,
            data_range=self.data_range,
        )

    def reset(self) -> None:
        """Remove all images."""
        self._names.clear()
        self._scores.clear()
