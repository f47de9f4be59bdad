"""What consistent results and the mean over eight orientations are worth, on real scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from finewave.datasets.registry import open_scenes
from finewave.inference.super_resolve import super_resolve_with_spread
from finewave.metrics import evaluate
from finewave.physics.degradation import degrade
from finewave.scene import make_scene
from finewave.zoo.model import load_model
from finewave.zoo.observation_model import projection_of

SCENES = ("balloons", "beads", "cloth", "fake_and_real_food", "jelly_beans", "pompoms")
SIDE = 96
"""Of the middle of each scene, in pixels: a crop as in training."""


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")
def test_gains_on_validation_scenes(real_images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = load_model("jssunet-cave-x4", precision="float32")
    projection = projection_of(model)
    source = open_scenes("cave", SCENES)
    rows: dict[str, list[dict[str, float]]] = {}
    related = []
    for name in SCENES:
        whole = source.read(name)
        top, left = ((n - SIDE) // 2 for n in whole.shape[1:])
        values = whole[:, top : top + SIDE, left : left + SIDE].astype(np.float32) / source.full_scale(name)
        truth = torch.from_numpy(values)
        low = degrade(truth, 4, sensor=model.card.sensor, wavelengths=source.wavelengths)
        scene = make_scene(low.numpy(), wavelengths=model.card.ms_wavelengths_nm)
        plain = model.with_pooling("local").predict(lr_msi=low[None])[0]
        ensemble, spread = super_resolve_with_spread(scene, model)
        mean = torch.from_numpy(ensemble.values)
        results = {"plain": plain, "self-ensemble": mean}
        for key, each in {"consistent": plain, "both": mean}.items():  # the mean of projections is that of the mean
            results[key] = projection(each[None], {"lr_msi": low[None]})[0]
        errors = {key: float((each - truth).square().mean()) for key, each in results.items()}
        # the truth is among the images that give back the input: a projection on them is never farther from it
        assert errors["consistent"] <= errors["plain"]
        assert errors["both"] <= errors["self-ensemble"]
        related.append(np.corrcoef(spread.values.ravel(), np.abs(ensemble.values - values).ravel())[0, 1])
        for key, each in results.items():
            rows.setdefault(key, []).append(evaluate(each, truth, scale=4))
    with capsys.disabled():
        for key, scores in rows.items():
            means = {metric: np.mean([each[metric] for each in scores]) for metric in ("psnr", "ssim", "sam", "ergas")}
            print("\n" + key, *(f"{metric} {value:.4f}" for metric, value in means.items()), end="")
        told = f"{min(related):.2f} to {max(related):.2f}, mean {np.mean(related):.2f}"
        print(f"\ncorrelation of spread and error: {told}", end="")
    assert np.mean(related) > 0.2
