"""Training length of a study: as published, or a part of it."""

from __future__ import annotations

import copy
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from finewave.errors import InputError
from finewave.studies.training_flops import flops_of_training
from finewave.training.configuration.recipes import phase_data

VALIDATIONS = 4
"""Validations in a shortened phase: validation on whole scenes takes long."""


@dataclass(frozen=True)
class Budget:
    """A length of training, applied to a recipe.

    Parameters
    ----------
    kind : {"published", "fraction", "steps", "pixels", "flops"}
        As in the recipe; a fraction of it; steps of the first phase; HR pixels seen in the first phase; or FLOPs of all
        phases together. All phases are scaled by one factor.
    value : float
        Part, steps, pixels or FLOPs.
    """

    kind: Literal["published", "fraction", "steps", "pixels", "flops"]
    value: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``published``, ``0.05`` or ``5%``, ``800`` or ``800steps``, ``2e7px``, ``5e13flop``.

        Raises
        ------
        InputError
            If it is none of these, or not positive, or a fraction above 1.
        """
        normalised = text.strip().lower()
        if normalised == "published":
            return cls("published")
        match = re.fullmatch(r"(\d+(?:\.\d*)?(?:e\+?\d+)?|\.\d+)\s*(%|px|pixels|steps|flops?)?", normalised)
        if match is None:
            raise _refused(text)
        value, unit = float(match[1]), match[2]
        if unit in ("px", "pixels"):
            budget = cls("pixels", value)
        elif unit in ("flop", "flops"):
            budget = cls("flops", value)
        elif unit == "steps" or (unit is None and match[1].isdigit()):
            if value != int(value):
                raise _refused(text)
            budget = cls("steps", value)
        else:
            budget = cls("fraction", value / 100 if unit == "%" else value)
        if budget.value <= 0 or (budget.kind == "fraction" and budget.value > 1):
            raise _refused(text)
        return budget

    def factor(self, recipe: dict[str, Any]) -> float:
        """Return the factor on the number of steps of every phase."""
        first = recipe["phase1"]["steps"]
        if self.kind == "steps":
            return self.value / first
        if self.kind == "pixels":
            return self.value / (first * pixels_per_step(recipe))
        if self.kind == "flops":
            return self.value / flops_of_training(recipe)
        return self.value if self.kind == "fraction" else 1.0

    def apply(self, recipe: dict[str, Any]) -> dict[str, Any]:
        """Return a copy of a recipe with phases of this length; schedules are parts of a phase and keep their shape."""
        changed = copy.deepcopy(recipe)
        if self.kind == "published":
            return changed
        factor = self.factor(recipe)
        for key, phase in changed.items():
            if key.startswith("phase"):
                validations = min(VALIDATIONS, max(1, phase["steps"] // phase["validate_every"]))
                phase["steps"] = max(1, round(phase["steps"] * factor))
                phase["validate_every"] = math.ceil(phase["steps"] / validations)
                phase["minutes"] = None
                if phase.get("epochs") is not None:
                    phase["epochs"] = phase["epochs"] * factor if self.kind == "fraction" else None
        return changed

    def __str__(self) -> str:
        """Return a description for table notes."""
        if self.kind == "published":
            return "as long as the recipe says"
        if self.kind == "fraction":
            return f"{100 * self.value:g} % of the recipe's steps"
        if self.kind == "steps":
            return f"{self.value:.0f} steps"
        if self.kind == "flops":
            return f"{self.value:g} FLOPs of forward and backward passes"
        return f"{self.value:g} HR pixels seen"


def pixels_per_step(recipe: dict[str, Any]) -> int:
    """Return the HR pixels in a batch of the first phase."""
    data = phase_data(recipe, recipe["phase1"])
    return data["batch_size"] * data["crop"] ** 2


def _refused(text: str) -> InputError:
    return InputError(
        f"budget {text!r} is none of: published, a fraction up to 1 such as 0.05 or 5%, steps such as 800, HR pixels "
        "seen such as 2e7px, FLOPs such as 5e13flop"
    )
