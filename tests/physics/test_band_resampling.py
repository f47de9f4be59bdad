"""Measured spectra on the bands of an image."""

from __future__ import annotations

import numpy as np
import pytest

from finewave.physics.band_resampling import band_widths, on_bands


def test_a_fine_spectrum_is_averaged_over_each_band() -> None:
    wavelengths = np.arange(350.0, 801.0)
    values = 0.3 + 0.2 * np.sin(wavelengths / 7)
    centres = np.arange(400.0, 701.0, 10)
    sigma = 10 / (2 * np.sqrt(2 * np.log(2)))
    curves = np.exp(-0.5 * ((wavelengths - centres[:, None]) / sigma) ** 2)
    expected = curves @ values / curves.sum(1)
    np.testing.assert_allclose(on_bands(wavelengths, values, centres), expected, atol=2e-3)
    broad = on_bands(wavelengths, values, centres, np.full(31, 60.0))
    assert np.ptp(broad[5:-5]) < 0.2 * np.ptp(expected)


def test_a_spectrum_on_the_bands_is_returned_as_it_is() -> None:
    centres = np.arange(400.0, 701.0, 10)
    values = np.random.default_rng(0).random(31)
    np.testing.assert_array_equal(on_bands(centres, values, centres), values)


@pytest.mark.parametrize("step", [8.0, 10.0, 20.0])
def test_a_coarse_spectrum_has_a_value_in_every_band_wherever_its_samples_lie(step: float) -> None:
    wavelengths = np.arange(400.0, 1000.1, step)
    centres = np.sort(np.append(np.arange(403.0, 990.0, 6.5), 520.0))  # one has a sample at its centre
    result = on_bands(wavelengths, 0.3 + 1e-4 * wavelengths, centres)
    np.testing.assert_allclose(result, 0.3 + 1e-4 * centres, atol=1e-3)


def test_bands_without_a_measurement_have_no_value() -> None:
    wavelengths = np.arange(500.0, 601.0)
    result = on_bands(wavelengths, np.full(101, 0.4), np.arange(400.0, 701.0, 10))
    np.testing.assert_allclose(result[11:20], 0.4)
    assert np.isnan(result[:9]).all()
    assert np.isnan(result[22:]).all()


def test_values_that_are_missing_are_bridged_where_they_are_few() -> None:
    wavelengths = np.arange(400.0, 701.0)
    values = np.where(abs(wavelengths - 550) < 3, np.nan, 0.4)
    np.testing.assert_allclose(on_bands(wavelengths, values, np.array([550.0]), np.array([20.0])), 0.4)
    gap = np.where(abs(wavelengths - 550) < 30, np.nan, 0.4)
    assert np.isnan(on_bands(wavelengths, gap, np.array([550.0]), np.array([20.0]))).all()


def test_bands_beside_a_gap_are_no_wider_than_the_others() -> None:
    """EnMAP's bands at the edges of water vapour: 180 nm to the next one, of which half was taken for their width."""
    left, right = np.arange(1600.0, 1761.0, 10), np.arange(1940.0, 2041.0, 8)
    centres = np.concatenate([left, right])
    np.testing.assert_allclose(band_widths(centres), [10.0] * len(left) + [8.0] * len(right))
    np.testing.assert_allclose(band_widths(centres[::-1]), [8.0] * len(right) + [10.0] * len(left))
    wavelengths = np.arange(1500.0, 2100.0)
    values = np.where((wavelengths > 1790) & (wavelengths < 1920), 0.0, 0.3)  # nothing is seen through the vapour
    np.testing.assert_allclose(on_bands(wavelengths, values, centres), 0.3)


def test_widths_are_the_spacing() -> None:
    assert band_widths(np.array([550.0])).tolist() == [10]
    assert band_widths(np.array([450.0, 500.0])).tolist() == [50, 50]
    irregular = np.array([490.0, 560, 665, 705, 740, 783, 842, 865, 1610, 2190])
    np.testing.assert_allclose(band_widths(irregular), np.gradient(irregular))
    between = np.array([400.0, 410, 420, 600, 800, 810, 820])  # one band between two gaps
    assert np.isfinite(band_widths(between)).all()
    assert np.isfinite(band_widths(np.array([1.0, 1, 1, 2, 50, 51, 51]))).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("centres", "widths"),
    [
        ([545, 645, 835, 1665], [100, 145, 190, 190]),  # SPOT 5: one band of short-wave infrared
        ([480, 560, 655, 1610], [80, 87.5, 95, 95]),
        ([400, 700, 710, 720], [10, 10, 10, 10]),
    ],
)
def test_a_band_beyond_a_gap_has_a_width(centres: list[float], widths: list[float]) -> None:
    np.testing.assert_allclose(band_widths(np.array(centres, np.float64)), widths)
    flat = on_bands(np.arange(350.0, 2501.0), np.full(2151, 0.3), np.array(centres, np.float64))
    np.testing.assert_allclose(flat, 0.3)
