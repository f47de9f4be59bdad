from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.data.crops import Sample
from finewave.data.store import Store
from finewave.learning.evaluation import BASELINE, evaluate_model
from finewave.learning.regression import QuadraticRegression
from finewave.models.pretrained import Model
from finewave.models.registry import create_model
from finewave.nn.sampling import bicubic


def sample(seed: int) -> Sample:
    torch.manual_seed(seed)
    lr_msi = torch.rand(1, 3, 4, 5)
    x = bicubic(lr_msi, (16, 20))
    terms = torch.cat((torch.ones_like(x[:, :1]), x, x**2, x[:, :1] * x[:, 1:2], x[:, 1:2] * x[:, 2:]), 1)
    torch.manual_seed(0)
    mix = torch.rand(6, terms.shape[1])
    return {"lr_msi": lr_msi, "hr_hsi": torch.einsum("kc,bchw->bkhw", mix, terms)}


def test_the_regression_finds_a_quadratic_map() -> None:
    fitted = QuadraticRegression(sample(seed) for seed in (1, 2))
    unseen = sample(3)
    torch.testing.assert_close(fitted(unseen), unseen["hr_hsi"], rtol=1e-4, atol=1e-5)


def test_the_regression_is_the_least_squares_one() -> None:
    """On noise, no small change of the coefficients fits better."""
    torch.manual_seed(1)
    noisy = {"lr_msi": torch.rand(1, 3, 4, 4), "hr_hsi": torch.rand(1, 5, 16, 16)}
    fitted = QuadraticRegression([noisy])

    def error() -> float:
        return ((fitted(noisy) - noisy["hr_hsi"]).double() ** 2).sum().item()

    least, best = error(), fitted.coefficients.clone()
    for _ in range(10):
        fitted.coefficients = best + 0.01 * torch.randn_like(best)
        assert error() > least


@pytest.fixture
def model(tmp_path: Path) -> Model:
    net = create_model("jssunet", features=8, stages=1, n_clusters=3, post=False)
    facts = {"sensor": "nikon-d5100", "degradation": {"kernel": "gaussian", "scale": 4}}
    return fw.load_model(Model(net).save(tmp_path / "tiny", **facts))


def test_scores_are_those_of_the_images_by_hand(small_store: Path, model: Model) -> None:
    store = Store(small_store)
    scores = evaluate_model(model, "cave", "val", baseline=True, store=store)
    target = torch.from_numpy(store.read("scene3").astype(np.float32))[None] / 65535
    lr_msi = fw.degrade(target, 4, "nikon-d5100", wavelengths=store.wavelengths)
    expected = fw.metrics.evaluate(model.predict(lr_msi=lr_msi), target, scale=4)
    assert scores["images"]["scene3"] == pytest.approx(expected, rel=1e-5)
    assert scores["mean"] == pytest.approx(expected, rel=1e-5)
    assert scores["protocol"]["scenes_sha256"] == {"scene3": store.checksum("scene3")}
    assert scores["baseline"]["name"] == BASELINE
    assert scores["baseline"]["mean"]["psnr"] > scores["mean"]["psnr"]  # the network is untrained


def test_what_cannot_be_evaluated(small_store: Path, model: Model) -> None:
    store = Store(small_store)
    with pytest.raises(fw.InputError, match="unknown split 'vall'; did you mean 'val'"):
        evaluate_model(model, "cave", "vall", store=store)
    with pytest.raises(fw.InputError, match="unknown dataset"):
        evaluate_model(model, "pavia", "val")
    with pytest.raises(fw.InputError, match="card"):
        evaluate_model(Model(model.net), "cave", "val", store=store)
    other = Model(create_model("jssunet", hs_bands=12, features=8, stages=1, post=False), model.card)
    with pytest.raises(fw.InputError, match="makes 12 bands; cave has 31"):
        evaluate_model(other, "cave", "val", store=store)
