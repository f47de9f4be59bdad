"""Options of SSC-HSR's training phases."""

from __future__ import annotations

from dataclasses import dataclass

from finewave.text.sections import option


@dataclass
class AlignedOptions:
    """Weights of the terms, files that a phase starts from, parts of the network that do not learn in it."""

    losses: dict[str, float] = option(least=0)
    part: str | None = option(required=False)
    estimates: bool = option(required=False)
    pretrained: dict[str, str | None] = option(required=False)
    freeze: list[str] = option(required=False)
