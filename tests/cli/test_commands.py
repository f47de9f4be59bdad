"""What the commands print, and how the program ends when something else goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from finewave.cli import main
from finewave.zoo.distribution.listing import list_models
from tests.cli.command_line import run

ROOT = Path(__file__).parents[2]
NAMES = [
    "anchors",
    "bench",
    "calibrate",
    "compare",
    "completion",
    "data",
    "demo",
    "evaluate",
    "export",
    "figure",
    "fit",
    "info",
    "models",
    "predict",
    "report",
    "sensors",
    "study",
    "train",
    "view",
]


def test_help_of_every_command() -> None:
    assert sorted(main.commands) == NAMES
    assert run("--help").exit_code == 0
    for name in main.commands:
        result = run(name, "--help")
        assert result.exit_code == 0
        assert name in result.stdout


def test_models_table(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path) -> None:
    monkeypatch.setattr("finewave.zoo.distribution.bundled_weights.weight_folders", lambda: {"tiny": tiny_weights})
    result = run("models")
    assert result.exit_code == 0
    header, _, *rows = result.stdout.splitlines()
    assert header.split() == ["name", "task", "sensor", "scale", "bands", "params", "score"]
    named = [row.split()[0] for row in rows if not row.startswith(" ")]
    assert named == list_models()
    place = next(i for i, row in enumerate(rows) if row.startswith("jssunet "))
    assert rows[place].split()[:2] == ["jssunet", "sssr"]
    card = json.loads((tiny_weights / "card.json").read_text())
    assert rows[place + 1].split()[:3] == ["tiny", card["sensor"], str(card["scale"])]
    assert f"{card['parameters']:,}" in rows[place + 1]
    assert next(row for row in rows if row.startswith("gsa ")).rstrip().endswith("needs no weights")


def test_models_says_sensor_scale_bands_and_score() -> None:
    row = next(each for each in run("models").stdout.splitlines() if each.startswith("  jssunet-cave-x4"))
    card = json.loads((ROOT / "weights/jssunet-cave-x4/card.json").read_text())
    score = card["metrics"]["cave/val"]["mean"]["psnr"]
    assert row.split()[:3] == ["jssunet-cave-x4", card["sensor"], "4"]
    assert " ".join(row.split()).endswith(f"3 -> 31 (400-700 nm) {card['parameters']:,} {score:.2f} dB on cave/val")


def test_models_shows_a_card() -> None:
    card = json.loads((ROOT / "weights/jssunet-cave-x4/card.json").read_text())
    shown = run("models", "jssunet-cave-x4")
    assert shown.exit_code == 0
    for words in ("nikon-d5100", "R, G, B", card["licence"], "psnr 29.7", str(card["parameters"])):
        assert words in shown.stdout
    assert json.loads(run("models", "jssunet-cave-x4", "--json").stdout) == card
    assert "jssunet-cave-x4, jssunet-cave-x8, jssunet-photo-x4" in run("models", "jssunet").stdout
    refused = run("models", "jssunet-cafe-x4")
    assert refused.exit_code == 2
    assert "did you mean 'jssunet-cave-x4'" in refused.stderr


@pytest.mark.parametrize("arguments", [["models"], ["models", "jssunet-cave-x4"], ["models", "--json"]])
def test_models_loads_no_large_library(arguments: list[str]) -> None:
    """What takes seconds to load is not needed to list names; the clock would tell as much, on a quiet machine."""
    code = (
        "import sys\nfrom finewave.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n"
        "    assert not end.code\nprint([m for m in ('torch', 'numpy', 'xarray', 'dask') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_evaluate_takes_baselines_by_name(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path, tmp_path: Path) -> None:
    scores = {"images": {}, "mean": {"psnr": 30.0}, "left_out": {}, "baselines": {"bicubic": {"psnr": 28.5}}}
    seen = []

    def evaluate_model(model: Any, *_: object, **__: object) -> dict:
        seen.append((model.name, model.scale, model.card.sensor, model.card.degradation))
        return scores

    monkeypatch.setattr("finewave.evaluation.evaluator.evaluate_model", evaluate_model)
    there = ("--dataset", "cave", "--split", "val", "-o", tmp_path / "scores.json")
    result = run("evaluate", "--model", "gsa", "--scale", 3, "--sensor", "srgb", "--kernel", "bicubic", *there)
    assert result.exit_code == 0, result.output
    assert seen == [("gsa", 3, "srgb", {"kernel": "bicubic", "scale": 3})]
    assert result.stdout.splitlines()[-2].split() == ["bicubic", "28.50"]
    result = run("evaluate", "--model", tiny_weights, "--scale", 3, *there)
    assert result.exit_code == 2
    assert "--scale, --sensor and --kernel are for baselines" in result.stderr


def test_data_list_and_download() -> None:
    assert "cave" in run("data", "list").stdout
    result = run("data", "download", "cave")
    assert result.exit_code == 0
    assert "https://" in result.stdout
    assert "finewave data prepare cave --from" in result.stdout


@click.command()
def broken() -> None:
    """Fail as a programming error does."""
    raise ZeroDivisionError("division\nby zero")


@click.command()
def interrupted() -> None:
    """Be stopped by the user."""
    raise KeyboardInterrupt


def test_programming_error_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(main.commands, "broken", broken)
    result = run("broken")
    assert result.exit_code == 1
    assert result.stderr == "error: unexpected ZeroDivisionError: division by zero; --debug shows where\n"


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(main.commands, "broken", broken)
    for arguments in (("--debug", "broken"), ("broken", "--debug")):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "Traceback" in result.stderr
    result = run("--debug", "predict", "nowhere.png", "-o", "out.tif", "--model", "m")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


def test_interrupt_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(main.commands, "interrupted", interrupted)
    result = run("interrupted")
    assert (result.exit_code, result.stderr.strip()) == (1, "error: interrupted")  # after the ^C on its line


def test_train_hands_over_recipe_and_overrides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = []

    def train(recipe: dict[str, Any], **_: Any) -> Path:
        given.append((recipe["name"], recipe["model"]["features"], recipe["seed"]))
        return tmp_path / "model"

    monkeypatch.setattr("finewave.training.trainer.train", train)
    result = run("train", "jssunet-cave-x4", "model.features=64", "seed=3")
    assert result.exit_code == 0, result.output
    assert given == [("jssunet-cave-x4", 64, 3)]
    assert str(tmp_path / "model") in result.stdout


def test_evaluate_prints_a_table_and_writes_json(
    monkeypatch: pytest.MonkeyPatch, tiny_weights: Path, tmp_path: Path
) -> None:
    scores = {
        "images": {"cloth": {"psnr": 30.12345, "sam": 9.5}, "beads": {"psnr": 28.0, "sam": 11.25}},
        "mean": {"psnr": 29.0617, "sam": 10.375},
        "left_out": {"zero_spectra": 17, "dark_bands": 0},
    }

    def evaluate_model(model: object, dataset: str, split: str, **_: object) -> dict:
        assert (repr(model)[:11], dataset, split) == ("Model(tiny:", "cave", "val")
        return scores

    monkeypatch.setattr("finewave.evaluation.evaluator.evaluate_model", evaluate_model)
    out = tmp_path / "scores.json"
    result = run("evaluate", "--model", tiny_weights, "--dataset", "cave", "--split", "val", "-o", out)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["image", "PSNR", "(dB)", "SAM", "(°)"]
    assert lines[2] == ["cloth", "30.12", "9.50"]
    assert lines[4] == ["mean", "29.06", "10.38"]
    assert "17 zero spectra" in result.stdout
    assert "dark bands" not in result.stdout
    assert json.loads(out.read_text()) == scores
