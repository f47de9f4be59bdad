"""Training objectives of a phase, independent of the trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from finewave.errors import InputError, unknown_name
from finewave.systems.base import SRNetwork

Batch = Mapping[str, Tensor]
"""Images by name, (B, bands, rows, columns), and the sensor's ``response`` (c, C)."""


class Loss(NamedTuple):
    """The loss to minimise, and values to be logged by name."""

    total: Tensor
    logged: dict[str, Tensor]


class Objective:
    """The trained parameters, the loss and the validated images of a phase.

    Parameters
    ----------
    net : SRNetwork
        ``requires_grad`` of its parameters is set here. Later calls receive the network to use: the trained one, or the
        running average of its weights.
    options : mapping
        The recipe's section of the phase.

    Raises
    ------
    InputError
        If the network has no such phase, or an option does not fit it.
    """

    def __init__(self, net: SRNetwork, options: Mapping[str, Any]) -> None:
        self.options = options

    def loss(self, net: Any, batch: Batch, done: float) -> Loss:
        """Return the loss of a batch; ``done`` is the part of the phase that is done, 0 to 1."""
        raise NotImplementedError  # defined by every objective

    def compared(self, net: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return an estimate and its truth, for validation: the output and the HR-HSI."""
        return net(**{name: batch[name] for name in net.inputs}), batch["hr_hsi"]

    def scale(self, net: SRNetwork) -> int:
        """Return the scale by which ERGAS is measured in validation."""
        return net.scale


def weighted_sum(weights: Mapping[str, float], terms: Mapping[str, Tensor]) -> Loss:
    """Return the sum of terms with the recipe's weights; terms of weight 0 are ignored.

    Raises
    ------
    InputError
        If a weight names an unknown term, or all weights are 0.
    """
    for name in weights:
        if name not in terms:
            raise unknown_name("loss", name, terms)
    counted = {name: weight for name, weight in weights.items() if weight}
    if not counted:
        raise InputError("a phase needs losses with a weight other than 0")
    total = sum(weight * terms[name] for name, weight in counted.items())
    assert isinstance(total, Tensor)
    return Loss(total, {f"loss_{name}": terms[name].detach() for name in counted})
