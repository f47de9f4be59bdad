"""Measurements of other engines and of copies: what they count, on networks that are made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import copies, engines
from finewave.systems.registry import create_model
from finewave.zoo.card import describe
from finewave.zoo.model import Model


def test_new_memory_is_counted_and_views_are_not() -> None:
    image = torch.zeros(4, 8, 8)
    with copies.NewMemory(4 * 256) as counted:
        image[:, 2:].permute(1, 0, 2)
        image.add_(1)
        image[:1].clone()  # small
        assert not counted.made[False]
        counted.inside = True
        image.mT.contiguous()
    assert dict(counted.made[True]) == {"clone": 4 * 256}
    assert not counted.made[False]


def test_a_tile_around_the_network_is_not_copied() -> None:
    net = create_model("bicubic", scale=2, hs_bands=4)
    model = Model(net, describe(net, wavelengths_nm=[450.0, 500.0, 550.0, 600.0]))
    counted, output, peak = copies.measure(model)
    assert output == 4 * 4 * 512**2
    assert counted.made[True]["upsample_bicubic2d"] >= output
    assert not counted.made[False]
    assert peak < output


@pytest.mark.skipif(not engines.has_quantisation(), reason="onnx and onnxruntime are optional")
def test_int8_is_close_to_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = create_model("jssunet-sr", scale=2, hs_bands=3, stages=1, features=8)
    model = Model(net, describe(net), precision="float32")
    crops = [({"lr_hsi": torch.rand(1, 3, 16, 16)}, torch.rand(3, 32, 32)) for _ in range(3)]
    monkeypatch.setattr(engines, "pairs", lambda model, scenes: iter(crops))
    images, truth = crops[0]
    small = engines.in_onnxruntime(lambda: engines.quantised(model, tmp_path, (16, 16)))(images)
    plain = engines.in_onnxruntime(lambda: engines.exported(model, tmp_path, (16, 16)))(images)
    difference = (small - model.run(images)).abs().max()
    assert (plain - model.run(images)).abs().max() < 1e-4 < difference < 0.1
    found = engines.measured(lambda: lambda _: truth[None], [(images, truth)], 2)
    assert found["sam"] == pytest.approx(0, abs=0.1)
    assert np.isfinite(found["seconds"])
