from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finewave.io.open_save import save_scene
from finewave.scene import make_scene
from finewave.viz.composites import Stretch, choose_stretch, colours, offered_presets, usual_bands
from finewave.viz.layers import open_view
from finewave.viz.rendering import linear_as_srgb
from finewave.viz.server.pictures import Painter
from finewave.viz.server.state import usual_state
from finewave.viz.windows import Frame
from tests.viz.views import SIZE, opened


def test_colours_are_those_of_the_house() -> None:
    values = np.random.default_rng(0).random((3, 20, 30), dtype=np.float32)
    expected = linear_as_srgb(values) * 255
    shown = colours(values, Stretch((0, 0, 0), (1, 1, 1)))
    # a step of the curve where it is steepest, near black
    assert np.abs(shown[..., :3] - expected).max() <= 1.5
    assert np.all(shown[..., 3] == 255)


def test_missing_pixels_are_transparent() -> None:
    values = np.ones((3, 2, 2), np.float32)
    values[1, 0, 1] = np.nan
    shown = colours(values, Stretch((0, 0, 0), (1, 1, 1)))
    np.testing.assert_array_equal(shown[..., 3], [[255, 0], [255, 255]])


def test_one_band_is_grey() -> None:
    shown = colours(np.array([[[0.0, 0.5, 2.0]]], np.float32), Stretch((0.0,), (1.0,)))
    assert (shown[0, :, 0] == shown[0, :, 1]).all()
    assert (shown[0, :, 0] == shown[0, :, 2]).all()
    assert shown[0, 0, 0] == 0
    assert shown[0, 2, 0] == 255


def test_stretches() -> None:
    sample = np.stack([np.linspace(0, top, 1001, dtype=np.float32).reshape(1, -1) for top in (0.1, 0.2, 0.4)])
    assert choose_stretch("unit", sample) == Stretch((0, 0, 0), (1, 1, 1))
    joint = choose_stretch("joint", sample)
    assert len(set(joint.high)) == 1
    assert 0.35 < joint.high[0] <= 0.4
    assert choose_stretch("each", sample).high == pytest.approx((0.098, 0.196, 0.392), rel=1e-3)
    flat = choose_stretch("each", np.full((1, 4, 4), 3.0, np.float32))
    assert flat.high[0] > flat.low[0]
    assert choose_stretch("joint", np.full((1, 2, 2), np.nan, np.float32)) == Stretch((0.0,), (1.0,))


def test_presets_need_their_bands(tmp_path: Path) -> None:
    assert list(offered_presets(opened(tmp_path).result)) == ["rgb"]
    save_scene(make_scene(np.ones((4, 3, 3)), [490, 560, 665, 842]), tmp_path / "satellite.tif")
    satellite = open_view(tmp_path / "satellite.tif").result
    assert list(offered_presets(satellite)) == ["rgb", "infrared"]
    save_scene(make_scene(np.ones((9, 3, 3))), tmp_path / "unknown.tif")
    unknown = open_view(tmp_path / "unknown.tif").result
    assert offered_presets(unknown) == {}
    assert usual_bands(unknown) == (7, 5, 3)


def test_a_picture_shows_the_bands_that_are_asked_for(tmp_path: Path) -> None:
    view = opened(tmp_path)
    painter, state = Painter(view), usual_state(view)
    frame = Frame(0, SIZE[1], 0, SIZE[0], SIZE[1], SIZE[0])
    painted = painter.paint("result", replace(state, mode="three", red=430, green=550, blue=670, stretch="unit"), frame)
    assert painted is not None
    bands = view.result.scene.values[[0, 3, 6]]
    expected = colours(bands, Stretch((0, 0, 0), (1, 1, 1)))
    np.testing.assert_array_equal(painted.pixels.view(np.uint8).reshape(*SIZE, 4), expected)


def test_input_and_result_are_stretched_alike(tmp_path: Path) -> None:
    """The same ground has the same colour on both sides of the swipe."""
    view = opened(tmp_path)
    painter, state = Painter(view), usual_state(view)
    frame = Frame(0, SIZE[1], 0, SIZE[0], SIZE[1], SIZE[0])
    means = []
    for role in ("input", "reference"):
        painted = painter.paint(role, replace(state, mode="band", band=550.0), frame)
        assert painted is not None
        means.append(painted.pixels.view(np.uint8).reshape(-1, 4).mean(0))
    np.testing.assert_allclose(*means, atol=1.0)


def test_no_more_pixels_than_the_screen_has(tmp_path: Path) -> None:
    save_scene(make_scene(np.random.default_rng(0).random((3, 300, 300)), [640, 550, 460]), tmp_path / "a.tif")
    view = open_view(tmp_path / "a.tif")
    painted = Painter(view).paint("result", usual_state(view), Frame(0, 300, 0, 300, 200, 200))
    assert painted is not None
    assert painted.pixels.shape == (200, 200)
