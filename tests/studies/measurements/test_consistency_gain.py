"""What consistent results gain, through the study's own functions, on made-up scenes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from finewave.errors import InputError
from finewave.studies.measurements import consistency_gain
from finewave.studies.measurements.consistency_gain import ROWS, consistency_study
from finewave.zoo.model import Model
from tests.cli.command_line import assert_refused, run
from tests.inference.test_consistent import OUTPUT_NM, SENSOR, model_of


class Rectangles:
    """Two scenes of grey rectangles, in percent."""

    wavelengths = OUTPUT_NM
    companions: tuple[str, ...] = ()

    def read(self, name: str, companion: str | None = None) -> np.ndarray:
        random, image = np.random.default_rng(len(name)), np.full((len(OUTPUT_NM), 200, 208), 30, np.float32)
        for _ in range(150):
            top, left, rows, columns = random.integers(0, 200, 2).tolist() + random.integers(4, 30, 2).tolist()
            image[:, top : top + rows, left : left + columns] = random.uniform(10, 90, (len(OUTPUT_NM), 1, 1))
        return image

    def full_scale(self, name: str) -> float:
        return 100.0


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr(consistency_gain, "known_split", lambda dataset: {"val": ("one", "three")})
    monkeypatch.setattr(consistency_gain, "open_scenes", lambda dataset, names: Rectangles())
    return model_of("bicubic", card={"degradation": {"kernel": "gaussian"}, "sensor": SENSOR}, scale=2)


def test_every_case_and_row_has_its_figures(model: Model) -> None:
    lines: list[str] = []
    study = consistency_study(model, "any", "val", widths=(2.0, 4.0), noise=0.02, crop=100, say=lines.append)
    assert [(case["fwhm"], case["noise"]) for case in study["cases"]] == [(2, 0), (2, 0.02), (4, 0), (4, 0.02)]
    assert len(lines) == 4
    clean, noisy, wide, _ = study["cases"]
    assert tuple(clean["rows"]) == ROWS
    assert clean["rows"]["damped"]["psnr"] > 0.5
    assert clean["rows"]["damped"]["sam"] < 0
    assert noisy["rows"]["exact"]["psnr"] < -0.3 < -0.05 < noisy["rows"]["damped"]["psnr"]
    assert all(each["contradicts"] for each in wide["images"].values())
    assert not any(each["contradicts"] for each in clean["images"].values())
    # a blur that is known is worth more than to doubt the card's
    assert wide["rows"]["blur given"]["psnr"] > wide["rows"]["damped"]["psnr"] + 0.5
    gains = [each["damped"]["psnr"] - each["plain"]["psnr"] for each in clean["images"].values()]
    assert clean["rows"]["damped"]["psnr"] == pytest.approx(np.mean(gains))
    assert clean["rows"]["damped"]["worst_psnr"] == pytest.approx(min(gains))
    json.dumps(study)


def test_what_cannot_be_scored_is_refused(model: Model) -> None:
    options: dict[str, Any] = {"widths": (2.0,), "noise": 0.01}
    with pytest.raises(InputError, match="split 'test'"):
        consistency_study(model, "any", "test", **options)
    with pytest.raises(InputError, match="crop=4000 is out of range"):
        consistency_study(model, "any", "val", crop=4000, **options)
    with pytest.raises(InputError, match="a model whose card names sensor and degradation is needed"):
        consistency_study(Model(model.net), "any", "val", **options)


def test_widths_that_are_none_are_refused() -> None:
    for wrong in ("wide", "0", "4,-1"):
        assert_refused(run("study", "consistency", "--model", "bicubic", "--fwhm", wrong), "--fwhm", "4,6")
