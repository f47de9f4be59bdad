from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from benchmarks import audit

FOUND = {"id": "PYSEC-1", "aliases": ["CVE-2020-1"], "fix_versions": ["1.1"]}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)


def answer(monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str = "") -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, stdout, stderr)

    monkeypatch.setattr(subprocess, "run", run)


def test_a_known_vulnerability_fails_unless_it_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    packages: list[dict[str, Any]] = [
        {"name": "good", "version": "2", "vulns": []},
        {"name": "bad", "version": "1.0", "vulns": [FOUND]},
        {"name": "ours", "skip_reason": "not found"},
    ]
    lines, bad = audit.report(packages)
    assert bad
    assert lines == [
        "bad 1.0: PYSEC-1: fixed in 1.1",
        "audit: 2 packages looked up, 1 not known to the advisory service",
    ]
    monkeypatch.setitem(audit.ACCEPTED, "CVE-2020-1", "we never call it")
    lines, bad = audit.report(packages)
    assert not bad
    assert lines[0] == "bad 1.0: PYSEC-1: accepted: we never call it"


def test_an_index_without_advisories_is_not_taken_for_a_good_answer() -> None:
    lines, bad = audit.report([{"name": "good", "skip_reason": "not found"}])
    assert lines == ["audit: the package index has advisories of none of 1 packages, nothing is known"]
    assert not bad


def test_a_service_that_cannot_be_reached_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, "", "Traceback\nConnectionError: Failed to resolve host")
    assert audit.main() == 0
    assert capsys.readouterr().out.count("\n") == 1
    answer(monkeypatch, json.dumps({"dependencies": [{"name": "bad", "version": "1", "vulns": [FOUND]}]}))
    assert audit.main() == 1


def test_a_service_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(command: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.main() == 0
    assert "did not answer" in capsys.readouterr().out


def test_without_the_package_it_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert audit.main() == 1
    assert "pip-audit is not installed" in capsys.readouterr().out
