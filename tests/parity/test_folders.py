"""What lies under ``FINEWAVE_PARITY`` is compared or refused, never passed over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.parity.test_parity import check_case, unknown_folders


def test_a_case_of_an_unknown_system_is_a_failure(tmp_path: Path) -> None:
    case = tmp_path / "nonesuch" / "full.safetensors"
    case.parent.mkdir()
    save_file({"output.y": torch.zeros(1)}, case, metadata={"config": json.dumps({})})
    with pytest.raises(AssertionError, match="no system 'nonesuch'"):
        check_case(case)
    (tmp_path / "awan").mkdir()
    assert unknown_folders(tmp_path) == ["nonesuch"]  # an unknown one without a case, too
