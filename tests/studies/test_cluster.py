from __future__ import annotations

from pathlib import Path

import pytest

import finewave as fw
from finewave.studies.cluster import run_spread
from finewave.studies.reports.tables import build_table
from finewave.studies.results import all_results
from finewave.studies.runner import missing_groups, run_groups
from finewave.studies.study_request import request_cells

pytestmark = pytest.mark.usefixtures("prepared")


def test_processes_make_the_same_table(tmp_path: Path) -> None:
    """Baselines: what needs no training is spread in the same way; one of them is not possible."""
    request = request_cells(
        "mulsr", datasets=["cave"], scales=[2, 7], rows=["bicubic", "gsa"], split="val", protocol="finewave"
    )
    failed = request_cells("mulsr", datasets=["cave"], scales=[4], rows=["bicubic"], split="val", protocol="jssunet")
    one, many = tmp_path / "one", tmp_path / "many"
    run_groups(missing_groups(request.cells(), one), one, lambda line: None)
    said: list[str] = []
    groups = [*missing_groups(request.cells(), many), *missing_groups(failed.cells(), many)]
    failures = run_spread(groups, many, said.append, workers=2)
    assert len(all_results(many)) == 4
    for spread, single in zip(build_table(request, many).blocks, build_table(request, one).blocks, strict=True):
        assert [line.row for line in spread.lines] == [line.row for line in single.lines]
        for a, b in zip(spread.lines, single.lines, strict=True):
            # threads differ from process to process, and with them the order of sums
            assert {name: value.place for name, value in a.values.items()} == {n: v.place for n, v in b.values.items()}
            assert set(a.scenes) == set(b.scenes)
            for metric, values in a.scenes.items():
                assert values == pytest.approx(b.scenes[metric], rel=1e-4)
    assert ["crops" in reason for reason in failures.values()] == [True]
    assert sum("done" in line for line in said) == 5
    assert run_spread([], many, said.append, workers=2) == {}


def test_what_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = missing_groups(request_cells("mulsr", datasets=["cave"], rows=["bicubic"], split="val").cells(), tmp_path)
    with pytest.raises(fw.InputError, match="give one of them"):
        run_spread(groups, tmp_path, print, workers=2, address="tcp://127.0.0.1:1")
    import distributed

    def silent(*_: object, **__: object) -> None:
        raise OSError("timed out")

    monkeypatch.setattr(distributed, "Client", silent)
    with pytest.raises(fw.InputError, match="no Dask scheduler answers at tcp"):
        run_spread(groups, tmp_path, print, address="tcp://127.0.0.1:1")
