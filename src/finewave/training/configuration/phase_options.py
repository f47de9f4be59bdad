"""Options of a phase; a network's `phase_options` add those of its own kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finewave.errors import InputError
from finewave.text.sections import Section, option
from finewave.training.configuration.recipe_options import CropOptions
from finewave.training.schedules import SCHEDULES

OPTIMISERS = ("adam", "adamw")
OUTPUT_STARTS = ("least-squares",)
PRECISIONS = ("auto", "float32")


@dataclass
class PhaseOptions:
    """Options of every kind of phase."""

    kind: str = option()
    steps: int = option(least=1)
    epochs: float | None = option(required=False, above=0)
    minutes: float | None = option(above=0)
    validate_every: int = option(least=1)
    optimizer: str = option(required=False, choices=OPTIMISERS)
    betas: list[float] = option(required=False, least=0, below=1, length=2)
    weight_decay: float = option(required=False, least=0)
    learning_rate: float = option(least=0)
    schedule: str = option(choices=SCHEDULES)
    warmup: float = option(least=0, most=1)
    floor: float = option(least=0, most=1)
    milestones: list[float] = option(required=False, least=0, most=1)
    decay: float = option(required=False, above=0)
    power: float = option(required=False, above=0)
    clip: float = option(least=0)
    ema: float = option(least=0, below=1)
    checkpoint: str | None = option(required=False)
    compile: bool = option(required=False)
    precision: str | None = option(required=False, choices=PRECISIONS)
    data: CropOptions | None = option(required=False, partial=True)


@dataclass
class SupervisedOptions(Section):
    """Additional options of `finewave.training.supervised.Supervised`."""

    losses: dict[str, float] = option(least=0)
    part: str | None = option()
    estimates: bool = option()
    output_start: str | None = option(required=False, choices=OUTPUT_STARTS)

    @staticmethod
    def check(values: Mapping[str, Any], prefix: str) -> None:
        """Raise an error for a phase that trains nothing."""
        if not any(values["losses"].values()):
            raise InputError(f"{prefix}losses={values['losses']}; at least one needs a weight other than 0")
