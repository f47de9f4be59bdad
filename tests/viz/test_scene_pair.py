from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finewave.errors import InputError
from finewave.io.open_save import save_scene
from finewave.scene import make_scene
from finewave.viz.scene_pair import Place, open_scene_pair
from finewave.viz.windows import Frame, window_of
from tests.viz.views import RATIO, SIZE, WAVELENGTHS, opened, truth, write_view


def test_an_input_lies_under_its_result(tmp_path: Path) -> None:
    view = opened(tmp_path)
    layer = view.layers["input"]
    assert layer.place == Place(0, 0, RATIO, RATIO)
    assert view.ratio == RATIO
    assert layer.pixels(5, 6, 8, 9) == (slice(2, 3), slice(1, 2))
    assert layer.pixels(3, 5, 0, 4) == (slice(0, 1), slice(0, 2))
    assert layer.pixels(-9, -1, 0, 4) is None


def test_georeferences_place_an_input(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:20, :30]
    place = {"crs": "EPSG:32631"}
    result = make_scene(rows + columns + 0.0, [550.0], transform=(10, 0, 500000, 0, -10, 4400000), **place)
    larger = make_scene(np.ones((12, 12)), [550.0], transform=(30, 0, 499940, 0, -30, 4400060), **place)
    save_scene(result, tmp_path / "result.tif")
    save_scene(larger, tmp_path / "input.tif")
    view = open_scene_pair(tmp_path / "result.tif", tmp_path / "input.tif")
    assert view.layers["input"].place == Place(-6, -6, 3, 3)
    assert view.layers["input"].pixels(0, 1, 0, 1) == (slice(2, 3), slice(2, 3))


def test_an_input_elsewhere(tmp_path: Path) -> None:
    for name, east in (("result", 500000), ("input", 900000)):
        transform = (10, 0, east, 0, -10, 4400000)
        save_scene(make_scene(np.ones((8, 8)), crs="EPSG:32631", transform=transform), tmp_path / f"{name}.tif")
    with pytest.raises(InputError, match="different places"):
        open_scene_pair(tmp_path / "result.tif", tmp_path / "input.tif")


def test_an_input_that_does_not_divide(tmp_path: Path) -> None:
    paths = write_view(tmp_path)
    save_scene(make_scene(np.ones((3, 11, 16))), tmp_path / "odd.tif")
    with pytest.raises(InputError, match="no whole multiple"):
        open_scene_pair(paths["result"], tmp_path / "odd.tif")


def test_references_that_cannot_be_compared(tmp_path: Path) -> None:
    paths = write_view(tmp_path)
    with pytest.raises(InputError, match="has 16 x 12 pixels"):
        open_scene_pair(paths["result"], reference=paths["input"])
    save_scene(truth().isel(band=slice(0, 5)), tmp_path / "fewer.tif")
    with pytest.raises(InputError, match="5 bands"):
        open_scene_pair(paths["result"], reference=tmp_path / "fewer.tif")
    save_scene(make_scene(truth().values, WAVELENGTHS + 20), tmp_path / "beside.tif")
    with pytest.raises(InputError, match="20 nm"):
        open_scene_pair(paths["result"], reference=tmp_path / "beside.tif")


def test_windows_have_the_resolution_of_the_screen(tmp_path: Path) -> None:
    save_scene(make_scene(np.zeros((1, 1000, 2000), np.float32)), tmp_path / "wide.tif")
    layer = open_scene_pair(tmp_path / "wide.tif").result
    for frame, level in (
        (Frame(0, 2000, 0, 1000, 500, 250), 2),
        (Frame(0, 500, 0, 250, 500, 250), 0),
        (Frame(100, 101, 100, 101, 500, 500), 0),
    ):
        window = window_of(layer, frame)
        assert window is not None
        assert window.level == level
        # all of the frame that lies on the image, and no more than two pixels a screen pixel
        assert window.x0 <= frame.x0
        assert window.x1 >= frame.x1
        assert window.columns.stop - window.columns.start <= 2 * frame.width + 2
    assert window_of(layer, Frame(2000, 3000, 0, 500, 500, 250)) is None
    assert window_of(layer, Frame(-100, 50, -100, 50, 300, 300)).columns == slice(0, 50)  # type: ignore[union-attr]


def test_primaries_of_a_screen_are_no_bands_but_those_of_a_camera_are(tmp_path: Path) -> None:
    import imageio.v3 as iio

    paths = write_view(tmp_path)
    iio.imwrite(tmp_path / "photo.png", np.zeros((SIZE[0] // 2, SIZE[1] // 2, 3), np.uint8))
    assert open_scene_pair(paths["result"], tmp_path / "photo.png").layers["input"].wavelengths is None
    raw = make_scene(np.zeros((3, SIZE[0] // 2, SIZE[1] // 2)), attrs={"sensor": "nikon-d5100"})
    save_scene(raw, tmp_path / "raw.tif")
    wavelengths = open_scene_pair(paths["result"], tmp_path / "raw.tif").layers["input"].wavelengths
    assert wavelengths is not None
    np.testing.assert_allclose(wavelengths, [596, 529, 470], atol=1)
