"""The sweep over cases that training did not have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.datasets.store import Store
from finewave.errors import InputError
from finewave.evaluation.evaluator import baseline_for
from finewave.studies.measurements.robustness import cases_for, ranked, sweep
from tests.training.conftest import small_store  # noqa: F401 - fixture


def test_cases_of_each_task() -> None:
    names = {task: [case.name for case in cases_for(task, 4, "nikon-d5100")] for task in ("ssr", "sr", "sssr")}
    assert names["ssr"] == ["nominal", "noise of 30 dB", "camera nikon-d700"]
    assert "camera nikon-d700" not in names["sr"]
    assert set(names["sr"]) | set(names["ssr"]) == set(names["sssr"])
    assert [case.name for case in cases_for("ssr", 1, "sentinel2a:B2,B3,B4,B8")] == ["nominal", "noise of 30 dB"]
    widths = [case.degradation.get("fwhm") for case in cases_for("sr", 4, "nikon-d5100")]
    assert widths == [None, 3.0, 5.0, None, None, None]


def test_a_case_by_hand_and_what_is_there_is_kept(small_store: Path, tmp_path: Path) -> None:  # noqa: F811
    """Bicubic interpolation of a scene that was blurred otherwise, and with noise."""
    store, path = Store(small_store), tmp_path / "sweep.json"
    result = sweep("sr", path, store=store, scale=4)
    truth = torch.from_numpy(store.read("scene3").astype(np.float32))[None] / 65535
    bicubic = fw.Model(fw.create_model("bicubic", scale=4))
    rows = result["rows"]["bicubic"]["cases"]
    wide = fw.degrade(truth, 4, fwhm=5.0)
    expected = fw.metrics.psnr(bicubic.predict(lr_hsi=wide)[0], truth[0])
    assert rows["FWHM 25 % wider"]["images"]["scene3"]["psnr"] == pytest.approx(expected, abs=1e-3)
    # white noise of a thousandth of the power of a smooth image, smoothed by interpolation, hides what blur leaves
    assert rows["noise of 30 dB"]["mean"]["psnr"] < rows["nominal"]["mean"]["psnr"]
    order = ranked(result)
    assert [psnr for _, _, psnr in order] == sorted((psnr for _, _, psnr in order), reverse=True)
    name, case, psnr = order[-1]
    assert psnr == min(each["mean"]["psnr"] for each in result["rows"][name]["cases"].values())
    assert case in result["rows"][name]["cases"]

    saved = json.loads(path.read_text())
    assert saved == result
    saved["rows"]["bicubic"]["cases"]["nominal"]["mean"]["psnr"] = 1.0  # a mark: not made again
    del saved["rows"]["back-projection"]
    path.write_text(json.dumps(saved))
    lines: list[str] = []
    again = sweep("sr", path, store=store, scale=4, say=lines.append)
    assert again["rows"]["bicubic"]["cases"]["nominal"]["mean"]["psnr"] == 1.0
    assert again["rows"]["back-projection"] == result["rows"]["back-projection"]
    assert len(lines) == len(rows)
    with pytest.raises(InputError, match="is not of this sweep: its protocol or scenes differ"):
        sweep("sr", path, store=store, scale=2)


def test_rows_of_other_weights_are_made_again(small_store: Path, tmp_path: Path) -> None:  # noqa: F811
    """A folder of one name may hold other weights than when the row was stored."""
    store, path, folder = Store(small_store), tmp_path / "sweep.json", tmp_path / "mine"
    facts = {"sensor": "nikon-d5100", "degradation": {"kernel": "gaussian", "scale": 4}}
    for features in (4, 5):
        net = fw.create_model("edsr", scale=4, features=features, blocks=1)
        card = fw.Model(net).save(folder, **facts) and fw.load_model(folder).card
        lines: list[str] = []
        row = sweep("sr", path, store=store, models=[str(folder)], say=lines.append)["rows"][str(folder)]
        assert row["sha256"] == card.sha256
        assert sum(line.startswith(str(folder)) for line in lines) == len(row["cases"])
    assert sweep("sr", path, store=store, models=[str(folder)], say=lines.append)["rows"]["bicubic"]["sha256"] is None
    assert sum(line.startswith(str(folder)) for line in lines) == len(row["cases"])  # not once more


def test_a_part_of_each_scene(small_store: Path, tmp_path: Path) -> None:  # noqa: F811
    """The middle of input and truth alike, by the camera of the case."""
    store = Store(small_store)
    result = sweep("ssr", tmp_path / "part.json", store=store, crop=20)
    cases = result["rows"]["quadratic regression"]["cases"]
    truth = torch.from_numpy(store.read("scene3").astype(np.float32))[None] / 65535
    quadratic = baseline_for("quadratic", "cave", store=store)
    for name, camera in (("nominal", "nikon-d5100"), ("camera nikon-d700", "nikon-d700")):
        seen = fw.degrade(truth, 1, sensor=camera, wavelengths=store.wavelengths)
        middle = slice(14, 34)
        expected = fw.metrics.psnr(quadratic.predict(hr_msi=seen)[0, :, middle, middle], truth[0, :, middle, middle])
        assert cases[name]["images"]["scene3"]["psnr"] == pytest.approx(expected, abs=1e-3)
    with pytest.raises(InputError, match="crop=100 is out of range; 1 to 48 HR pixels"):
        sweep("ssr", tmp_path / "more.json", store=store, crop=100)
    with pytest.raises(InputError, match="jssunet-cave-x4 is a model for sssr at scale 4; here ssr at 1"):
        sweep("ssr", tmp_path / "other.json", store=store, models=["jssunet-cave-x4"])
