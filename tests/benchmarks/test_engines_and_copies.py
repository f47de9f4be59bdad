"""Measurements of other engines and of copies: what they count, on networks that are made here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import copies, engines
from benchmarks.engines_report import page_of, winners
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
    monkeypatch.setattr(engines, "pairs", lambda model, split="val", **options: iter(crops))
    images, truth = crops[0]
    small = engines.in_onnxruntime(lambda: engines.quantised(model, tmp_path, (16, 16)))(images)
    plain = engines.in_onnxruntime(lambda: engines.exported(model, tmp_path, (16, 16)))(images)
    difference = (small - model.run(images)).abs().max()
    assert (plain - model.run(images)).abs().max() < 1e-4 < difference < 0.1
    found = engines.scores_of(lambda _: truth[None], [(images, truth)], 2)
    assert found["sam"] == pytest.approx(0, abs=0.1)


def test_an_engine_that_fails_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = create_model("bicubic", scale=2, hs_bands=3)
    model = Model(net, describe(net), precision="float32")
    crops = [({"lr_hsi": torch.rand(1, 3, 8, 8)}, torch.rand(3, 16, 16))]
    monkeypatch.setattr(engines, "load_model", lambda name: model)
    monkeypatch.setattr(engines, "pairs", lambda model, split="val", **options: iter(crops))
    monkeypatch.setattr(engines, "SECONDS", 0)

    def fails() -> engines.Runner:
        raise RuntimeError("no such operator\nat all")

    makers = {"PyTorch float32": lambda: model.run, "Other": fails, "Left out": fails}
    monkeypatch.setattr(engines, "engines_of", lambda *_: makers)
    times = engines.measure_model("b", tmp_path / "b", "times", "pytorch, other")
    assert times["Other"] == {"error": "RuntimeError: no such operator"}
    assert times["PyTorch float32"]["seconds"] > 0
    assert times["PyTorch float32"]["default"]
    assert set(times) == {"PyTorch float32", "Other"}
    losses = engines.measure_model("b", tmp_path / "b", "losses", "float32")
    assert losses["PyTorch float32"]["psnr"] == 0


MACHINE = {"cores": 2, "processor": "P", "threads": 2, "load": 0.1, "torch": "2", "gpu": None, "date": "1 May"}
MACHINE |= {"amx_bf16": False, "avx512_bf16": True, "commit": "a1"}


def test_the_page_says_which_engine_wins_within_the_bounds(tmp_path: Path) -> None:
    def timed(seconds: float, default: bool = False) -> dict[str, object]:
        return {"seconds": seconds, "runs": 3, "default": default}

    nothing = {"psnr": 0.0, "ssim": 0.0, "sam": 0.0}
    losses = {"quick": nothing, "coarse": {**nothing, "psnr": -0.2}, "PyTorch float32": nothing}
    times = {"PyTorch float32": timed(1.3, True), "quick": timed(1.0), "coarse": timed(0.5)}
    figures: dict[str, object] = {}
    for name in ("a", "b"):
        engines.with_measured(figures, "losses", name, losses, MACHINE)
        engines.with_measured(figures, "times", name, times, MACHINE)
    assert winners(figures["times"], figures["losses"]) == ["quick"]
    engines.with_measured(figures, "times", "b", {"quick": timed(1.1)}, {**MACHINE, "amx_bf16": True, "commit": "b2"})
    assert winners(figures["times"], figures["losses"]) == []  # nothing is known of the default there
    engines.with_measured(figures, "losses", "b", {"quick": {"error": "InputError: no file | at all"}}, MACHINE)
    engines.write_figures(tmp_path, figures)
    page = (tmp_path / "performance-engines.md").read_text()
    assert "| `a` | float32 | 1.3 s (1.00) | 1 s (1.30) | 500 ms (2.60) |" in page
    assert "2 cores of P with AVX-512, 2 threads, load 0.1 at most; PyTorch 2, 1 May, commit a1." in page
    assert "None is, so `finewave predict` has no option for one." in page.replace("\n", " ")
    assert "| `b` | quick | no file / at all |" in page
    assert engines.read_figures(tmp_path) == figures


def test_the_page_of_the_repository_is_what_the_figures_give() -> None:
    folder = Path(__file__).parents[2] / "docs"
    assert (folder / "performance-engines.md").read_text() == page_of(engines.read_figures(folder))
