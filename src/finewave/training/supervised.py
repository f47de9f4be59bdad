"""The objective of every system that learns from pairs of input and target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from finewave.errors import unknown_name
from finewave.nn.losses import LOSSES
from finewave.systems.base import SRNetwork
from finewave.systems.objective import Batch, Loss, Objective, weighted_sum


class Supervised(Objective):
    """Inputs by name from the batch, the sum of the recipe's weighted losses, any system.

    The loss is the sum of ``losses``, a mapping of names to weights. A name is one of the network's own terms
    (`SRNetwork.training_loss`) or one of `LOSSES` between output and target.

    A composition (`finewave.systems.compositions.networks`) is trained part by part: ``part`` names the part, whose
    images are those at its position in the composition, estimated by the preceding parts if ``estimates`` is true.

    Raises
    ------
    InputError
        If ``part`` or a loss does not exist.
    """

    def __init__(self, net: SRNetwork, options: Mapping[str, Any]) -> None:
        super().__init__(net, options)
        self.part: str | None = options.get("part")
        if self.part is not None:
            if self.part not in net.parts:
                raise unknown_name("part of the network", self.part, net.parts)
            net.requires_grad_(False)
            net.part(self.part).requires_grad_(True)

    def learner(self, net: Any) -> SRNetwork:
        """Return the trained module of ``net``: itself, or the part."""
        return net if self.part is None else net.part(self.part)

    def scale(self, net: SRNetwork) -> int:
        """Return the learner's."""
        return self.learner(net).scale

    def loss(self, net: Any, batch: Batch, done: float) -> Loss:
        """Return the weighted sum of the network's own terms and of `LOSSES`."""
        learner, images = self.learner(net), self._images(net, batch)
        output, terms = learner.training_loss(images, done)
        if output is not None:
            more = (name for name, weight in self.options["losses"].items() if weight and name in LOSSES)
            terms = {name: LOSSES[name](output, images[learner.output]) for name in more if name not in terms} | terms
        weights = {name: weight for name, weight in self.options["losses"].items() if weight}
        for name in weights:
            if name not in terms:
                raise unknown_name("loss", name, {*terms, *(LOSSES if output is not None else ())})
        return weighted_sum(weights, terms)

    def compared(self, net: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the learner's output and its target."""
        learner, images = self.learner(net), self._images(net, batch)
        return learner(**{name: images[name] for name in learner.inputs}), images[learner.output]

    def _images(self, net: Any, batch: Batch) -> dict[str, Tensor]:
        """Return the images of a batch by the names that the learner of ``net`` has for them."""
        if self.part is None:
            return dict(batch)
        images = net.batch_of(self.part, batch, estimates=self.options["estimates"])
        if "response" in batch and self.part != "sr":  # there both images may be the camera's
            images["response"] = batch["response"]
        return images
