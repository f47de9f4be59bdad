from __future__ import annotations

from pathlib import Path

import pytest

from finewave.studies import cost
from finewave.studies.cost import Range, cost_of, in_words
from finewave.studies.runner import missing_groups
from tests.cli.command_line import run
from tests.studies.conftest import request_of

pytestmark = pytest.mark.usefixtures("tiny", "prepared")


def test_time_and_disk_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {"step": [[2.0, 3.0], [0.5, 0.5]], "scene": [0.1, 0.2], "parameters": 1_000_000}
    asked = []

    def measure(recipe: dict, phases: list) -> dict:
        asked.append((recipe, phases))
        return {**measured, "step": measured["step"][: len(phases)]}

    monkeypatch.setattr(cost, "measure", measure)
    groups = missing_groups(request_of(budget="40steps").cells(), tmp_path)
    found = cost_of(groups, tmp_path, lambda line: None)
    floor, none, both = found.estimates
    assert (floor.recipe, floor.whole) == (None, (0.0, 0.0))
    # one scene of 48 x 48 is so much of the image that was timed; 4 validations, the card's, and the table's
    scene = 48**2 / 128**2
    assert none.steps == (40,)
    assert none.whole == pytest.approx((40 * 2 + 6 * 0.1 * scene, 40 * 3 + 6 * 0.2 * scene))
    assert both.steps == (40, 4)
    assert len(both.cells) == 2
    assert both.whole == pytest.approx((82 + 11 * 0.1 * scene, 122 + 11 * 0.2 * scene))
    assert found.seconds == pytest.approx(none.whole + both.whole)
    assert found.bytes == 4_000_000 * 2 + 5 * 4_000_000
    # measured once for each network and kept, whatever the length
    assert len(asked) == 2
    longer = missing_groups(request_of(budget="80steps").cells(), tmp_path)
    assert cost_of(longer, tmp_path).seconds.low > found.seconds.low
    assert len(asked) == 2
    (tmp_path / "timings.json").write_text("half")
    cost_of(groups, tmp_path)
    assert len(asked) == 4


def test_real_steps_are_timed(tmp_path: Path) -> None:
    groups = missing_groups(request_of(rows=["without"]).cells(), tmp_path)
    said: list[str] = []
    found = cost_of(groups, tmp_path, said.append).estimates[0]
    assert said == ["timing jssunet-cave-x4"]
    assert len(found.step) == 2
    assert all(0 < pair.low <= pair.high < 60 for pair in (*found.step, found.whole))
    assert found.parameters > 1000


def test_large_batches_are_extrapolated(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = {"data": {"batch_size": 100}}
    monkeypatch.setattr(cost, "_time_steps", lambda net, phase, recipe, n, steps: Range(1.0 + n, 1.5 + n))
    assert cost._time_phase(None, {}, recipe) == (150.0, 250.0)
    recipe["data"]["batch_size"] = 1
    assert cost._time_phase(None, {}, recipe) == (2.0, 2.5)


def test_a_dry_run_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finewave.studies.runner.run_group", lambda *_: pytest.fail("it began"))
    measured = {"step": [[2.0, 3.0], [0.5, 0.5]], "scene": [0.1, 0.2], "parameters": 10**6}
    monkeypatch.setattr(
        cost, "measure", lambda recipe, phases, **_: {**measured, "step": measured["step"][: len(phases)]}
    )
    out = tmp_path / "out"
    asked = ("--datasets", "cave", "--split", "val", "--budget", "4steps", "--out", out, "--dry-run")
    result = run("study", "tiny", *asked)
    assert result.exit_code == 0, result.output
    assert "learned, without post on cave x4 (val); learned, with post on cave x4 (val)" in result.stdout
    assert "only scored" in result.stdout
    assert "disk: 28 MB at most" in result.stdout
    assert [path.name for path in out.iterdir()] == ["timings.json"]
    assert run("study", "tiny", *asked, "--rows", "floor").exit_code == 0
    assert "tiny" not in [path.stem for path in out.iterdir()]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (Range(3.2, 3.4), "3 s"),
        (Range(61, 100), "61 s to 2 min"),
        (Range(3590, 7500), "1 h 00 min to 2 h 05 min"),
        (Range(3600 * 47, 3600 * 72), "47 h 00 min to 3.0 days"),
    ],
)
def test_spans_in_words(seconds: Range, words: str) -> None:
    assert in_words(seconds) == words
