from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from finewave.io.open_save import save_scene
from finewave.physics.rendering.colour import to_rgb
from finewave.physics.rendering.renderings import coarse_rendering
from finewave.physics.rendering.srgb import linear_to_srgb
from finewave.scene import make_scene
from finewave.viz.scene_pair import open_scene_pair
from finewave.viz.server.pictures import Painter
from finewave.viz.server.state import usual_state
from finewave.viz.windows import Frame
from tests.viz.views import RATIO, SIZE, opened, truth


def test_true_colour_is_that_of_the_library(tmp_path: Path) -> None:
    save_scene(truth(), tmp_path / "a.tif")
    view = open_scene_pair(tmp_path / "a.tif")
    state = usual_state(view)
    assert state.mode == "true"
    painted = Painter(view).paint("result", state, Frame(0, SIZE[1], 0, SIZE[0], SIZE[1], SIZE[0]))
    assert painted is not None
    shown = painted.pixels.view(np.uint8).reshape(*SIZE, 4)
    assert (shown[..., 3] == 255).all()
    assert np.abs(shown[..., :3] / 255 - to_rgb(truth()).values.transpose(1, 2, 0)).max() < 1 / 255


def test_a_photograph_beside_its_result_is_shown_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (SIZE[0] // RATIO, SIZE[1] // RATIO, 3), np.uint8)
    iio.imwrite(tmp_path / "photo.png", pixels)
    save_scene(truth(), tmp_path / "a.tif")
    view = open_scene_pair(tmp_path / "a.tif", tmp_path / "photo.png")
    assert view.layers["input"].wavelengths is None  # sRGB's primaries are not bands of a spectrum
    painter, state = Painter(view), usual_state(view)
    for mode in ("true", "natural", "three"):
        shown = painter.rendering("input", replace(state, mode=mode))
        assert shown.label == "True colour (sRGB photograph)"
    painted = painter.paint("input", state, Frame(0, SIZE[1], 0, SIZE[0], SIZE[1], SIZE[0]))
    assert painted is not None
    assert np.abs(painted.pixels.view(np.uint8).reshape(*pixels.shape[:2], 4)[..., :3] - pixels.astype(int)).max() <= 1


def test_tiles_of_large_images_are_put_together(tmp_path: Path) -> None:
    values = np.random.default_rng(6).random((5, 300, 600)).astype(np.float32)
    scene = make_scene(values, wavelengths=[460, 550, 640, 700, 860])
    save_scene(scene, tmp_path / "a.tif")
    view = open_scene_pair(tmp_path / "a.tif")
    painter, state = Painter(view), replace(usual_state(view), stretch="unit")
    expected = to_rgb(scene, limits="unit").values.transpose(1, 2, 0)
    for frame in (Frame(200, 520, 100, 290, 320, 190), Frame(0, 600, 0, 300, 600, 300)):
        painted = painter.paint("result", state, frame)
        assert painted is not None
        part = expected[int(frame.y0) : int(frame.y1), int(frame.x0) : int(frame.x1)]
        assert np.abs(painted.pixels.view(np.uint8).reshape(*part.shape[:2], 4)[..., :3] / 255 - part).max() < 1 / 255


def test_a_picture_shows_the_bands_that_are_asked_for(tmp_path: Path) -> None:
    view = opened(tmp_path)
    painter, state = Painter(view), usual_state(view)
    frame = Frame(0, SIZE[1], 0, SIZE[0], SIZE[1], SIZE[0])
    painted = painter.paint("result", replace(state, mode="three", red=670, green=550, blue=430, stretch="unit"), frame)
    assert painted is not None
    bands = view.result.scene.values[[0, 3, 6]]
    expected = np.rint(255 * linear_to_srgb(bands[::-1])).transpose(1, 2, 0)
    assert np.abs(painted.pixels.view(np.uint8).reshape(*SIZE, 4)[..., :3] - expected).max() <= 1


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
    view = open_scene_pair(tmp_path / "a.tif")
    painted = Painter(view).paint("result", usual_state(view), Frame(0, 300, 0, 300, 200, 200))
    assert painted is not None
    assert painted.pixels.shape == (200, 200)


def test_a_quick_look_is_like_the_picture(tmp_path: Path) -> None:
    y, x = np.mgrid[:512, :1024]
    wavelengths = np.arange(400.0, 701.0, 10.0)
    hue = np.exp(-(((wavelengths[:, None, None] - 420 - 0.25 * x) / 90) ** 2))
    values = (0.1 + 0.7 * hue * (0.5 + 0.5 * y / 512)).astype(np.float32)
    save_scene(make_scene(values, wavelengths=wavelengths), tmp_path / "a.tif")
    view = open_scene_pair(tmp_path / "a.tif")
    painter, state = Painter(view), usual_state(view)
    quick, exact = painter.preview("result", state), painter.overview("result", state)
    assert exact is not None
    assert quick.pixels.shape == exact.pixels.shape == (256, 512)
    assert (quick.window.x1, quick.window.y1) == (exact.window.x1, exact.window.y1)
    apart = np.abs(quick.pixels.view(np.uint8).astype(int) - exact.pixels.view(np.uint8))
    assert apart.mean() < 3
    assert len(coarse_rendering(view.result.scene, painter.rendering("result", state)).bands) == 11
