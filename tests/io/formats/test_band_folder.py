"""A folder with one image per band, laid out like the CAVE scenes and like satellite products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.transform import from_origin

from finewave.errors import InputError
from finewave.io.formats.band_folder import natural_order
from finewave.io.open_save import open_scene
from finewave.scene import scene_crs
from finewave.warnings import FinewaveWarning
from tests.io.formats.test_photo import ADOBE, profile_of

NUMBERS = np.random.default_rng(0).integers(0, 65536, (31, 4, 5), dtype=np.uint16)


def cave(folder: Path, bands: range = range(1, 32)) -> Path:
    for band in bands:
        Image.fromarray(NUMBERS[band - 1]).save(folder / f"balloons_ms_{band:02d}.png")
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(folder / "balloons_RGB.bmp")
    (folder / "Thumbs.db").write_bytes(b"x")
    return folder


def test_cave_scene(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    scene = open_scene(cave(tmp_path), wavelengths=range(400, 701, 10))
    np.testing.assert_allclose(scene.values, NUMBERS / 65535, atol=1e-7)
    assert scene.coords["wavelength"].values[-1] == 700
    assert scene.coords["band_name"].values[30] == "balloons_ms_31"
    assert list(recwarn) == []


def test_grey_stored_as_colour_with_transparency(tmp_path: Path) -> None:
    grey = (NUMBERS[:3] >> 8).astype(np.uint8)
    for band, image in enumerate(grey, start=1):
        rgba = np.stack([image, image, image, np.full_like(image, 255)], axis=-1)
        Image.fromarray(rgba).save(tmp_path / f"watercolors_ms_{band:02d}.png")
    np.testing.assert_allclose(open_scene(tmp_path).values, grey / 255, atol=1e-7)


def test_measurements_keep_their_numbers_whatever_profile_they_have(tmp_path: Path) -> None:
    grey = (NUMBERS[:2] >> 8).astype(np.uint8)
    for band, image in enumerate(grey, start=1):
        picture = Image.fromarray(np.stack([image] * 3, -1))
        picture.save(tmp_path / f"ms_{band}.png", icc_profile=profile_of(ADOBE, 1.0))
    np.testing.assert_allclose(open_scene(tmp_path).values, grey / 255, atol=1e-7)


def test_masks_and_bits_of_single_bands(tmp_path: Path) -> None:
    for band in (1, 2):
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(tmp_path / f"b{band}.tif", "w", "GTiff", 4, 3, 1, dtype="uint16", nbits=12) as file,
        ):
            file.write(np.full((1, 3, 4), 819, np.uint16))
            file.write_mask(np.arange(12).reshape(3, 4) != band)
    with pytest.warns(FinewaveWarning, match="the largest number of the 12 bits"):
        scene = open_scene(tmp_path)
    missing = np.isnan(scene.values)
    assert np.argwhere(missing).tolist() == [[0, 0, 1], [1, 0, 2]]
    np.testing.assert_allclose(scene.values[~missing], 0.2, atol=1e-6)


def test_transparent_pixels_of_a_band_are_missing(tmp_path: Path) -> None:
    grey = np.full((4, 5), 51, np.uint8)
    alpha = np.full((4, 5), 255, np.uint8)
    alpha[1, 2] = 0
    for band in (1, 2):
        Image.fromarray(np.stack([grey, alpha], -1), "LA").save(tmp_path / f"ms_{band}.png")
    values = open_scene(tmp_path).values
    assert np.isnan(values[:, 1, 2]).all()
    assert np.isnan(values).sum() == 2


def test_natural_order_without_leading_zeros(tmp_path: Path) -> None:
    for band in range(1, 13):
        Image.fromarray(np.full((2, 2), band, np.uint8)).save(tmp_path / f"band_{band}.png")
    scene = open_scene(tmp_path, full_scale=1)
    np.testing.assert_array_equal(scene.values[:, 0, 0], np.arange(1, 13))


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=8, unique=True))
def test_natural_order_is_the_order_of_numbers(numbers: list[int]) -> None:
    names = sorted((f"b{n}_x.png" for n in numbers), key=natural_order)
    assert names == [f"b{n}_x.png" for n in sorted(numbers)]


@pytest.mark.parametrize("pattern", ["scene_{}nm.png", "{}nm_reflectance.png", "B{}nm.png", "r {} nm.png"])
def test_wavelengths_in_names(tmp_path: Path, pattern: str) -> None:
    for nm in (1000, 400, 550):
        Image.fromarray(np.full((2, 2), 100, np.uint8)).save(tmp_path / pattern.format(nm))
    np.testing.assert_array_equal(open_scene(tmp_path).coords["wavelength"], [400, 550, 1000])


def test_names_without_wavelengths(tmp_path: Path) -> None:
    assert "wavelength" not in open_scene(cave(tmp_path)).coords


def test_missing_band_is_named(tmp_path: Path) -> None:
    cave(tmp_path)
    (tmp_path / "balloons_ms_07.png").unlink()
    (tmp_path / "balloons_ms_20.png").unlink()
    with pytest.warns(FinewaveWarning, match="numbered 1 to 31, but 7, 20 is missing"):
        open_scene(tmp_path)
    with pytest.raises(InputError, match="31 wavelengths for 29 bands"), pytest.warns(FinewaveWarning):
        open_scene(tmp_path, wavelengths=range(400, 701, 10))


def test_another_size_is_named(tmp_path: Path) -> None:
    cave(tmp_path, range(1, 4))
    Image.fromarray(np.zeros((9, 5), np.uint16)).save(tmp_path / "balloons_ms_04.png")
    with pytest.raises(InputError, match=r"balloons_ms_04\.png has 5 x 9 pixels, balloons_ms_01\.png has 5 x 4"):
        open_scene(tmp_path)


def test_another_depth_is_named(tmp_path: Path) -> None:
    cave(tmp_path, range(1, 4))
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "balloons_ms_04.png")
    with pytest.raises(InputError, match=r"balloons_ms_04\.png holds uint8 values, balloons_ms_01\.png uint16"):
        open_scene(tmp_path)


def test_colour_image_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png is a colour image"):
        open_scene(tmp_path)


def test_previews_in_another_format_are_left_out(tmp_path: Path) -> None:
    cave(tmp_path, range(1, 4))
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "preview.jpg")
    with pytest.warns(FinewaveWarning, match=r"3 png images as bands and left out preview\.jpg"):
        assert open_scene(tmp_path).sizes["band"] == 3


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"holds no images .* it holds: notes\.txt"):
        open_scene(tmp_path)


def test_damaged_band_is_named(tmp_path: Path) -> None:
    cave(tmp_path, range(1, 4))
    (tmp_path / "balloons_ms_02.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"cannot read .*balloons_ms_02\.png"):
        open_scene(tmp_path)


class TestGeoTiffBands:
    def write(self, path: Path, number: int, **profile: object) -> None:
        keywords = {"crs": "EPSG:32631", "transform": from_origin(5e5, 4e6, 10, 10), "nodata": 0} | profile
        with rasterio.open(path, "w", driver="GTiff", count=1, height=3, width=4, dtype="uint16", **keywords) as file:
            values = np.full((1, 3, 4), number, np.uint16)
            values[0, 0, 0] = 0
            file.write(values)

    def test_place_and_nodata(self, tmp_path: Path) -> None:
        for band, number in (("B02", 1000), ("B03", 2000), ("B10", 3000)):
            self.write(tmp_path / f"T31_{band}.tif", number)
        with pytest.warns(FinewaveWarning, match="assumed that 10000"):
            scene = open_scene(tmp_path)
        np.testing.assert_allclose(scene.values[:, 1, 1], [0.1, 0.2, 0.3], rtol=1e-6)
        assert np.isnan(scene.values[:, 0, 0]).all()
        assert scene_crs(scene).to_epsg() == 32631
        assert scene.coords["x"].values[0] == 500_005

    def test_masks_at_several_resolutions(self, tmp_path: Path) -> None:
        place = {"crs": "EPSG:32631", "dtype": "uint16"}
        for name, size, hidden in (("b1", 4, (1, 2)), ("b2", 2, (0, 1))):
            transform = from_origin(5e5, 4e6, 40 / size, 40 / size)
            mask = np.full((size, size), True)
            mask[hidden] = False
            with (
                rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
                rasterio.open(
                    tmp_path / f"{name}.tif", "w", "GTiff", size, size, 1, transform=transform, **place
                ) as file,
            ):
                file.write(np.where(mask, 1000, 60000).astype(np.uint16)[None])
                file.write_mask(mask)
        values = open_scene(tmp_path, full_scale=1).values
        assert np.argwhere(np.isnan(values[0])).tolist() == [[1, 2]]
        assert np.argwhere(np.isnan(values[1])).tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
        np.testing.assert_allclose(values[np.isfinite(values)], 1000, atol=0.5)

    def test_bands_of_another_place(self, tmp_path: Path) -> None:
        self.write(tmp_path / "b1.tif", 1000)
        self.write(tmp_path / "b2.tif", 1000, transform=from_origin(6e5, 4e6, 10, 10))
        with pytest.raises(InputError, match=r"b2\.tif is at another place than b1\.tif"):
            open_scene(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files cannot be listed here")
@pytest.mark.parametrize("shape", ["folder", "file"])
def test_a_closed_scene_holds_no_file(shape: str, tmp_path: Path) -> None:
    for name, side in (("a_B02", 8), ("a_B11", 4)):
        how = {"driver": "GTiff", "dtype": "uint16", "count": 1, "height": side, "width": side, "crs": "EPSG:32631"}
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(
                tmp_path / f"{name}.tif", "w", **how, transform=from_origin(5e5, 4e6, 80 / side, 80 / side)
            ) as f,
        ):
            f.write(np.ones((1, side, side), np.uint16))
            f.write_mask(np.eye(side, dtype=bool))

    def held() -> list[str]:
        links = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        return [str(each) for each in links if str(tmp_path) in str(each)]

    scene = open_scene(tmp_path if shape == "folder" else tmp_path / "a_B02.tif", full_scale=1)
    values = scene.values.copy()
    assert np.isnan(values[0, 1, 0])
    scene.close()
    assert held() == []
