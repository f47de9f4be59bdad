"""The one loop of predicting and scoring: of `evaluate_model`, of studies, and of the validation in training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import Tensor

from finewave.metrics import MetricAccumulator, Summary

Names = str | Sequence[str]
"""Of a batch's images."""


class Scorer:
    """Metrics of a model on images given one by one or in batches.

    Parameters
    ----------
    compared : callable
        Of a batch, images by name (B, bands, rows, columns), returns estimate and truth (B, C, H, W).
    scale : int
        s, for ERGAS.
    convention : str
        See `finewave.metrics.conventions`.
    """

    def __init__(
        self,
        compared: Callable[[Mapping[str, Tensor]], tuple[Tensor, Tensor]],
        scale: int,
        convention: str = "finewave",
    ) -> None:
        self._compared = compared
        self._metrics = MetricAccumulator(scale, convention)

    def add(self, batch: Mapping[str, Tensor], names: Names | None = None) -> None:
        """Predict and score a batch; ``names`` are one an image, by default their number."""
        self._metrics.update(*self._compared(batch), names=names)

    def over(
        self, batches: Iterable[tuple[Names, Mapping[str, Tensor]]], done: Callable[[Names], None] = lambda names: None
    ) -> Summary:
        """Predict and score batches with their names, call ``done`` after each, and return the summary."""
        for names, batch in batches:
            self.add(batch, names)
            done(names)
        return self.summary()

    def summary(self) -> Summary:
        """Return the metrics so far; without an image an `InputError`."""
        return self._metrics.compute()
