"""Forecast of a study's time, from a few real training steps of each recipe on this machine, and disk space."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from finewave.datasets.store import Store, prepared_folder
from finewave.io.atomic import atomic_output
from finewave.studies.dataset_facts import split_of
from finewave.studies.experiment import Cell, digest
from finewave.studies.training_flops import facts_of_cost, phases_of, random_batch

if TYPE_CHECKING:
    from finewave.studies.stored_costs import StoredCosts
from finewave.training.configuration.recipes import phase_data

PATIENCE = 8.0
"""Time limit for measuring training steps in seconds; single steps may exceed it."""
STEPS = 5
SIDE = 128
"""Side in HR pixels of the image whose prediction is timed; the time of a scene is scaled by its pixels."""
USUAL_SIDE = 512
"""Assumed side of the scenes of a data set that is not prepared."""
VALUES_WHILE_TRAINING = 5
"""Numbers on the disk for each parameter while it trains: weights, their average, Adam's two, the best weights."""


class Range(NamedTuple):
    """Seconds, fastest and slowest measurement."""

    low: float
    high: float

    def __mul__(self, factor: float) -> Range:  # type: ignore[override]  # a time, no sequence
        return Range(self.low * factor, self.high * factor)

    def __add__(self, other: Range) -> Range:  # type: ignore[override]  # the same
        return Range(self.low + other.low, self.high + other.high)


NO_TIME = Range(0.0, 0.0)


@dataclass(frozen=True)
class Estimate:
    """One training and the cells that depend on it.

    Parameters
    ----------
    cells : tuple of str
        Rows.
    recipe : str or None
        Name; None for a baseline, whose time is not estimated.
    steps : tuple of int
        Of each phase.
    step : tuple of Range
        Seconds for a step of each phase.
    whole : Range
        Seconds for all: steps, validations, scores.
    parameters : int
    """

    cells: tuple[str, ...]
    recipe: str | None
    steps: tuple[int, ...] = ()
    step: tuple[Range, ...] = ()
    whole: Range = NO_TIME
    parameters: int = 0


@dataclass(frozen=True)
class Cost:
    """All that is missing of a study."""

    estimates: tuple[Estimate, ...]
    free_bytes: int
    load: float | None
    cores: int

    @property
    def seconds(self) -> Range:
        """Total time of all trainings in sequence."""
        total = NO_TIME
        for each in self.estimates:
            total = total + each.whole
        return total

    @property
    def bytes(self) -> int:
        """Maximum disk space: all weights, and the state of the largest training."""
        sizes = [4 * each.parameters for each in self.estimates]
        return sum(sizes) + VALUES_WHILE_TRAINING * max(sizes, default=0)


def cost_of(
    groups: Sequence[Sequence[Cell]],
    out: Path,
    say: Callable[[str], None] = lambda line: None,
    *,
    stored: StoredCosts | None = None,
) -> Cost:
    """Estimate the cost of the missing cells of a study; nothing is trained.

    Parameters
    ----------
    groups : sequence of sequences of Cell
        See `finewave.studies.runner.missing_groups`.
    out : Path
        Results folder; measurements are stored there as ``timings.json``, per machine.
    say : callable
        Called with a line for each measurement.
    stored : StoredCosts, optional
        Costs that need not be measured. Without, every recipe is.
    """
    from finewave.provenance import describe_machine

    machine = describe_machine()
    here = {key: machine[key] for key in ("processor", "cores", "threads", "gpu")}
    timings = _Timings(out / "timings.json", here, stored)
    estimates = tuple(_estimate(group, timings, say) for group in groups)
    folder = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    return Cost(estimates, shutil.disk_usage(folder).free, machine["load"], machine["cores"])


