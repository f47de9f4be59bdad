from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

from finewave.metrics import METRICS, evaluate
from finewave.metrics.description import in_words

SOURCE = Path(__file__).parents[2] / "src" / "finewave"


def test_the_best_value_is_that_of_equal_images() -> None:
    image = torch.rand(4, 16, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = evaluate(image, image)
    assert list(values) == list(METRICS)
    assert values == pytest.approx({name: metric.best for name, metric in METRICS.items()}, abs=1e-5)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    little, much = (evaluate(image + amount * noise, image) for amount in (0.01, 0.1))
    for name, metric in METRICS.items():
        assert (little[name] > much[name]) == metric.higher_is_better, name


def test_values_as_printed() -> None:
    assert METRICS["ssim"].text(0.98765) == "0.9877"
    assert (METRICS["psnr"].text(math.nan), METRICS["psnr"].text(math.inf)) == ("–", "∞")
    assert in_words({"psnr": 30.126, "sam": 9.5, "ssim": 1.0}) == "30.13 dB, 9.50°, 1.0000"
    assert [METRICS[name].direction for name in ("psnr", "cc", "rmse")] == [
        "higher is better",
        "1 is best",
        "0 is best",
    ]


def test_labels_stand_in_one_place() -> None:
    stated = re.compile(r"""["'](PSNR|SSIM|SAM|ERGAS|RMSE)( \([^)]*\))?["']""")
    found = [
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if stated.search(path.read_text("utf-8"))
    ]
    assert found == ["metrics/description.py"]
