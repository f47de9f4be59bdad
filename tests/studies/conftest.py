"""A prepared data set small enough to run studies on, and results that nobody trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from finewave.evaluation.protocols import PROTOCOLS
from finewave.metrics import METRICS
from finewave.studies.definitions import catalogue
from finewave.studies.experiment import Cell, StudyRequest
from finewave.studies.results import write_result
from finewave.studies.study_request import request_cells
from tests.studies.tiny import CROPS, STUDY
from tests.training.conftest import small_store  # noqa: F401 - a fixture


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The study ``tiny`` by name."""
    monkeypatch.setitem(catalogue.STUDIES, "tiny", STUDY)
    monkeypatch.setitem(PROTOCOLS, "tiny", CROPS)


@pytest.fixture
def prepared(small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """Four small scenes where the prepared CAVE is looked for."""
    folder = tmp_path / "prepared"
    shutil.copytree(small_store, folder / "cave.zarr")
    monkeypatch.setenv("FINEWAVE_PREPARED", str(folder))
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path / "none"))
    return folder


def request_of(**said: Any) -> StudyRequest:
    """Return a request for the tiny study on the validation scene."""
    return request_cells("tiny", **{"datasets": ["cave"], "split": "val", "budget": "4steps", **said})


def made_up(cell: Cell, values: dict[str, dict[str, float]], **more: Any) -> dict[str, Any]:
    """Return the result of a cell with given metrics by image; the rest are 1."""
    images = {name: {**dict.fromkeys(METRICS, 1.0), **metrics} for name, metrics in values.items()}
    mean = {metric: sum(image[metric] for image in images.values()) / len(images) for metric in METRICS}
    scenes = {name.partition("[")[0] for name in images}
    return {
        "facts": cell.facts,
        "images": images,
        "mean": mean,
        "scenes_sha256": {name: f"sha of {name}" for name in sorted(scenes)},
        "finewave": "0.1",
        "commit": {"training": "abc", "scoring": "abc"},
        "hardware": {},
        "seconds": {},
        **more,
    }


def write_made_up(out: Path, request: StudyRequest, psnr: dict[str, list[float] | float], **more: Any) -> None:
    """Write cells of the first seed: for each row the PSNR of its scenes."""
    for row in request.rows:
        if row.key in psnr:
            values = psnr[row.key]
            values = values if isinstance(values, list) else [values]
            images = {f"scene{i}": {"psnr": value} for i, value in enumerate(values)}
            write_result(out, made_up(request.cell(row, "cave", request.scales[0]), images, **more))
