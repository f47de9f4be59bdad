"""The comparison with the reference values can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.parity.metrics import check_metrics_case


@pytest.mark.parity
def test_a_wrong_value_is_noticed(shared_cases: Path, tmp_path: Path) -> None:
    path = min((shared_cases / "metrics").glob("*.safetensors"))
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["input.pred"] = tensors["input.pred"] * 1.001
    changed = tmp_path / "changed.safetensors"
    save_file(tensors, changed, metadata=metadata)
    with pytest.raises(AssertionError, match="expected"):
        check_metrics_case(changed)