def _estimate(group: Sequence[Cell], timings: _Timings, say: Callable[[str], None]) -> Estimate:
    rows = tuple(map(str, group))
    recipe = group[0].recipe
    if recipe is None:
        return Estimate(rows, None)
    phases = phases_of(recipe)
    seconds = timings.of(recipe, phases, say)
    steps = tuple(phase["steps"] for phase in phases)
    step = tuple(Range(*pair) for pair in seconds["step"])
    predictions = sum(-(-phase["steps"] // phase["validate_every"]) for phase in phases) + 1 + len(group)
    scenes, pixels = scenes_and_pixels(group[0].dataset, group[0].split)
    whole = Range(*seconds["scene"]) * (predictions * scenes * pixels / SIDE**2)
    for number, each in zip(steps, step, strict=True):
        whole = whole + each * number
    return Estimate(rows, group[0].recipe_name, steps, step, whole, seconds["parameters"])


def scenes_and_pixels(dataset: str, split: str) -> tuple[int, int]:
    """Return the number of scenes of a split and the pixels of one, from the prepared store or by default values."""
    path = prepared_folder() / f"{dataset}.zarr"
    if path.exists():
        store = Store(path)
        names = store.attributes["split"].get(split) or store.attributes["split"]["val"]
        if names:
            return len(names), int(np.prod(store.read(names[0]).shape[1:]))
    names = split_of(dataset).get(split, ())
    return len(names) or 1, USUAL_SIDE**2


def key_of_cost(recipe: dict[str, Any], phases: Sequence[dict[str, Any]]) -> str:
    """Return a key that is equal for trainings with the same time per step, regardless of length and rates."""
    return digest(facts_of_cost(recipe, phases))


class _Timings:
    """Measurements, stored by key and machine."""

    def __init__(self, path: Path, machine: dict[str, Any], stored: StoredCosts | None) -> None:
        self.path, self.machine, self.stored = path, machine, stored
        try:
            self.known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError:  # measured again
            self.known = {}

    def of(self, recipe: dict[str, Any], phases: list[dict[str, Any]], say: Callable[[str], None]) -> dict[str, Any]:
        """Return seconds for a step of each phase and for a `SIDE` x `SIDE` image, and the parameters of a network."""
        cost_key = key_of_cost(recipe, phases)
        if self.stored is not None and (seconds := self.stored.seconds(cost_key)) is not None:
            return seconds
        key = digest({"cost": cost_key, "machine": self.machine})
        if key not in self.known:
            say(f"timing {recipe['name']}")
            self.known[key] = measure(recipe, phases)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_output(self.path) as temporary:
                temporary.write_text(json.dumps(self.known, indent=1) + "\n", encoding="utf-8")
        return self.known[key]


def measure(
    recipe: dict[str, Any], phases: Sequence[dict[str, Any]], *, side: int = SIDE, steps: int = STEPS, runs: int = 3
) -> dict[str, Any]:
    """Time training steps of each phase of a recipe on random images, and a prediction with its metrics.

    Parameters
    ----------
    recipe, phases
        Phases to time.
    side : int
        Of the image that is predicted.
    steps, runs : int
        Number of timed steps and predictions.

    Returns
    -------
    dict
        ``step``: for each phase the least and the greatest seconds for a step; ``scene``: the same for a prediction of
        ``side`` x ``side`` pixels and its metrics; ``parameters``.
    """
    import torch

    from finewave.systems.registry import create_model
    from finewave.training.configuration.recipes import network_options
    from finewave.zoo.model import prefers_channels_last

    system, options = network_options(recipe)
    with torch.random.fork_rng():
        net = create_model(system, **options)
        if prefers_channels_last(net):
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads
        step = [_time_phase(net, phase, recipe, steps) for phase in phases]
        net.requires_grad_(True)
        return {
            "step": [list(each) for each in step],
            "scene": list(_time_prediction(net, recipe, side, runs)),
            "parameters": sum(p.numel() for p in net.parameters()),
        }


def _time_phase(net: Any, phase: dict[str, Any], recipe: dict[str, Any], steps: int = STEPS) -> Range:
    """Return seconds per step: of whole batches if fast, otherwise extrapolated from one and two crops."""
    crops = phase_data(recipe, phase)["batch_size"]
    one = _time_steps(net, phase, recipe, 1, steps)
    if crops == 1:
        return one
    if one.high * crops * 3 <= PATIENCE:
        return _time_steps(net, phase, recipe, crops, steps)
    two = _time_steps(net, phase, recipe, 2, steps)
    bounds = (two.low * crops / 2, two.high * crops / 2, one.high * crops)
    return Range(min(bounds), max(bounds))


def _time_steps(net: Any, phase: dict[str, Any], recipe: dict[str, Any], crops: int, steps: int) -> Range:
    """Return the shortest and the longest time of some steps, without the first, which includes set-up."""
    import copy
    import logging

    import lightning as L
    import torch
    from torch.utils.data import DataLoader

    from finewave.training.phase import Phase
    from finewave.training.run_clock import RunClock
    from finewave.zoo.precision import training_precision

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no lines about devices and tips
    batch = random_batch(recipe, phase_data(recipe, phase)["crop"], crops)
    clock = RunClock(10**9)
    module = Phase(copy.deepcopy(net), phase, clock)
    module.response = torch.rand(recipe["model"].get("ms_bands", 3), recipe["model"]["hs_bands"])
    times: list[float] = []

    class StepTimes(L.Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            self.begun = time.perf_counter()

        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times.append(time.perf_counter() - self.begun)
            trainer.should_stop = len(times) > 2 and sum(times) > PATIENCE

    trainer = L.Trainer(
        accelerator="auto",
        devices=1,
        precision=training_precision("cuda" if torch.cuda.is_available() else "cpu"),  # type: ignore[arg-type]  # one of Lightning's names
        max_steps=steps + 1,
        logger=False,
        callbacks=[StepTimes()],
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(module, DataLoader([batch] * (steps + 1), batch_size=None))  # type: ignore[arg-type]  # a list is one
    if trainer.interrupted:
        raise KeyboardInterrupt
    return Range(min(times[1:]), max(times[1:]))


def _time_prediction(net: Any, recipe: dict[str, Any], side: int, runs: int) -> Range:
    """Return seconds for a prediction and its metrics."""
    from finewave.metrics import evaluate
    from finewave.zoo.model import Model

    batch, times, model = random_batch(recipe, side, 1), [], Model(net)
    for _ in range(runs):
        begun = time.perf_counter()
        output = model.predict(**{name: batch[name] for name in model.inputs})
        evaluate(output, batch[model.output], recipe["model"]["scale"])
        times.append(time.perf_counter() - begun)
    return Range(min(times), statistics.median(times))


def in_words(seconds: Range) -> str:
    """Return a human-readable range of times: ``"2 h 05 min to 2 h 40 min"``."""
    low, high = duration(seconds.low), duration(seconds.high)
    return low if low == high else f"{low} to {high}"


def duration(seconds: float) -> str:
    """Return a human-readable time."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.1f} days"
