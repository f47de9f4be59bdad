"""Every reference value of every convention."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from finewave.locations import parity_folder

# By path: it lies beside the folders of tests, which are no packages.
check_metrics_case = runpy.run_path(str(Path(__file__).parents[1] / "parity_metrics.py"))["check_metrics_case"]

CASES = sorted((parity_folder() / "metrics").glob("*.safetensors"))
pytestmark = pytest.mark.parity


def test_cases_are_there() -> None:
    if not CASES and not os.environ.get("CI"):
        pytest.skip(f"no reference cases under {parity_folder()}; set FINEWAVE_PARITY")
    assert CASES


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::finewave.FinewaveWarning")
def test_metrics_case(path: Path) -> None:
    assert check_metrics_case(path) >= 29


@pytest.mark.parametrize("path", CASES[:1], ids=lambda path: path.stem)
def test_a_wrong_value_is_noticed(path: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["input.pred"] = tensors["input.pred"] * 1.001
    changed = tmp_path / "changed.safetensors"
    save_file(tensors, changed, metadata=metadata)
    with pytest.raises(AssertionError, match="expected"):
        check_metrics_case(changed)
