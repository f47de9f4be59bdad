"""Curves brought to a scene's wavelengths."""

from __future__ import annotations

import numpy as np
import pytest

from finewave.physics.sensors import Sensor
from finewave.physics.sensors.resampling import FloatArray, covered_intervals, integrate_over_bands


def gaussian(wavelengths: FloatArray, centre: float, width: float) -> FloatArray:
    return np.exp2(-((2 * (wavelengths - centre) / width) ** 2))


def by_quadrature(sensor: Sensor, scene: FloatArray) -> FloatArray:
    """Integral of curve times straight lines between scene bands, on a grid of 0.01 nm."""
    fine = np.arange(scene[0], scene[-1], 0.01) + 0.005
    curves = np.stack([np.interp(fine, sensor.wavelengths, c, left=0, right=0) for c in sensor.curves])
    weights = np.empty((len(sensor.bands), scene.size))
    for band in range(scene.size):
        unit = np.zeros(scene.size)
        unit[band] = 1.0
        weights[:, band] = curves @ np.interp(fine, scene, unit)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.fixture
def two_bands() -> Sensor:
    wavelengths = np.arange(420.0, 681.0)
    curves = np.stack([gaussian(wavelengths, 500, 60), gaussian(wavelengths, 603, 20)])
    return Sensor("test", ("wide", "narrow"), wavelengths, curves)


@pytest.mark.parametrize("step", [0.5, 1.0, 2.5, 10.0, 25.0, 70.0])
def test_rows_sum_to_one_on_any_grid(two_bands: Sensor, step: float) -> None:
    response = two_bands.response(np.arange(400.0, 700.1, step))
    assert response.dtype == np.float64
    np.testing.assert_allclose(response.sum(axis=1), 1.0, rtol=1e-14)


@pytest.mark.parametrize("step", [2.5, 10.0, 25.0, 70.0])
def test_is_the_integral_over_straight_lines(two_bands: Sensor, step: float) -> None:
    scene = np.arange(400.0, 700.1, step)
    # The trapezoidal rule at 1 nm against a hundred times finer: good to 2e-3 for a band 20 nm wide.
    np.testing.assert_allclose(two_bands.response(scene), by_quadrature(two_bands, scene), atol=2e-3)


@pytest.mark.parametrize("step", [1.0, 7.0, 20.0])
def test_a_linear_spectrum_keeps_its_value_at_the_centre(two_bands: Sensor, step: float) -> None:
    scene = np.arange(400.0, 700.1, step)
    np.testing.assert_allclose(two_bands.response(scene) @ scene, two_bands.centres, atol=1e-9)


def test_the_curves_own_grid_gives_their_own_values() -> None:
    grid = np.arange(400.0, 701.0, 10.0)
    curve = np.random.default_rng(0).random((3, grid.size))
    sensor = Sensor("test", ("a", "b", "c"), grid, curve)
    np.testing.assert_allclose(sensor.response(grid), curve / curve.sum(axis=1, keepdims=True), rtol=1e-12)


def test_a_finer_scene_interpolates() -> None:
    sensor = Sensor("test", ("triangle",), np.array([500.0, 510.0, 520.0]), np.array([[0.0, 1.0, 0.0]]))
    response = sensor.response(np.arange(480.0, 541.0, 2.0))[0]
    at = {w: response[i] for i, w in enumerate(range(480, 541, 2))}
    assert at[508] / at[510] == pytest.approx(0.8)
    assert at[514] / at[510] == pytest.approx(0.6)
    assert at[498] == at[522] == 0.0


def test_a_band_narrower_than_the_step_draws_on_its_neighbours() -> None:
    wavelengths = np.arange(520.0, 530.1, 0.5)
    sensor = Sensor("test", ("line",), wavelengths, gaussian(wavelengths, 525, 2)[None])
    # At a quarter of the way from 500 to 600 nm.
    np.testing.assert_allclose(sensor.response([400.0, 500.0, 600.0, 700.0])[0], [0, 0.75, 0.25, 0], atol=1e-12)


def test_uneven_samples_count_by_their_width() -> None:
    sensor = Sensor("flat", ("flat",), np.array([400.0, 410, 500, 600, 700]), np.ones((1, 5)))
    scene = np.array([400.0, 450, 500, 550, 600, 650, 700])
    response = sensor.response(scene)[0]
    np.testing.assert_allclose(response[1:-1], response[2], rtol=1e-9)


def test_order_of_the_scene_does_not_matter(two_bands: Sensor) -> None:
    scene = np.arange(400.0, 701.0, 10.0)
    order = np.random.default_rng(0).permutation(scene.size)
    np.testing.assert_array_equal(two_bands.response(scene[order]), two_bands.response(scene)[:, order])


def test_scale_of_the_curves_does_not_matter(two_bands: Sensor) -> None:
    scene = np.arange(400.0, 701.0, 10.0)
    scaled = Sensor("test", two_bands.bands, two_bands.wavelengths, 1e-6 * two_bands.curves)
    np.testing.assert_allclose(scaled.response(scene), two_bands.response(scene), rtol=1e-12)


def test_a_hole_parts_the_scene() -> None:
    scene = np.array([1300.0, 1310, 1320, 1330, 1440, 1450, 1460])
    assert covered_intervals(scene) == [(0, 4, 1295.0, 1335.0), (4, 7, 1435.0, 1465.0)]
    wavelengths = np.arange(1290.0, 1480.0)
    flat = np.ones((1, wavelengths.size))
    weights, coverage = integrate_over_bands(wavelengths, flat, scene)
    # 40 and 30 of 190 nm, and nothing carried across the hole.
    assert coverage[0] == pytest.approx(70 / 190)
    np.testing.assert_allclose(weights[0], [10, 10, 10, 10, 10, 10, 10], rtol=0.06)


def test_uneven_steps_of_a_multispectral_image_are_no_holes() -> None:
    visible = np.array([443.0, 490, 560, 665, 705, 740, 783, 842, 865, 945])
    assert len(covered_intervals(visible)) == 1


def test_a_single_band_between_holes_takes_what_is_near_it() -> None:
    scene = np.array([400.0, 410, 420, 600, 800, 810, 820])
    wavelengths = np.arange(380.0, 841.0)
    sensor = Sensor("test", ("b",), wavelengths, gaussian(wavelengths, 600, 6)[None])
    np.testing.assert_allclose(sensor.response(scene)[0], [0, 0, 0, 1, 0, 0, 0], atol=1e-12)
