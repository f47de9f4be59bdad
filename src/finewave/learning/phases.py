"""The kinds of training phases, by the name that a recipe gives as ``phaseN.kind``."""

from __future__ import annotations

from collections.abc import Callable

from finewave.learning.alignment import FlowPhase, GuidedPhase, WarpPhase
from finewave.learning.modules import Phase, PostProcessingPhase, UnfoldingPhase
from finewave.learning.supervised import SupervisedPhase

PHASES: dict[str, Callable[..., Phase]] = {
    "supervised": SupervisedPhase,
    "unfolding": UnfoldingPhase,
    "post": PostProcessingPhase,
    "flow": FlowPhase,
    "warp": WarpPhase,
    "guided": GuidedPhase,
}
