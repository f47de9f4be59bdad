"""The training phase of every system that learns from pairs of input and target."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from finewave.datasets.patches import Sample
from finewave.errors import InputError, unknown_name
from finewave.systems.base import SRNetwork
from finewave.training.image_losses import LOSSES
from finewave.training.modules import Phase
from finewave.training.progress import RunClock

OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class SupervisedPhase(Phase):
    """Inputs by name from the batch, the sum of the recipe's weighted losses, any system.

    The loss is the sum of ``losses``, a mapping of names to weights. A name is one of the system's own terms, else one
    of `LOSSES` between output and target. A system brings terms of its own, or a cheaper way to the usual ones, by an
    optional method of its network::

        def training_loss(self, batch: dict[str, Tensor], done: float) -> tuple[Tensor | None, dict[str, Tensor]]

    ``batch`` holds the images by name (``hr_hsi``, ``lr_hsi``, ``hr_msi``, ``lr_msi``, ...) and ``response`` (c, C),
    ``done`` is the part of the phase that is done. It returns the output for `LOSSES`, None if there is none, and the
    unweighted terms by name. Without the method, the output is that of ``forward``.

    A composition (`finewave.systems.compositions.networks`) learns part by part: ``part`` names the part, which gets
    the images that it stands between in the composition, estimated by the parts before it where ``estimates`` is true.

    Parameters
    ----------
    net, config, clock, scale
        See `Phase`. Keys of ``config`` beyond the common ones: ``optimizer`` (``"adam"``, ``"adamw"``), ``betas``,
        ``weight_decay``, ``losses``, ``part``, ``estimates``.

    Raises
    ------
    InputError
        If ``part``, ``optimizer`` or a loss does not exist.
    """

    def __init__(self, net: SRNetwork, config: dict[str, Any], clock: RunClock, scale: int) -> None:
        self.part: str | None = config.get("part")
        if config["optimizer"] not in OPTIMISERS:
            raise unknown_name("optimizer", config["optimizer"], OPTIMISERS)
        if not any(config["losses"].values()):
            raise InputError("a supervised phase needs losses with a weight other than 0")
        if self.part is not None:
            parts = net.parts
            if self.part not in parts:
                raise unknown_name("part of the network", self.part, parts)
            net.requires_grad_(False)
            net.part(self.part).requires_grad_(True)
        super().__init__(net, config, clock, scale)
        self.scale = self.learner(net).scale

    def learner(self, net: SRNetwork) -> SRNetwork:
        """Return what learns in ``net``: itself, or the part."""
        return net if self.part is None else net.part(self.part)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the recipe's optimiser on the parameters that learn."""
        c = self.config
        kind = OPTIMISERS[c["optimizer"]]
        return kind(
            self.trained_parameters(),
            lr=c["learning_rate"],
            betas=tuple(c["betas"]),
            weight_decay=c["weight_decay"],
            fused=True,
        )

    def images(self, batch: Sample, net: SRNetwork) -> Sample:
        """Return the images of a batch by the names that the learner of ``net`` has for them."""
        images = dict(batch)
        if self.part is not None:
            images = net.batch_of(self.part, images, estimates=self.config["estimates"])
        if self.response is not None and self.part != "sr":  # there both images may be the camera's
            images["response"] = self.response.to(batch["hr_hsi"])
        return images

    def training_step(self, batch: Sample, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        learner = self.learner(self.net)
        images = self.images(batch, self.net)
        output, terms = learner.training_loss(images, self.done)
        loss = torch.zeros((), device=self.device)
        for name, weight in self.config["losses"].items():
            if not weight:
                continue
            if name not in terms:
                if name not in LOSSES or output is None:
                    raise unknown_name("loss", name, {*terms, *(LOSSES if output is not None else ())})
                terms[name] = LOSSES[name](output, images[learner.output])
            loss = loss + weight * terms[name]
            self.log(f"loss_{name}", terms[name].detach())
        self.log("loss", loss.detach(), prog_bar=True)
        return loss

    def validation_step(self, batch: Sample, batch_idx: int) -> None:
        """Measure the averaged weights on one whole scene."""
        assert self.accumulator is not None
        images = self.images(batch, self.averaged)
        learner = self.learner(self.averaged)
        self.accumulator.update(self.output_of(learner, images).float(), images[learner.output])

    @staticmethod
    def output_of(net: nn.Module, images: Sample) -> Tensor:
        """Return the network's output for the images that it takes."""
        return net(**{name: images[name] for name in net.inputs})
