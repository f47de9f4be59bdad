"""The adapter to HyperBench; the program itself needs other versions of NumPy and is not installed here."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.hyperbench import FWHM, blur_of, fused, pipeline_of, systems, table


def test_the_blur_has_the_variance_of_psf_and_areas() -> None:
    x = np.arange(-30, 31)
    psf = np.exp(-(x[:, None] ** 2 + x**2) / (2 * 3.4**2))
    assert blur_of(psf / psf.sum(), 1) == pytest.approx(3.4 * FWHM, rel=1e-6)
    assert blur_of(np.ones((1, 1)), 4) == pytest.approx(math.sqrt(15 / 12) * FWHM)


@pytest.mark.parametrize("system", systems())
def test_a_pipeline_takes_and_makes_images_as_hyperbench_has_them(system: str) -> None:
    """Spectra of three materials, which the mean over areas mixes; every system is nearer than repeated pixels."""
    generator = np.random.default_rng(0)
    parts = generator.random((8, 6, 3)).repeat(3, axis=0).repeat(3, axis=1)[:24, :16]
    truth = (parts / parts.sum(2, keepdims=True) @ generator.random((3, 9))).astype(np.float32)
    lr = truth.reshape(6, 4, 4, 4, 9).mean((1, 3))
    srf = generator.random((4, 9)).astype(np.float32)
    srf /= srf.sum(1, keepdims=True)
    made = pipeline_of(system)(HR_MSI=truth @ srf.T, LR_HSI=lr, srf=srf, psf=np.ones((1, 1), np.float32), metadata={})
    assert (made.shape, made.dtype) == (truth.shape, np.float32)
    repeated = lr.repeat(4, axis=0).repeat(4, axis=1)
    assert np.abs(made - truth).mean() < 0.9 * np.abs(repeated - truth).mean()
    np.testing.assert_array_equal(made, fused(system, truth @ srf.T, lr, np.ones((1, 1))))


def test_table() -> None:
    case = {"method_name": "gsa", "psf_name": "gaussian", "sigma": 3.4, "downsampling_ratio": 4, "msi_band_count": 4}
    noise = {"spatial_snr": 35.0, "spectral_snr": 40.0}
    scores = {"RMSE": 0.01, "PSNR": 40.0, "SSIM": 0.9, "UIQI": 0.9, "ERGAS": 2.0, "SAM": 1.0}
    text = table([case | noise | scores | {"status": "success"}, case | noise | {"status": "failed", "error": "no"}])
    first, second = text.splitlines()[2:]
    assert first == "| gsa | gaussian | 3.4 | 4 | 4 | 35 / 40 dB | 0.0100 | 40.00 | 0.9000 | 0.9000 | 2.000 | 1.000 |"
    assert second.endswith("| no |")
