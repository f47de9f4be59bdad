"""Lightning modules: one training phase each."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from finewave.metrics import MetricAccumulator
from finewave.systems.base import SRNetwork
from finewave.systems.jssunet.clusters import balance_penalty
from finewave.training.losses import StageWeights, l1, phase1_loss, spectral_angle, squared
from finewave.training.progress import RunClock
from finewave.training.schedules import learning_rate_factor, stepwise


class Phase(L.LightningModule):
    """What the phases share: optimiser, learning rate, running average of the weights, validation, resuming.

    Parameters
    ----------
    net : SRNetwork
        The network; ``net.task`` names its inputs in a batch.
    config : dict
        The recipe's section for this phase.
    clock : RunClock
        Tells the part of the run that is done.
    scale : int
        For ERGAS.

    Attributes
    ----------
    response : Tensor (c, C), optional
        The sensor's, for losses that look at the result through it; set before the training.
    """

    response: Tensor | None = None

    net: SRNetwork

    def __init__(self, net: SRNetwork, config: dict[str, Any], clock: RunClock, scale: int) -> None:
        super().__init__()
        self.net, self.config, self.clock, self.scale = net, config, clock, scale
        self.average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(config["ema"]), use_buffers=True)
        self.average.requires_grad_(False)
        self.accumulator: MetricAccumulator | None = None
        self.last_metrics: dict[str, float] = {}
        self.validated_at = -1
        self._agreed: float | None = None

    @property
    def averaged(self) -> SRNetwork:
        """The network with the running average of the weights."""
        return self.average.module  # type: ignore[return-value]  # a copy of `net`

    def trained_parameters(self) -> list[nn.Parameter]:
        """Return what this phase optimises."""
        return [p for p in self.net.parameters() if p.requires_grad]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam on the parameters of this phase alone."""
        return torch.optim.Adam(self.trained_parameters(), lr=self.config["learning_rate"], fused=True)

    @property
    def done(self) -> float:
        """Part of the phase that is done; of several processes, by the clock of the first at the last step."""
        return self.clock.progress(self.global_step) if self._agreed is None else self._agreed

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        """Set the learning rate; stop at the end of the time budget."""
        c = self.config
        if self.trainer.world_size > 1:
            self._agreed = self.trainer.strategy.broadcast(self.clock.progress(self.global_step))
        more = {key: c[key] for key in ("milestones", "decay", "power") if key in c}
        factor = learning_rate_factor(c["schedule"], self.done, c["warmup"], c["floor"], **more)
        for group in self.optimizers().param_groups:
            group["lr"] = c["learning_rate"] * factor
        if self.done >= 1:
            self.trainer.should_stop = True
            return -1
        return None

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Bound the gradient's norm. Lightning's own refuses a fused optimiser, on account of scaled gradients."""
        if self.config["clip"]:
            norm = nn.utils.clip_grad_norm_(self.trained_parameters(), self.config["clip"])
            self.log("gradient_norm", norm)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then move the running average of the weights; its memory grows to the configured length.

        Done here, not at the end of the batch, so that a checkpoint written there holds both or neither.
        """
        super().optimizer_step(*args, **kwargs)
        decay = min(self.config["ema"], (1 + self.global_step) / (10 + self.global_step))
        self.average.multi_avg_fn = get_ema_multi_avg_fn(decay)
        self.average.update_parameters(self.net)

    def on_validation_epoch_start(self) -> None:
        """Start new means."""
        self.accumulator = MetricAccumulator(scale=self.scale)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Measure the averaged weights on one whole scene."""
        assert self.accumulator is not None
        prediction = self.predict_average(batch)
        self.accumulator.update(prediction.float(), batch["hr_hsi"])

    def predict_average(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the averaged network's output for a batch."""
        return self.averaged(*(batch[name] for name in self.net.inputs))

    def on_validation_epoch_end(self) -> None:
        """Log the means over the scenes."""
        assert self.accumulator is not None
        means = self.accumulator.compute().means
        self.validated_at = self.global_step
        self.last_metrics = {name: float(means[name]) for name in ("psnr", "ssim", "sam", "ergas", "rmse")}
        for name, value in self.last_metrics.items():
            self.log(f"val_{name}", value)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the time spent."""
        checkpoint["seconds"] = self.clock.seconds

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue to count from the time spent."""
        self.clock.restart(checkpoint["seconds"])


class UnfoldingPhase(Phase):
    """Phase 1 of JSSUNet: all three branches, eq. (6), with the weights of the paper's schedule."""

    def __init__(self, net: SRNetwork, config: dict[str, Any], clock: RunClock, scale: int) -> None:
        super().__init__(net, config, clock, scale)
        if net.post is not None:
            net.post.requires_grad_(False)

    def predict_average(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the last fusion estimate: the post-processing has not learned yet."""
        return self.averaged.forward_stages(batch["lr_msi"]).fusion[-1]

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        c = self.config
        lr_msi = batch["lr_msi"].contiguous(memory_format=torch.channels_last)
        stages = self.net.forward_stages(lr_msi)
        weights = StageWeights(*stepwise(c["stage_weights"], self.done))
        loss, parts = phase1_loss(
            stages.sr, stages.ssr, stages.fusion, batch["hr_msi"], batch["lr_hsi"], batch["hr_hsi"], weights
        )
        if c["spectral_angle"]:
            parts["spectral_angle"] = spectral_angle(stages.fusion[-1], batch["hr_hsi"])
            loss = loss + c["spectral_angle"] * parts["spectral_angle"]
        if c["squared"]:
            parts["squared"] = squared(stages.fusion[-1], batch["hr_hsi"]) + squared(stages.ssr[-1], batch["lr_hsi"])
            loss = loss + c["squared"] * parts["squared"]
        if c["cluster_balance"] and stages.probability.requires_grad:
            parts["balance"] = balance_penalty(stages.probability)
            loss = loss + c["cluster_balance"] * parts["balance"]
        usage = stages.assignment.detach().float().mean((0, 2, 3))
        self.log("clusters_used", (usage > 0.001).sum().float())
        self.log_dict({f"cluster_{m}": share for m, share in enumerate(usage)})
        self.log_dict({f"loss_{name}": part.detach() for name, part in parts.items()})
        self.log("loss", loss.detach(), prog_bar=True)
        return loss


class PostProcessingPhase(Phase):
    """Phase 2 of JSSUNet: only the post-processing learns, from the frozen rest; mean absolute error."""

    def __init__(self, net: SRNetwork, config: dict[str, Any], clock: RunClock, scale: int) -> None:
        net.requires_grad_(False)
        net.post.requires_grad_(True)
        super().__init__(net, config, clock, scale)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        lr_msi = batch["lr_msi"].contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            u = self.net.forward_stages(lr_msi).fusion[-1]
        output = self.net.post(u)
        loss = l1(output, batch["hr_hsi"])
        if self.config["spectral_angle"]:
            loss = loss + self.config["spectral_angle"] * spectral_angle(output, batch["hr_hsi"])
        if self.config["squared"]:
            loss = loss + self.config["squared"] * squared(output, batch["hr_hsi"])
        self.log("loss", loss.detach(), prog_bar=True)
        return loss
