"""One training phase, as a Lightning module around an objective."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from finewave.evaluation.scorer import Scorer
from finewave.systems.base import SRNetwork
from finewave.systems.objective import Objective
from finewave.training.run_clock import RunClock
from finewave.training.schedules import learning_rate_factor
from finewave.training.supervised import Supervised

OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def objective_of(net: SRNetwork, options: dict[str, Any]) -> Objective:
    """Return the objective of a phase: `Supervised`, or one of the network's own, by ``kind``, which recipes check."""
    kind = options["kind"]
    if kind == "supervised":
        return Supervised(net, options)
    module, _, name = net.objectives[kind].partition(":")
    return vars(importlib.import_module(module))[name](net, options)


class Phase(L.LightningModule):
    """Optimiser, learning rate, running average of the weights, validation and resuming, around an objective.

    Parameters
    ----------
    net : SRNetwork
        The network.
    config : dict
        The recipe's section for this phase; ``kind`` names the objective, see `objective_of`.
    clock : RunClock
        Tells the part of the run that is done.

    Attributes
    ----------
    response : Tensor (c, C), optional
        The sensor's response, for losses on the simulated MSI; set before the training.

    Raises
    ------
    InputError
        If an option does not fit the network.
    """

    response: Tensor | None = None

    net: SRNetwork

    def __init__(self, net: SRNetwork, config: dict[str, Any], clock: RunClock) -> None:
        super().__init__()
        self.objective = objective_of(net, config)
        self.net, self.config, self.clock = net, config, clock
        self.average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(config["ema"]), use_buffers=True)
        self.average.requires_grad_(False)
        self.scorer: Scorer | None = None
        self.last_metrics: dict[str, float] = {}
        self.validated_at = -1
        self._agreed: float | None = None

    @property
    def averaged(self) -> SRNetwork:
        """The network with the running average of the weights."""
        return self.average.module  # type: ignore[return-value]  # a copy of `net`

    def trained_parameters(self) -> list[nn.Parameter]:
        """Return the training objective."""
        return [p for p in self.net.parameters() if p.requires_grad]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the recipe's optimiser, Adam by default, on the parameters that learn."""
        more = {key: self.config[key] for key in ("betas", "weight_decay") if key in self.config}
        kind = OPTIMISERS[self.config.get("optimizer", "adam")]
        return kind(self.trained_parameters(), lr=self.config["learning_rate"], fused=True, **more)

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
        """Clip the gradient's norm; Lightning's version does not support fused optimisers."""
        if self.config["clip"]:
            norm = nn.utils.clip_grad_norm_(self.trained_parameters(), self.config["clip"])
            self.log("gradient_norm", norm)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then move the running average of the weights; its memory grows to the configured length.

        Done here, not at the end of the batch, so that a checkpoint contains both or neither.
        """
        super().optimizer_step(*args, **kwargs)
        decay = min(self.config["ema"], (1 + self.global_step) / (10 + self.global_step))
        self.average.multi_avg_fn = get_ema_multi_avg_fn(decay)
        self.average.update_parameters(self.net)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        loss = self.objective.loss(self.net, self._with_response(batch), self.done)
        self.log_dict(loss.logged)
        self.log("loss", loss.total.detach(), prog_bar=True)
        return loss.total

    def _with_response(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return batch if self.response is None else {**batch, "response": self.response.to(batch["hr_hsi"])}

    def on_validation_epoch_start(self) -> None:
        """Start new means."""
        self.scorer = Scorer(self._compared, self.objective.scale(self.net))

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Validate the averaged weights on one whole scene."""
        assert self.scorer is not None
        self.scorer.add(batch)

    def _compared(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        estimate, truth = self.objective.compared(self.averaged, batch)
        return estimate.float(), truth

    def on_validation_epoch_end(self) -> None:
        """Log the means over the scenes."""
        assert self.scorer is not None
        means = self.scorer.summary().means
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
