"""What every product says of itself survives every format: values, bands, scale, missing pixels, place, sensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from finewave.control_points import control_points
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import scene_crs, scene_transform
from tests.fuzz import product_bases

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning"),
]
EXTENSIONS = (".tif", ".img", ".nc", ".zarr", ".h5", ".mat")


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return dict(product_bases.written(tmp_path_factory.mktemp("products")))


@pytest.mark.parametrize("name", product_bases.PRODUCTS)
def test_everything_survives(name: str, products: dict[str, Path], tmp_path: Path) -> None:
    scene = open_scene(products[name])
    assert {"sensor", "product"} <= set(scene.attrs)
    assert "wavelength" in scene.coords
    for extension in EXTENSIONS:
        save_scene(scene, tmp_path / f"a{extension}")
        assert_same(open_scene(tmp_path / f"a{extension}"), scene, extension)


@pytest.mark.parametrize("name", product_bases.PRODUCTS)
def test_numbers_are_stored_as_they_were(name: str, products: dict[str, Path], tmp_path: Path) -> None:
    """Scale, offset and nodata of a file of integers are those of the file that is made of it."""
    scene = open_scene(products[name])
    kept = {key: scene.encoding.get(key) for key in ("scale_factor", "add_offset", "_FillValue")}
    for extension in EXTENSIONS:
        save_scene(scene, tmp_path / f"a{extension}")
        again = open_scene(tmp_path / f"a{extension}").encoding
        assert np.dtype(again["dtype"]) == np.dtype(scene.encoding.get("dtype", "float32")), extension
        for key, value in kept.items():
            if value is not None and not np.isnan(value):
                assert again.get(key) == pytest.approx(value), (extension, key)


def assert_same(again: xr.DataArray, scene: xr.DataArray, what: str) -> None:
    step = 0.51 * float(scene.encoding.get("scale_factor", 0.0))
    np.testing.assert_allclose(again.values, scene.values, atol=max(1e-6, step), err_msg=what)
    for name in ("wavelength", "fwhm", "good_band", "band_name"):
        assert (name in again.coords) == (name in scene.coords), (what, name)
        if name in scene.coords:
            np.testing.assert_array_equal(again[name].values, scene[name].values, err_msg=f"{what} {name}")
    for name in ("sensor", "product", "quantity"):
        assert again.attrs.get(name) == scene.attrs.get(name), (what, name)
    assert scene_crs(again) == scene_crs(scene), what
    assert scene_transform(again) == scene_transform(scene), what
    places = [[(p.row, p.col, p.x, p.y) for p in control_points(each)] for each in (again, scene)]
    assert len(places[0]) == len(places[1]), what
    if places[0]:
        np.testing.assert_allclose(places[0], places[1], rtol=0, atol=1e-9, err_msg=what)
