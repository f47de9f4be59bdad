from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result

from finewave.studies.definitions.catalogue import STUDIES
from finewave.studies.results import all_results
from tests.cli.command_line import assert_refused, run
from tests.studies.conftest import prepared, request_of, tiny, write_made_up  # noqa: F401 - fixtures
from tests.training.conftest import small_store  # noqa: F401 - a fixture

ASKED = ("--datasets", "cave", "--split", "val", "--budget", "4steps")


def test_the_studies_are_listed() -> None:
    listed = run("study", "--help")
    assert listed.exit_code == 0
    assert all(name in listed.output for name in STUDIES)
    assert "Rows: none, kmeans, learned." in run("study", "table4", "--help").output


@pytest.mark.usefixtures("tiny", "prepared")
def test_a_table_of_baselines(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = run("study", "tiny", *ASKED, "--scales", "2", "4", "--systems", "floor", "--out", out)
    assert made.exit_code == 0, made.output
    assert [line for line in made.stdout.splitlines() if line.startswith("## ")] == [
        "## cave, x2, split val, 1 scene",
        "## cave, x4, split val, 1 scene",
        "## Protocol",
    ]
    assert "1 of 2: bicubic + quadratic on cave x2 (val)" in made.stderr
    assert len(all_results(out)) == 2
    again = run("study", "tiny", *ASKED, "--scales=2,4", "--rows=floor", "--out", out)
    assert again.stdout == made.stdout
    assert "of 2" not in again.stderr


@pytest.mark.usefixtures("tiny")
def test_only_the_table(tmp_path: Path) -> None:
    write_made_up(tmp_path, request_of(), {"none": 30.0, "with": 31.0})
    shown = run("study", "tiny", *ASKED, "--no-train", "--out", tmp_path)
    assert shown.exit_code == 0
    assert "| learned, with post | **31.00** |" in shown.output
    assert not (tmp_path / "trainings").exists()


@pytest.mark.usefixtures("tiny", "prepared")
def test_what_is_not_possible_is_said_after_the_rest(tmp_path: Path) -> None:
    result = run("study", "tiny", *ASKED[:-2], "--scales", "4", "5", "--rows", "floor", "--out", tmp_path)
    assert_refused(result_without_progress(result), "trainings that were not possible", "crops")
    assert len(all_results(tmp_path)) == 1
    assert "| bicubic + quadratic | –" in result.stdout


def result_without_progress(result: Result) -> Result:
    """Return a result whose error stream has the errors alone."""
    lines = [line for line in result.stderr.splitlines(keepends=True) if line.startswith(("error", "warning"))]
    result.stderr_bytes = "".join(lines).encode()
    return result


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tabel2",), "did you mean 'table2'"),
        (("table2", "--datasets", "cav"), "did you mean 'cave'"),
        (("table2", "--rows", "jsunet"), "did you mean 'jssunet'"),
        (("table2", "--budget", "lots"), "budget 'lots'"),
        (("table2", "--scales", "1"), "1 is not in the range"),
        (("table2", "4"), "unexpected extra argument"),
        (("merge", "nowhere", "-o", "out"), "holds no result cells"),
    ],
)
def test_bad_words(words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run("study", *words), message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("tiny")
def test_merging(tmp_path: Path) -> None:
    write_made_up(tmp_path / "a", request_of(), {"none": 30.0})
    write_made_up(tmp_path / "b", request_of(), {"with": 31.0})
    merged = run("study", "merge", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "c")
    assert merged.output == f"2 cells in {tmp_path / 'c'}\n"
