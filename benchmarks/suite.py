"""All measurements of a run, each in a fresh process, and what follows from them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.cases import MODELS, SCENES, Case, cases_of, scene_cases, system_cases
from benchmarks.machines import kind_of
from benchmarks.plain import CHECKOUT, has_plain
from benchmarks.targets import ratios_of, scene_targets, targets_of
from finewave.errors import InputError
from finewave.provenance import describe_machine
from finewave.systems.registry import SYSTEMS

FORMAT = 1


def run_suite(
    network: str,
    groups: tuple[str, ...],
    *,
    quick: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Measure, and return everything as JSON has it.

    Parameters
    ----------
    network : str
        A system or trained weights; ``"models"``: every system; ``"scenes"``: whole scenes.
    groups : tuple of str
        See `benchmarks.cases.choose_groups`.
    quick : bool
        Small sizes; the figures mean nothing.
    progress : callable
        Called with (done, total).

    Returns
    -------
    dict
        ``format``, ``network``, ``quick``, ``device``, ``machine``, ``plain`` (whether the plain formulations were at
        hand), ``results`` (a case and its figures, or its ``error``), ``ratios`` and ``targets``; see `added`, too.
    """
    import torch

    if network not in (*SYSTEMS, MODELS, SCENES):
        from finewave.zoo.model import load_model

        load_model(network)  # a wrong name shows at once
    device = "cuda" if torch.cuda.is_available() else "cpu"
    machine = describe_machine()
    plain = has_plain()
    results = []
    if network == MODELS:
        cases = system_cases(groups, quick=quick, device=device)
    elif network == SCENES:
        cases = scene_cases(groups, quick=quick, device=device)
    else:
        cases = cases_of(network, groups, quick=quick, plain=plain, device=device)
    for done, case in enumerate(cases):
        progress(done, len(cases))
        results.append({**case.as_dict(), **measure_apart(case)})
    progress(len(cases), len(cases))
    return _with_conclusions(
        {
            "format": FORMAT,
            "network": network,
            "quick": quick,
            "device": device,
            "machine": machine,
            "plain": plain,
            "results": results,
        }
    )


def added(before: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """Return a run with the figures before it: those of its kind of processor as its own, others as ``"others"``.

    A case that was measured again has its new figures. ``"pieces"`` has the machine of each run that is part of it.
    """
    if (before["network"], before["quick"]) != (run["network"], run["quick"]):
        raise InputError(f"figures of {before['network']} are there: those of {run['network']} cannot be added to them")
    earlier = {kind_of(each["machine"]): each for each in (before, *before.get("others", ()))}
    same = earlier.pop(kind_of(run["machine"]), None)
    others = [
        _with_conclusions({key: value for key, value in each.items() if key != "others"}) for each in earlier.values()
    ]
    if same is not None:
        results = {_case_of(result): result for result in (*same["results"], *run["results"])}
        pieces = [*same.get("pieces", [same["machine"]]), run["machine"]]
        run = _with_conclusions({**run, "results": list(results.values()), "pieces": pieces})
    return {**run, "others": others} if others else run


def _case_of(result: dict[str, Any]) -> str:
    return json.dumps([result["group"], result["variant"], result["precision"], result["options"]], sort_keys=True)


def _with_conclusions(run: dict[str, Any]) -> dict[str, Any]:
    network, results = run["network"], run["results"]
    none = run["quick"] or network == MODELS
    targets = [] if none else _targets(network, results, run["machine"])
    return {**run, "ratios": ratios_of(results), "targets": targets}


def read_run(path: Path) -> dict[str, Any]:
    """Read a run's JSON."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(run, dict) or run.get("format") != FORMAT:
        raise InputError(f"{path} does not hold the figures of a finewave bench of this version")
    return run


def measure_apart(case: Case) -> dict[str, Any]:
    """Measure one case in a new process, so that no memory of another one counts; its failure is a result too."""
    command = [sys.executable, "-m", "benchmarks.measure", json.dumps(case.as_dict())]
    folders = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    there = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    done = subprocess.run(command, env=there, capture_output=True, text=True)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        killed = f"ended by signal {-done.returncode}, as when memory is short" if done.returncode < 0 else "failed"
        return {"error": lines[-1] if lines and done.returncode > 0 else killed}
    return json.loads(done.stdout.splitlines()[-1])


def _targets(network: str, results: list[dict[str, Any]], machine: dict[str, Any]) -> list[dict[str, Any]]:
    return scene_targets(results) if network == SCENES else targets_of(results, machine)
