from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from finewave.errors import InputError
from finewave.io.open_save import save_scene
from finewave.metrics import rmse, sam
from finewave.scene import make_scene
from finewave.viz import maps
from finewave.viz.error_maps import angle_map, rmse_map
from finewave.viz.maps import colour_limit, make_map, offered_maps
from finewave.viz.scene_pair import half_widths_beside, open_scene_pair
from finewave.viz.server.spectral_plot.scores import ROWS, scores
from finewave.viz.server.spectral_plot.spectra import RegionOfInterest
from finewave.viz.windows import Frame
from tests.viz.views import SIZE, opened

WHOLE = Frame(0, SIZE[1], 0, SIZE[0], SIZE[1], SIZE[0])


def test_maps_are_the_metrics_pixel_by_pixel(tmp_path: Path) -> None:
    view = opened(tmp_path)
    assert view.reference is not None
    pred, target = (torch.from_numpy(layer.scene.values) for layer in (view.result, view.reference))
    degrees = make_map(view, "angle", 550, WHOLE)
    error = make_map(view, "error", 550, WHOLE)
    assert degrees is not None
    assert error is not None
    assert degrees.averaged == error.averaged == 1
    assert degrees.values.mean() == pytest.approx(sam(pred, target), rel=1e-5)
    assert np.sqrt(np.square(error.values).mean()) == pytest.approx(rmse(pred, target), rel=1e-5)


def test_the_map_of_a_band(tmp_path: Path) -> None:
    view = opened(tmp_path)
    assert view.reference is not None
    values, error = make_map(view, "band", 551, WHOLE), make_map(view, "error-band", 551, WHOLE)
    assert values is not None
    assert error is not None
    np.testing.assert_array_equal(values.values, view.result.scene.values[3])
    expected = np.abs(view.result.scene.values[3] - view.reference.scene.values[3])
    np.testing.assert_allclose(error.values, expected, rtol=1e-5)


def test_errors_are_taken_before_pixels_are_averaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of opposite sign do not cancel on a small screen, unless too much would have to be read; it says so."""
    sign = np.where(np.indices((64, 64)).sum(0) % 2, 1.0, -1.0)
    for name, values in (("result", 0.5 + 0.1 * sign), ("reference", np.full((64, 64), 0.5))):
        save_scene(make_scene(values), tmp_path / f"{name}.tif")
    view = open_scene_pair(tmp_path / "result.tif", reference=tmp_path / "reference.tif")
    view.result.pyramid.top = view.reference.pyramid.top = 2  # type: ignore[union-attr]  # they are small for a pyramid
    small = Frame(0, 64, 0, 64, 16, 16)
    exact = make_map(view, "error", 1, small)
    assert exact is not None
    assert exact.values.shape == (16, 16)
    assert exact.averaged == 1
    np.testing.assert_allclose(exact.values, 0.1, rtol=1e-5)
    monkeypatch.setattr(maps, "_MOST_VALUES", 2 * 64 * 64 - 1)
    averaged = make_map(view, "error", 1, small)
    assert averaged is not None
    assert averaged.averaged == 2
    np.testing.assert_allclose(averaged.values, 0.0, atol=1e-6)


def test_spectra_without_direction_have_no_angle() -> None:
    pred, target = np.ones((3, 1, 3), np.float32), np.ones((3, 1, 3), np.float32)
    pred[:, 0, 1] = 0
    target[:, 0, 2] = [1, 0, 0]
    degrees = angle_map(pred, target)
    assert degrees[0, 0] == pytest.approx(0, abs=0.05)
    assert np.isnan(degrees[0, 1])
    assert degrees[0, 2] == pytest.approx(np.degrees(np.arccos(1 / np.sqrt(3))), rel=1e-5)
    assert rmse_map(pred, target)[0, 1] == 1


def test_the_colour_bar_covers_the_map(tmp_path: Path) -> None:
    view = opened(tmp_path)
    for kind in offered_maps(view):
        low, high = colour_limit(view, kind, 550)
        assert low == 0 < high
    save_scene(make_scene(np.full((1, 4, 4), np.nan)), tmp_path / "nothing.tif")
    assert colour_limit(open_scene_pair(tmp_path / "nothing.tif"), "band", 1) == (0, 1)


def test_scores_are_the_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finewave.metrics import METRICS, evaluate
    from finewave.viz.server.spectral_plot import scores as module

    view = opened(tmp_path)
    assert view.reference is not None
    expected = evaluate(view.result.scene.values, view.reference.scene.values, scale=4)
    told = scores(view)
    assert told is not None
    assert told == {name: METRICS[name].text(expected[name]) for name in ROWS}
    part = scores(view, RegionOfInterest(0, 16, 0, 12))
    assert part is not None
    inside = evaluate(view.result.scene.values[:, :12, :16], view.reference.scene.values[:, :12, :16], scale=4)
    assert part["psnr"] == f"{inside['psnr']:.2f}" != told["psnr"]
    small = scores(view, RegionOfInterest(0, 4, 0, 4))
    assert small is not None
    assert small["ssim"] == "–"
    monkeypatch.setattr(module, "MOST_VALUES", 100)
    assert scores(view) is None


def test_half_widths_lie_beside_the_result(tmp_path: Path) -> None:
    view = opened(tmp_path)
    half = (0.01 + 0.02 * np.random.default_rng(4).random(view.result.scene.shape)).astype(np.float32)
    save_scene(make_scene(half), tmp_path / "result.uncertainty.tif")
    assert "half-width" not in offered_maps(view)
    found = half_widths_beside(tmp_path / "result.tif")
    assert found == tmp_path / "result.uncertainty.tif"
    view = open_scene_pair(tmp_path / "result.tif", half_width=found)
    assert list(offered_maps(view)) == ["band", "half-width", "half-width-band"]
    mean, band = make_map(view, "half-width", 550, WHOLE), make_map(view, "half-width-band", 551, WHOLE)
    assert mean is not None
    assert band is not None
    np.testing.assert_allclose(mean.values, half.mean(0), rtol=1e-5)
    np.testing.assert_allclose(band.values, half[3], rtol=1e-6)
    with pytest.raises(InputError, match="belong to another result"):
        open_scene_pair(tmp_path / "input.tif", half_width=found)
    view.close()
