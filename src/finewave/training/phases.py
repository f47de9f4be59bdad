"""The kinds of training phases, by the name that a recipe gives as ``phaseN.kind``."""

from __future__ import annotations

from collections.abc import Callable

from finewave.training.alignment import FlowPhase, GuidedPhase, WarpPhase
from finewave.training.modules import Phase, PostProcessingPhase, UnfoldingPhase
from finewave.training.supervised import SupervisedPhase

PHASES: dict[str, Callable[..., Phase]] = {
    "supervised": SupervisedPhase,
    "unfolding": UnfoldingPhase,
    "post": PostProcessingPhase,
    "flow": FlowPhase,
    "warp": WarpPhase,
    "guided": GuidedPhase,
}
