"""What code a result is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from finewave import provenance


def test_an_edit_of_what_scores_is_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("metrics/psnr.py", "physics/curves.csv", "viz/colour.py", "metrics/__pycache__/psnr.cpython-311.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    first = provenance.code_digest()
    for name in ("viz/colour.py", "metrics/__pycache__/psnr.cpython-311.pyc"):
        (tmp_path / name).write_text("2")
        assert provenance.code_digest() == first
    found = {first}
    for name in ("metrics/psnr.py", "physics/curves.csv", "metrics/sam.py"):
        (tmp_path / name).write_text("2")
        found.add(provenance.code_digest())
    assert len(found) == 4
