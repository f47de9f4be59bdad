"""Options of JSSUNet's training phases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finewave.errors import InputError
from finewave.text.sections import Section, option


@dataclass
class PostOptions:
    """Of the phase in which the post-processing alone learns."""

    spectral_angle: float = option(least=0)
    squared: float = option(least=0)


@dataclass
class UnfoldingOptions(PostOptions, Section):
    """Of the phase of the three branches: the weights of eq. (6), each row from a part of the run on."""

    stage_weights: list[list[float]] = option(least=0, length=4)
    cluster_balance: float = option(least=0)

    @staticmethod
    def check(values: Mapping[str, Any], prefix: str) -> None:
        """Raise an error if a part of the run has no weights."""
        starts = [row[0] for row in values["stage_weights"]]
        if starts[:1] != [0] or max(starts) > 1:
            raise InputError(
                f"{prefix}stage_weights={values['stage_weights']}; rows begin with the part of the run from which they "
                "hold, 0 for the first, 1 at most"
            )
