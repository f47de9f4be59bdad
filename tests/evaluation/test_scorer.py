from __future__ import annotations

from pathlib import Path

import pytest
import torch

import finewave as fw
from finewave.evaluation.scorer import Scorer

SOURCE = Path(__file__).parents[2] / "src" / "finewave"


def test_batches_are_scored_as_their_images_are() -> None:
    random = torch.Generator().manual_seed(3)
    batches = [{"x": torch.rand(n, 3, 12, 12, generator=random)} for n in (2, 1)]
    names = [["a", "b"], "c"]
    done = []
    scorer = Scorer(lambda batch: (0.9 * batch["x"], batch["x"]), 8, "sspsr")
    summary = scorer.over(zip(names, batches, strict=True), done.append)
    assert done == names
    images = [image for batch in batches for image in batch["x"]]
    by_hand = [fw.metrics.evaluate(0.9 * image, image, 8, convention="sspsr") for image in images]
    assert list(summary.by_image) == ["a", "b", "c"]
    assert list(summary.by_image.values()) == [pytest.approx(values) for values in by_hand]
    assert summary.means["sam"] == pytest.approx(sum(values["sam"] for values in by_hand) / 3)
    with pytest.raises(fw.InputError, match="no image was evaluated"):
        Scorer(lambda batch: (batch["x"], batch["x"]), 4).over([])


def test_nothing_else_accumulates_metrics() -> None:
    users = [path for path in SOURCE.rglob("*.py") if "MetricAccumulator(" in path.read_text(encoding="utf-8")]
    outside = [path.relative_to(SOURCE).as_posix() for path in users if path.parent.name != "metrics"]
    assert outside == ["evaluation/scorer.py"]
