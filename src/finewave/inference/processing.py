"""Optional processing around the network: eight orientations, projection on the inputs, clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finewave.calibration.anchor_correction import AnchorCorrection
    from finewave.inference.half_widths import HalfWidths
    from finewave.inference.options import PredictOptions
    from finewave.physics.inversion.damped_projection import DampedProjection
    from finewave.physics.inversion.projection import Projection
    from finewave.zoo.runnable import RunnableModel


@dataclass(frozen=True)
class Processing:
    """Processing that changes a result beyond the network's output.

    Attributes
    ----------
    projection : Projection, DampedProjection or None
        Projection on the images consistent with the inputs.
    ensemble : bool
        The mean over the eight orientations.
    spread : bool
        Their standard deviation, too.
    clip : (float, float) or None
        Range to which values are cut, last of all.
    bands : tuple of int or None
        Bands of the output that are kept; None for all.
    anchors : AnchorCorrection or None
        By spectra measured in the scene, before the projection.
    intervals : HalfWidths or None
        What makes half-widths for the errors.
    """

    projection: Projection | DampedProjection | None = None
    ensemble: bool = False
    spread: bool = False
    clip: tuple[float, float] | None = None
    bands: tuple[int, ...] | None = None
    anchors: AnchorCorrection | None = None
    intervals: HalfWidths | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the network's output is at most cut to bands and a range, which needs no PyTorch."""
        return self.projection is None and self.anchors is None and self.intervals is None and not self.ensemble

    @property
    def makes_second(self) -> bool:
        """Whether an image beside the result is made: the spread or half-widths."""
        return self.spread or self.intervals is not None

    @property
    def reach(self) -> int:
        """Distance in pixels of the first input up to which the network's output acts on the result."""
        return 0 if self.projection is None else self.projection.reach

    def identity(self) -> dict[str, Any]:
        """Return the options that affect the values."""
        return {
            "consistent": None if self.projection is None else self.projection.kind,
            "self_ensemble": self.ensemble,
            "spread": self.spread,
            "uncertainty": None if self.intervals is None else self.intervals.share,
            "clip": self.clip,
            **({} if self.bands is None else {"output bands": self.bands}),
            **({} if self.anchors is None else {"anchors": self.anchors.identity()}),
        }


PLAIN = Processing()
"""No processing."""


def choose_processing(
    model: RunnableModel, options: PredictOptions, kept_bands: tuple[int, ...] | None = None
) -> Processing:
    """Return the processing that options ask for, and the bands of the output to keep.

    Raises
    ------
    InputError
        If the model's results cannot be made consistent, or its card has no half-widths for errors.
    """
    if options.share is not None:
        from finewave.inference.half_widths import half_widths_of
    if options.consistent:
        from finewave.zoo.observation_model import projection_of

    if options.self_ensemble or options.spread:
        model.in_pytorch("--self-ensemble and --spread (self_ensemble=, spread=)")
    clip = options.clip
    return Processing(
        projection_of(model.in_pytorch("--consistent (consistent=)"), options.consistency.get("blur"))
        if options.consistent
        else None,
        options.self_ensemble or options.spread,
        options.spread,
        None if clip is None else (float(clip[0]), float(clip[1])),
        kept_bands,
        intervals=None
        if options.share is None
        else half_widths_of(model.in_pytorch("--uncertainty (uncertainty=)"), options.share),
    )
