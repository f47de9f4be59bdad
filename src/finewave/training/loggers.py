"""Where the losses and scores of a training are logged: files in its folder, and services by request."""

from __future__ import annotations

import importlib.util
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from finewave.errors import InputError, unknown_name

PROJECT = "finewave"


@contextmanager
def phase_loggers(folder: Path, name: str, services: Sequence[str] = ()) -> Iterator[list[Logger]]:
    """Yield the loggers of a phase: CSV and TensorBoard files in its folder, and those of services.

    Parameters
    ----------
    folder : Path
        Of the phase, ``<run>/<phase>``.
    name : str
        Of the recipe; the run is called ``<name>/<phase>`` in a service.
    services : sequence of str
        Names of `SERVICES`. Address and credentials are set by their own environment variables, e.g.
        ``WANDB_MODE``, ``MLFLOW_TRACKING_URI``.
    """
    if not (folder / "done").exists():
        # Lightning keeps one that is there, also what a full disk left of it
        (folder / "tensorboard" / "hparams.yaml").unlink(missing_ok=True)
    files = [CSVLogger(folder, name="", version="csv"), TensorBoardLogger(folder, name="", version="tensorboard")]
    loggers = [*files, *(SERVICES[service](folder, f"{name}/{folder.name}") for service in services)]
    try:
        yield loggers
    finally:
        for logger in loggers:
            if isinstance(logger, WandbLogger):  # otherwise the next phase would log to the same run
                logger.experiment.finish()


def check_services(services: Sequence[str]) -> None:
    """Raise an `InputError` for a service that does not exist, or whose package is not installed."""
    for service in services:
        if service not in SERVICES:
            raise unknown_name("service to log to", service, SERVICES)
        if importlib.util.find_spec(service) is None:
            raise InputError(f"logging to {service} needs its package, which is not installed: pip install {service}")


def _wandb(folder: Path, run: str) -> Logger:
    identifier = _kept(folder / "wandb-run", lambda: uuid.uuid4().hex)
    return WandbLogger(project=PROJECT, name=run, id=identifier, save_dir=folder, resume="allow")


def _mlflow(folder: Path, run: str) -> Logger:
    # MLflow's own default; Lightning's, a folder of files, is refused by MLflow 3
    where = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")

    def new_run() -> str:
        return str(MLFlowLogger(experiment_name=PROJECT, tracking_uri=where, run_name=run).run_id)

    return MLFlowLogger(experiment_name=PROJECT, tracking_uri=where, run_id=_kept(folder / "mlflow-run", new_run))


def _kept(file: Path, make: Callable[[], str]) -> str:
    """Return a run's identifier from its file, which is made once: a training that resumes continues its run."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(make(), encoding="utf-8")
    return file.read_text(encoding="utf-8")


SERVICES: dict[str, Callable[[Path, str], Logger]] = {"mlflow": _mlflow, "wandb": _wandb}
