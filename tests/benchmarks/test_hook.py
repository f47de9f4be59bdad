"""How spectra end at 400 nm: what is counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.hook import Ends, ends_of, line, predicted, scores_of, together
from finewave.systems.registry import create_model
from finewave.zoo.model import Model, load_model
from tests.test_docs import ROOT


def test_hooks_of_dark_and_grey_pixels_are_counted() -> None:
    """Four dark pixels, two with a hook and one negative; one grey pixel; one coloured; one that is too dark."""
    bands = np.array([[0.03] * 4 + [0.5, 0.9, 0.001], [0.03] * 4 + [0.5, 0.2, 0.001], [0.03] * 4 + [0.52, 0.2, 0.001]])
    spectra = np.ones((31, 1, 7))
    spectra[0, 0] = [2.0, 1.4, 1.0, -1.0, 0.8, 5.0, 9.0]  # 400 nm; all have one at 440 nm
    ends = ends_of(spectra, bands[:, None], np.arange(400.0, 701.0, 10.0))
    assert ends.shares() == (0.5, 0.25)
    assert ends.ratio(ends.dark) == pytest.approx(1.2)
    assert ends.ratio(ends.grey) == pytest.approx(0.8)
    twice = together([ends, ends])
    assert twice.shares() == ends.shares()
    assert line("a", [1.0], ends) == "| a | 1.00 |  |  |  | 1.20 | 50 % | 25 % | 0.80 |"


def test_without_such_pixels_there_is_no_figure() -> None:
    ends = Ends(np.ones(2), np.ones(2), np.full((3, 2), 0.9))
    assert np.isnan(ends.ratio(ends.dark))
    assert np.isnan(ends.shares()).all()


@pytest.mark.slow
@pytest.mark.data
def test_scores_with_and_without_the_ends() -> None:
    """Of all bands those of the card; from 420 nm on those that its page tells."""
    model = load_model("blue-end-photo")
    ((_, said),) = model.card.metrics.items()
    (every, angle), (seen, smaller) = scores_of(model)
    assert (every, angle) == pytest.approx((said["mean"]["psnr"], said["mean"]["sam"]), rel=2e-3)
    assert f"| {seen:.2f} | {smaller:.2f} |" in (ROOT / "docs" / "models" / "blue-end.md").read_text(encoding="utf-8")


def test_results_of_a_joint_model_are_compared_at_the_size_of_its_input() -> None:
    model = Model(create_model("sr-ssr", scale=2, sr="bicubic", ssr="ridge"))
    image = torch.full((3, 5, 6), 0.4)
    made = predicted(model, image)
    whole = model.predict(lr_msi=image[None])[0]
    assert made.shape == (31, 5, 6)
    np.testing.assert_allclose(made[:, 2, 3], whole[:, 4:6, 6:8].mean((1, 2)).numpy(), rtol=1e-5)
