"""Services beside the files: runs that continue, packages that are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from finewave.cli import main
from finewave.errors import InputError
from finewave.training import loggers


class Recorded:
    """A logger of a service, with what it was made with."""

    made = 0

    def __init__(self, **options: Any) -> None:
        self.options, self.experiment, self.finished = options, self, False

    def finish(self) -> None:
        self.finished = True

    @property
    def run_id(self) -> str:
        Recorded.made += 1
        return f"run {Recorded.made}"


def test_files_only_by_default(tmp_path: Path) -> None:
    with loggers.phase_loggers(tmp_path, "net") as made:
        assert [type(each) for each in made] == [CSVLogger, TensorBoardLogger]


@pytest.mark.parametrize(("service", "identifier"), [("wandb", "id"), ("mlflow", "run_id")])
def test_a_resumed_phase_continues_its_run(
    service: str, identifier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loggers, "WandbLogger", type("Wandb", (Recorded,), {}))
    monkeypatch.setattr(loggers, "MLFlowLogger", type("MLFlow", (Recorded,), {}))
    runs = []
    for phase in ("phase1", "phase1", "phase2"):
        with loggers.phase_loggers(tmp_path / phase, "net", [service]) as made:
            assert not made[-1].finished  # type: ignore[attr-defined]
        assert made[-1].finished == (service == "wandb")  # type: ignore[attr-defined]
        runs.append(made[-1].options[identifier])  # type: ignore[attr-defined]
    assert runs[0] == runs[1] != runs[2]


def test_a_missing_package_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = loggers.importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "wandb" else find(name, *rest))
    out = tmp_path / "run"
    done = CliRunner().invoke(main, ["train", "mstpp-cave-short", f"out={out}", "--log", "wandb"])
    assert done.exit_code == 2
    assert "pip install wandb" in done.stderr
    assert not out.exists()


def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'wandb'"):
        loggers.check_services(["wand"])
