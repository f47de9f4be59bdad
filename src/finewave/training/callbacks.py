"""Callbacks of the training: checkpoints that survive a kill, the best weights, plain progress lines."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch

from finewave.io.atomic import flush_to_disk
from finewave.process.interruption import raise_if_asked
from finewave.systems.weights import write_weights
from finewave.training.phase import Phase

CHECKPOINT_SECONDS = 45.0  # a killed run loses less than a minute
LINE_SECONDS = 30.0


class MinuteCheckpoint(L.Callback):
    """Write the state of the run atomically, at least once per minute of training.

    Lightning's own checkpoint callback writes to the final name through a temporary folder that may lie on another
    file system; here the file is renamed beside its target.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Save when the minute is over; of several processes, when it is for one of them."""
        raise_if_asked()
        due = time.monotonic() - self._last > CHECKPOINT_SECONDS
        if trainer.strategy.reduce_boolean_decision(due, all=False):
            self._save(trainer)

    def on_validation_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Save before validation, which may take long."""
        if not trainer.sanity_checking and trainer.global_step:
            self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        raise_if_asked()
        temporary = self.path.with_suffix(".tmp")
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            flush_to_disk(temporary)
            temporary.replace(self.path)
        self._last = time.monotonic()


class BestWeights(L.Callback):
    """Keep the averaged weights of the validation with the highest PSNR, as safetensors with a JSON of its figures."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.figures = path.with_suffix(".json")

    @property
    def best(self) -> float:
        """Highest PSNR so far, in dB."""
        return json.loads(self.figures.read_text())["psnr"] if self.figures.is_file() else float("-inf")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compare and keep."""
        assert isinstance(pl_module, Phase)
        raise_if_asked()
        if not trainer.is_global_zero:
            return  # its weights are the same
        metrics = pl_module.last_metrics
        line = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        print(f"validation at step {trainer.global_step}: {line}", flush=True)
        if metrics["psnr"] <= self.best:
            return
        temporary = self.path.with_suffix(".tmp")
        write_weights(pl_module.averaged, temporary)
        flush_to_disk(temporary)
        temporary.replace(self.path)
        text = self.figures.with_suffix(".tmp")
        text.write_text(json.dumps({"step": trainer.global_step, **metrics}))
        text.replace(self.figures)


class PlainProgress(L.Callback):
    """A line with loss and remaining time twice a minute, where there is no terminal for a bar."""

    def __init__(self) -> None:
        self._last = 0.0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Print when it is time."""
        now = time.monotonic()
        if now - self._last < LINE_SECONDS or not trainer.is_global_zero:
            return
        self._last = now
        print(f"step {trainer.global_step}  {state_of(trainer, pl_module)}", flush=True)


class BarProgress(L.pytorch.callbacks.TQDMProgressBar):
    """Lightning's progress bar, with loss and remaining time of the phase."""

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Show loss and remaining time only."""
        return {"": state_of(trainer, pl_module)}


def state_of(trainer: L.Trainer, pl_module: L.LightningModule) -> str:
    """Return loss, progress and remaining time as text."""
    assert isinstance(pl_module, Phase)
    done, seconds = pl_module.done, pl_module.clock.seconds
    left = int(seconds / done * (1 - done)) if done else 0
    loss = trainer.callback_metrics.get("loss", torch.tensor(float("nan")))
    minutes = f"{left // 3600} h {left % 3600 // 60:02d} min" if left >= 3600 else f"{left // 60} min {left % 60:02d} s"
    return f"loss {float(loss):.5f}  {100 * done:.1f} %  {minutes} left"


def progress_callback() -> L.Callback:
    """Return the bar on a terminal, plain lines elsewhere."""
    # reading the loss waits for the GPU: not after every step
    return BarProgress(refresh_rate=10) if sys.stderr.isatty() else PlainProgress()
