"""The adapter to HyperBench; the program itself needs other versions of NumPy and is not installed here."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy.signal import convolve2d

from benchmarks.hyperbench import FWHM, blur_of, fused, pipeline_of, seen, systems, table
from finewave.warnings import FinewaveWarning
from tests.physics.test_blur_of_pair import images


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


@pytest.mark.parametrize("side", [7, 15])
def test_darker_borders_and_a_wide_blur_do_not_make_local_regression_worse_than_one_map(side: int) -> None:
    """Its correction spread what the zeros beyond the border take from the LR-HSI, and noise: 16 dB, GSA 30."""
    x = np.arange(side) - (side - 1) / 2
    psf = np.exp(-(x[:, None] ** 2 + x**2) / (2 * 3.4**2))
    psf /= psf.sum()
    pair = {key: image[0].permute(1, 2, 0).numpy() for key, image in images(4, {}, side=24).items()}
    truth = pair["hr_hsi"]
    blurred = np.stack([convolve2d(band, psf, "same") for band in np.moveaxis(truth, 2, 0)], 2)
    lr = blurred.reshape(24, 4, 24, 4, -1).mean((1, 3))
    np.testing.assert_allclose(seen(psf, 24, 24, 4)[12, 12], 1)
    np.testing.assert_allclose(lr[0, 0] / seen(psf, 24, 24, 4)[0, 0], truth[:12, :12].mean((0, 1)), rtol=0.2)
    generator = np.random.default_rng(1)
    noisy = [each + 0.006 * generator.standard_normal(each.shape) for each in (pair["hr_msi"], lr)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FinewaveWarning)
        made = {system: fused(system, noisy[0], noisy[1], psf) for system in ("gsa", "local-regression")}
    errors = {system: float(np.square(each - truth).mean()) for system, each in made.items()}
    assert errors["local-regression"] < 1.3 * errors["gsa"], errors


def test_table() -> None:
    case = {"method_name": "gsa", "psf_name": "gaussian", "sigma": 3.4, "downsampling_ratio": 4, "msi_band_count": 4}
    noise = {"spatial_snr": 35.0, "spectral_snr": 40.0}
    scores = {"RMSE": 0.01, "PSNR": 40.0, "SSIM": 0.9, "UIQI": 0.9, "ERGAS": 2.0, "SAM": 1.0}
    text = table([case | noise | scores | {"status": "success"}, case | noise | {"status": "failed", "error": "no"}])
    first, second = text.splitlines()[2:]
    assert first == "| gsa | gaussian | 3.4 | 4 | 4 | 35 / 40 dB | 0.0100 | 40.00 | 0.9000 | 0.9000 | 2.000 | 1.000 |"
    assert second.endswith("| no |")
