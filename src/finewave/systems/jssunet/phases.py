"""The two phases of JSSUNet's training (section IV of arXiv 2505.24605)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from finewave.errors import InputError
from finewave.nn.losses import l1, spectral_angle, squared
from finewave.systems.base import SRNetwork
from finewave.systems.jssunet.clusters import balance_penalty
from finewave.systems.jssunet.loss import StageWeights, phase1_loss, stepwise
from finewave.systems.jssunet.network import JSSUNet
from finewave.systems.objective import Batch, Loss, Objective


class Unfolding(Objective):
    """Phase 1: all three branches, by eq. (6) with the weights of the paper's schedule.

    Options: ``stage_weights``, rows for `stepwise`; ``spectral_angle``, ``squared`` and ``cluster_balance``, weights of
    further terms, 0 in the publication.
    """

    def __init__(self, net: SRNetwork, options: Mapping[str, Any]) -> None:
        super().__init__(net, options)
        _check(net, options)
        if net.post is not None:
            net.post.requires_grad_(False)

    def loss(self, net: Any, batch: Batch, done: float) -> Loss:
        """Return eq. (6) and the further terms."""
        c = self.options
        stages = net.forward_stages(_channels_last(batch["lr_msi"]))
        weights = StageWeights(*stepwise(c["stage_weights"], done))
        total, parts = phase1_loss(
            stages.sr, stages.ssr, stages.fusion, batch["hr_msi"], batch["lr_hsi"], batch["hr_hsi"], weights
        )
        if c["spectral_angle"]:
            parts["spectral_angle"] = spectral_angle(stages.fusion[-1], batch["hr_hsi"])
            total = total + c["spectral_angle"] * parts["spectral_angle"]
        if c["squared"]:
            parts["squared"] = squared(stages.fusion[-1], batch["hr_hsi"]) + squared(stages.ssr[-1], batch["lr_hsi"])
            total = total + c["squared"] * parts["squared"]
        if c["cluster_balance"] and stages.probability.requires_grad:
            parts["balance"] = balance_penalty(stages.probability)
            total = total + c["cluster_balance"] * parts["balance"]
        usage = stages.assignment.detach().float().mean((0, 2, 3))
        logged = {f"loss_{name}": part.detach() for name, part in parts.items()}
        logged |= {f"cluster_{m}": share for m, share in enumerate(usage)}
        return Loss(total, logged | {"clusters_used": (usage > 0.001).sum().float()})

    def compared(self, net: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the last fusion estimate and the HR-HSI: the post-processing is not trained yet."""
        return net.forward_stages(batch["lr_msi"]).fusion[-1], batch["hr_hsi"]


class PostProcessingPhase(Objective):
    """Phase 2: train only the post-processing, the rest being frozen, by the mean absolute error.

    Options: ``spectral_angle`` and ``squared``, weights of further terms, 0 in the publication.
    """

    def __init__(self, net: SRNetwork, options: Mapping[str, Any]) -> None:
        super().__init__(net, options)
        _check(net, options)
        net.requires_grad_(False)
        net.post.requires_grad_(True)

    def loss(self, net: Any, batch: Batch, done: float) -> Loss:
        """Return the mean absolute error and the other terms."""
        with torch.no_grad():
            u = net.forward_stages(_channels_last(batch["lr_msi"])).fusion[-1]
        output = net.post(u)
        total = l1(output, batch["hr_hsi"])
        if self.options["spectral_angle"]:
            total = total + self.options["spectral_angle"] * spectral_angle(output, batch["hr_hsi"])
        if self.options["squared"]:
            total = total + self.options["squared"] * squared(output, batch["hr_hsi"])
        return Loss(total, {})


def _check(net: SRNetwork, options: Mapping[str, Any]) -> None:
    if not isinstance(net, JSSUNet):
        raise InputError(f"phases of kind {options['kind']!r} are for jssunet; the recipe's network is another")


def _channels_last(image: Tensor) -> Tensor:
    return image.contiguous(memory_format=torch.channels_last)
