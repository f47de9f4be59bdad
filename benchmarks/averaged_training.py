"""Training of a network for a given time, with a running average of its weights; a run that was killed continues."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from finewave.io.atomic import atomic_output

RATE, CLIP, AVERAGE = 1e-3, 0.5, 0.998
SOFT = 0.02
"""Errors below it count by their square, larger ones by their size: sqrt(e² + SOFT²)."""


Network = TypeVar("Network", bound=nn.Module)


def soft_absolute(error: Tensor, soft: float = SOFT) -> Tensor:
    """Return the mean of sqrt(e² + ``soft``²)."""
    return (error.square() + soft**2).sqrt().mean()


def train_average(
    net: Network,
    loss: Callable[[], Tensor],
    figure: Callable[[Network], str],
    folder: Path,
    *,
    minutes: float,
    clock: Callable[[], float],
    every: float,
    steps: int | None = None,
    rate: float = RATE,
) -> None:
    """Train for a time or a number of steps, and leave the running average of the weights in ``net``.

    Parameters
    ----------
    net : nn.Module
    loss : callable
        Returns the loss of ``net`` on its next crops.
    figure : callable
        Returns a figure of the averaged network, to be printed.
    folder : Path
        Of ``last.pt``, the state to continue from; written with each figure.
    minutes : float
        By ``clock``; the learning rate falls over them as a cosine.
    clock : callable
        Returns seconds: ``time.monotonic``, or ``time.process_time``, by which a busy machine trains no less.
    every : float
        Seconds between figures.
    steps : int, optional
        Length in steps, in place of ``minutes``.
    rate : float
        Highest learning rate.
    """
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE))
    averaged = average.module
    assert isinstance(averaged, type(net))
    optimiser = torch.optim.Adam(net.parameters(), lr=rate, betas=(0.9, 0.99))
    state, step, before = folder / "last.pt", 0, 0.0
    if state.exists():
        kept = torch.load(state, map_location="cpu", weights_only=True)
        net.load_state_dict(kept["net"])
        average.load_state_dict(kept["average"])
        optimiser.load_state_dict(kept["optimiser"])
        step, before = kept["step"], kept["seconds"]
    start = shown = clock()

    def part_done() -> float:
        return (before + clock() - start) / (60 * minutes) if steps is None else step / steps

    done = part_done()
    while done < 1:
        falling = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 100) * falling
        error = loss()
        optimiser.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimiser.step()
        average.update_parameters(net)
        step += 1
        now = clock()
        done = part_done()
        if now - shown > every or done >= 1:
            shown = now
            print(f"step {step}, {done:.0%}: {figure(averaged)}", flush=True)
            saved = {"net": net.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
            with atomic_output(state) as temporary:
                torch.save({**saved, "step": step, "seconds": before + now - start}, temporary)
    net.load_state_dict(averaged.state_dict())
