"""What scripts rely on: one JSON document on standard output, quiet, completion, an example for every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import Result

import finewave as fw
from finewave.cli import main
from finewave.cli.terminal.progress import Progress
from finewave.cli.terminal.streams import print_json, quietness
from finewave.datasets.registry import list_datasets
from finewave.scene import make_scene
from finewave.zoo.distribution.listing import list_models
from tests.cli.command_line import run, warnings_of
from tests.studies.conftest import prepared, request_of, tiny, write_made_up  # noqa: F401 - fixtures
from tests.test_docs import commands_in, parse
from tests.training.conftest import small_store  # noqa: F401 - a fixture


def all_commands(command: click.Command = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command with the words that call it, groups included."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path[-1] if path else "finewave")
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from all_commands(inner, (*path, name))


PATHS = [path for path, _ in all_commands()]


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_shows_an_example_that_parses(path: tuple[str, ...]) -> None:
    result = run(*path, "--help")
    assert result.exit_code == 0
    shown = result.stdout.partition("Example")[2]
    examples = commands_in(shown.partition(":")[2])
    assert examples, f"finewave {' '.join(path)} --help shows no example"
    for words in examples:
        assert words[0] == "finewave"
        assert tuple(words[1 : 1 + len(path)]) == path, "an example of another command"
        parse(main, words[1:])


def test_models_as_json(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path) -> None:
    monkeypatch.setattr("finewave.zoo.distribution.bundled_weights.weight_folders", lambda: {"tiny": tiny_weights})
    told = document(run("models", "--task", "sssr", "--json"))
    assert [one["name"] for one in told] == list_models("sssr")
    (mine,) = next(one for one in told if one["name"] == "jssunet")["weights"]
    assert mine["name"] == "tiny"
    assert run("models", "--task", "ssssr").exit_code == 2


def test_predict_as_json(photograph: Path, tiny_weights: Path, tmp_path: Path) -> None:
    result = run("predict", photograph, "-o", tmp_path / "out.tif", "--model", tiny_weights, "--json")
    assert document(result) == {"model": str(tiny_weights), "written": [str(tmp_path / "out.tif")]}
    assert warnings_of(result), "warnings stay on the error stream"


def test_an_error_leaves_no_document(tmp_path: Path) -> None:
    result = run("predict", tmp_path / "none.tif", "-o", tmp_path / "out.tif", "--model", "m", "--json")
    assert (result.exit_code, result.stdout) == (2, "")


def test_evaluate_as_json(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path, tmp_path: Path) -> None:
    def evaluate_model(*_: object, progress: Any, count: Any, **__: object) -> dict:
        for number in (1, 2):
            progress(f"image {number}")
            count(number, 2)
        print("a library says something")
        return {"images": {}, "mean": {"psnr": float("nan")}, "left_out": {}}

    monkeypatch.setattr("finewave.evaluation.evaluator.evaluate_model", evaluate_model)
    words = ("evaluate", "--model", tiny_weights, "--dataset", "cave", "-o", tmp_path / "scores.json", "--json")
    result = run(*words)
    told = document(result)
    assert told["mean"] == {"psnr": None}
    assert told["written"] == str(tmp_path / "scores.json")
    assert "a library says something" in result.stderr
    assert "image 2" in result.stderr
    quiet = run("--quiet", *words)
    assert document(quiet) == told
    assert quiet.stderr == ""


def test_data_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEWAVE_PREPARED", str(tmp_path / "prepared"))
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path / "data"))
    (tmp_path / "scenes").mkdir()
    for name in ("north", "south", "west"):
        scene = make_scene(np.full((3, 8, 8), 0.3, np.float32), wavelengths=[450.0, 550.0, 650.0])
        fw.save_scene(scene, tmp_path / "scenes" / f"{name}.tif")
    words = ("data", "prepare", "mine", "--own", "--from", tmp_path / "scenes", "--json")
    result = run(*words)
    assert document(result) == {"prepared": str(tmp_path / "prepared" / "mine.zarr")}
    assert "3 of 3" in result.stderr
    listed = document(run("data", "list", "--json"))
    assert [one["name"] for one in listed] == list_datasets()
    assert listed[-1]["state"] == "prepared"
    assert document(run("data", "show", "mine", "--json"))["wavelengths_nm"] == [450.0, 550.0, 650.0]
    told = document(run("data", "download", "cave", "--json"))
    assert told["fetched"] == []
    assert told["instructions"]


def test_figure_and_report_as_json(georeferenced: Path, tmp_path: Path) -> None:
    told = document(run("figure", georeferenced, "-o", tmp_path / "figure.png", "--dpi", 50, "--json"))
    assert told["written"] == str(tmp_path / "figure.png")
    assert told["caption"]
    told = document(run("report", georeferenced, "-o", tmp_path / "report.html", "--json"))
    assert told == {"written": str(tmp_path / "report.html"), "bytes": (tmp_path / "report.html").stat().st_size}


def test_bench_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2] / "docs" / "performance.json"
    told = document(run("bench", "--from", page, "--json"))
    assert told["results"]
    monkeypatch.chdir(tmp_path)
    result = run("bench", "--from", page, "--json", "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text()) == told
    assert "written: figures.json" in result.stdout


@pytest.mark.usefixtures("tiny")
def test_study_as_json(tmp_path: Path) -> None:
    write_made_up(tmp_path, request_of(), {"none": 30.0, "with": 31.0})
    asked = ("--datasets", "cave", "--split", "val", "--budget", "4steps", "--no-train", "--out", tmp_path, "--json")
    told = document(run("study", "tiny", *asked))
    rows = {row["key"]: row for row in told["blocks"][0]["rows"]}
    assert rows["with"]["values"]["psnr"]["mean"] == pytest.approx(31.0)
    assert all(Path(path).exists() for path in told["written"])


def test_train_as_json(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path) -> None:
    def train(recipe: dict[str, Any], **_: Any) -> Path:
        print("step 30  loss 0.1")
        return tiny_weights

    monkeypatch.setattr("finewave.training.trainer.train", train)
    result = run("train", "jssunet-cave-x4", "--json")
    assert document(result)["model"] == str(tiny_weights)
    assert "step 30" in result.stderr
    assert "step 30" not in run("train", "jssunet-cave-x4", "--quiet").output
    assert "step 30" in run("train", "jssunet-cave-x4").stdout


def test_documents_are_json_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"nan": float("nan"), "list": (float("inf"), Path("a/b"), 1), 4: None})
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert told == {"nan": None, "list": [None, "a/b", 1], "4": None}


def test_progress_says_what_is_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("finewave.cli.terminal.progress.QUIET_SECONDS", 0)
    clock = iter(range(0, 100_000, 600))
    monkeypatch.setattr("finewave.cli.terminal.progress.time.monotonic", lambda: next(clock))
    with Progress("download", in_bytes=True) as progress:
        for done in (1_000_000, 2_000_000):
            progress(done, 4_000_000)
        progress(500_000, 1_000_000)  # the next file
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == "download: 1.0 of 4.0 MB"
    assert second.startswith("download: 2.0 of 4.0 MB, ")
    assert second.endswith(" left")
    assert third == "download: 0.5 of 1.0 MB"
    with quietness(True), Progress("download") as progress:
        progress(5, 10)
        progress.note("a line")
    assert capsys.readouterr().err == ""


def complete(*words: str) -> list[str]:
    """Ask for completions of the last word, as bash does, in a process of its own; return them without their kind."""
    environment = os.environ | {
        "_FINEWAVE_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["finewave", *words]),
        "COMP_CWORD": str(len(words)),
    }
    code = (
        "import sys; from finewave.cli import main\n"
        "try:\n    main(prog_name='finewave')\n"
        "finally:\n    print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "False", "completion loads PyTorch"
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pre"], {"predict"}),
        (["data", "pre"], {"prepare"}),
        (["predict", "--rest"], {"--restart"}),
        (["predict", "a.tif", "--model", "jssunet-p"], {"jssunet-photo-x4"}),
        (["evaluate", "--model", "quad"], {"quadratic"}),
        (["evaluate", "--dataset", "pavia-u"], {"pavia-university"}),
        (["evaluate", "--sensor", "nikon-d5"], {"nikon-d5100"}),
        (["train", "awan-cave-s"], {"awan-cave-short"}),
        (["train", "awan-cave-short", "phase1.val"], {"phase1.validate_every="}),
        (["study", "table4", "--rows", "no"], {"none"}),
        (["study", "table4", "--rows", "none", "km"], {"kmeans"}),
        (["study", "table4", "--protocol", "ss"], {"sspsr", "ssc-hsr"}),
        (["bench", "mst"], {"mst++", "mstpp-cave"}),
        (["completion", "f"], {"fish"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_names_are_completed(words: list[str], expected: set[str]) -> None:
    assert set(complete(*words)) == expected


def test_files_are_left_to_the_shell() -> None:
    environment = {"_FINEWAVE_COMPLETE": "bash_complete", "COMP_WORDS": "finewave train runs/my", "COMP_CWORD": "2"}
    code = "from finewave.cli import main; main(prog_name='finewave')"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True)
    assert done.stdout.strip() == "file,runs/my"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_FINEWAVE_COMPLETE={shell}_complete" in result.stdout
    if shell == "bash":
        checked = subprocess.run(["bash", "-n"], input=result.stdout, text=True, capture_output=True)
        assert checked.returncode == 0, checked.stderr
    assert run("completion", "tcsh").exit_code == 2
