"""Every reference case against the module that its metadata names; one test per file."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from finewave.locations import parity_folder
from tests.parity.metrics import check_metrics_case

# Systems whose cases can be built. Metrics are scalars in the conventions of several systems, with tolerances of their
# own. A folder of any other name is a failure: a case that nothing is compared with must not look like one that agrees.
SYSTEMS = {
    "awan": "tests.parity.awan",
    "mstpp": "tests.parity.mstpp",
    "jssunet": "tests.parity.jssunet",
    "sspsr": "tests.parity.sspsr",
    "us3rn": "tests.parity.us3rn",
    "fusformer": "tests.parity.fusformer",
    "ssfin": "tests.parity.ssfin",
    "mulsr": "tests.parity.mulsr",
    "sschsr": "tests.parity.sschsr",
}
KNOWN = (*SYSTEMS, "metrics")
CASES = sorted(parity_folder().glob("*/*.safetensors"))

pytestmark = pytest.mark.parity


def _tolerance(config: dict) -> tuple[float, float]:
    """Absolute and relative; networks with rule weights amplify rounding."""
    return (1e-5, 1e-3) if "rule" in str(config.get("weights", "")) else (1e-5, 1e-4)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.filterwarnings("ignore::finewave.FinewaveWarning")
def test_case(path: Path) -> None:
    check_case(path)


def check_case(path: Path) -> None:
    """Compare every output of a case; a case of a system that is not known is a failure."""
    system = path.parent.name
    assert system in KNOWN, f"{path}: there is no system {system!r}; known: {', '.join(KNOWN)}"
    if path.parent.name == "metrics":
        assert check_metrics_case(path) >= 29
        return
    with safe_open(path, "pt") as case:
        config = json.loads(case.metadata()["config"])
        tensors = {key: case.get_tensor(key) for key in case.keys()}  # noqa: SIM118  (not a mapping)
    kinds = {
        kind: {k.partition(".")[2]: v for k, v in tensors.items() if k.startswith(f"{kind}.")}
        for kind in ("param", "input", "output")
    }
    assert kinds["output"], "a case without outputs shows nothing"
    evaluate = importlib.import_module(SYSTEMS[path.parent.name]).evaluate
    with torch.no_grad():
        results = evaluate(config, kinds["param"], kinds["input"])
    atol, rtol = _tolerance(config)
    for name, expected in kinds["output"].items():
        assert name in results, f"output {name!r} of the case is not computed"
        got = results[name]
        assert got.shape == expected.shape, f"{name}: {tuple(got.shape)} instead of {tuple(expected.shape)}"
        worst = (got - expected).abs().max().item()
        assert worst <= atol + rtol * expected.abs().max().item(), f"{name}: off by {worst:.2e}"


def test_there_are_cases_of_known_systems(parity_cases: Path) -> None:
    assert CASES, f"no case under {parity_cases}"
    assert unknown_folders(parity_cases) == [], f"under {parity_cases}; known: {', '.join(KNOWN)}"


def unknown_folders(root: Path) -> list[str]:
    """Return the folders, with cases or without, that are named after no system."""
    return sorted(
        each.name for each in root.iterdir() if each.is_dir() and each.name not in KNOWN and each.name[0] != "."
    )
