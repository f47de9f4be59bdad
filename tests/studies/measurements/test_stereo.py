"""The real stereo pair: its truth is true, and the picture shows the alignment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import finewave as fw
from finewave.errors import InputError
from finewave.nn.warping import backward_warp
from finewave.physics.sensors import get_sensor
from finewave.studies.measurements.stereo import show_alignment, smoothest_spectra, stereo_pair
from finewave.zoo.model import Model


def response() -> np.ndarray:
    return get_sensor("nikon-d5100").response(np.linspace(400, 700, 31))


def test_spectra_look_like_the_photograph_through_the_camera() -> None:
    rgb = np.random.default_rng(0).random((3, 4, 5))
    spectra = smoothest_spectra(rgb, response())
    np.testing.assert_allclose(response() @ spectra.reshape(31, -1), rgb.reshape(3, -1), atol=1e-9)
    # any other spectra with that colour are rougher
    other = spectra + (np.eye(31) - np.linalg.pinv(response()) @ response())[:, 3:4, None] * 0.1
    np.testing.assert_allclose(response() @ other.reshape(31, -1), rgb.reshape(3, -1), atol=1e-9)
    assert (np.diff(other, 2, axis=0) ** 2).sum() > (np.diff(spectra, 2, axis=0) ** 2).sum()


def test_the_true_flow_aligns_the_views() -> None:
    pair = stereo_pair(response(), 4)
    assert pair["hr_hsi"].shape[2:] == pair["ref_rgb"].shape[2:]
    assert tuple(4 * n for n in pair["lr_hsi"].shape[2:]) == tuple(pair["hr_hsi"].shape[2:])
    known = pair["visible"].expand(-1, 3, -1, -1) > 0
    before = (pair["ref_rgb"] - pair["source_rgb"]).abs()[known].mean()
    after = (backward_warp(pair["ref_rgb"], pair["flow"]) - pair["source_rgb"]).abs()[known].mean()
    assert after < 0.5 * before


def test_the_picture_and_its_numbers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = fw.create_model("ssc-hsr", features=8, flow_features=8, flow_iterations=1, blocks=[1, 1, 1])
    scores = show_alignment(Model(net), tmp_path / "alignment.png", sensor="nikon-d5100")
    assert (tmp_path / "alignment.png").stat().st_size > 20000
    assert all(np.isfinite(value) for value in scores.values())
    with pytest.raises(InputError, match="ssc-hsr"):
        show_alignment(Model(fw.create_model("bicubic")), tmp_path / "x.png")
