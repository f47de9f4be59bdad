"""Photographs, with Pillow and rasterio as independent readers and writers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from finewave.errors import InputError
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import make_scene
from finewave.warnings import FinewaveWarning
from tests.io.scene_helpers import cut, names_in

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)


def linear(encoded: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, written down a second time."""
    encoded = encoded.astype(np.float64)
    return np.array([e / 12.92 if e <= 0.04045 else ((e + 0.055) / 1.055) ** 2.4 for e in encoded.ravel()]).reshape(
        encoded.shape
    )


def test_png_is_linear_rgb(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    scene = open_scene(tmp_path / "a.png")
    np.testing.assert_allclose(scene.values, np.moveaxis(linear(RGB / 255), -1, 0), atol=1e-6)
    assert scene.dtype == np.float32
    assert scene.attrs == {"sensor": "srgb", "transfer_function": "linear"}
    assert list(scene.coords["band_name"].values) == ["R", "G", "B"]
    assert list(recwarn) == []


def test_encoded_values_on_request(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    scene = open_scene(tmp_path / "a.png", linearise=False)
    np.testing.assert_allclose(scene.values, np.moveaxis(RGB / 255, -1, 0), atol=1e-7)
    assert scene.attrs["transfer_function"] == "sRGB"
    # Saved again without being encoded twice.
    save_scene(scene, tmp_path / "b.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), RGB)


def test_bytes_survive(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    save_scene(open_scene(tmp_path / "a.png"), tmp_path / "b.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), RGB)


def test_sixteen_bits_survive(tmp_path: Path) -> None:
    numbers = RNG.integers(0, 65536, (3, 5, 7), dtype=np.uint16)
    with rasterio.open(tmp_path / "a.png", "w", driver="PNG", count=3, height=5, width=7, dtype="uint16") as dataset:
        dataset.write(numbers)
    scene = open_scene(tmp_path / "a.png", linearise=False)
    np.testing.assert_allclose(scene.values, numbers / 65535, atol=1e-7)
    save_scene(open_scene(tmp_path / "a.png"), tmp_path / "b.png", dtype="uint16")
    with rasterio.open(tmp_path / "b.png") as dataset:
        np.testing.assert_allclose(dataset.read().astype(float), numbers, atol=1)


def test_jpeg(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.linspace(0.1, 0.9, 32), (3, 24, 32)) * np.array([1, 0.8, 0.5])[:, None, None]
    save_scene(make_scene(smooth), tmp_path / "a.jpg")
    np.testing.assert_allclose(open_scene(tmp_path / "a.jpg").values, smooth, atol=0.03)
    save_scene(make_scene(smooth), tmp_path / "b.jpeg", quality=20)
    assert (tmp_path / "b.jpeg").stat().st_size < (tmp_path / "a.jpg").stat().st_size


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_orientation_of_the_camera(tmp_path: Path, orientation: int, turns: int) -> None:
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    scene = open_scene(tmp_path / "a.jpg")
    np.testing.assert_allclose(scene.values[0], np.rot90(picture[..., 0] / 255, turns), atol=0.05)


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "I;16"])
def test_other_kinds_of_pixels(tmp_path: Path, mode: str) -> None:
    name = "a.jpg" if mode == "CMYK" else "a.png"
    if mode == "I;16":
        Image.fromarray(RGB[..., 0].astype(np.uint16) * 257).save(tmp_path / name)
        expected = RGB[..., :1]
    else:
        picture = Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).convert(mode)
        picture.save(tmp_path / name)
        expected = np.full((8, 8, 1 if mode in ("L", "1") else 3), 255)
    scene = open_scene(tmp_path / name)
    np.testing.assert_allclose(
        scene.values, np.moveaxis(linear(expected / 255), -1, 0), atol=1e-2 if mode == "CMYK" else 1e-6
    )
    assert ("sensor" in scene.attrs) == (scene.sizes["band"] == 3)


def test_transparent_pixels_are_missing(tmp_path: Path) -> None:
    alpha = np.full((5, 7, 1), 255, np.uint8)
    alpha[1, 2], alpha[3, 3] = 0, 99
    Image.fromarray(np.concatenate([RGB, alpha], axis=-1)).save(tmp_path / "a.png")
    with pytest.warns(FinewaveWarning, match="half-transparent"):
        scene = open_scene(tmp_path / "a.png")
    assert scene.shape == (3, 5, 7)
    assert np.isnan(scene.values[:, 1, 2]).all()
    assert np.isnan(scene.values).sum() == 3


def test_stated_scale(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2, 3), 100, np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_allclose(open_scene(tmp_path / "a.png", scale=200, linearise=False).values, 0.5)
    with pytest.raises(InputError, match=r"scale= .* must be positive"):
        open_scene(tmp_path / "a.png", scale=-1)


def test_blue_first_is_turned_round(tmp_path: Path) -> None:
    scene = make_scene(np.array([0, 0.5, 1]).reshape(3, 1, 1) * np.ones((3, 2, 2)), [450, 550, 650])
    with pytest.warns(FinewaveWarning, match="red first"):
        save_scene(scene, tmp_path / "a.png")
    assert np.asarray(Image.open(tmp_path / "a.png"))[0, 0].tolist() == [255, 188, 0]


def test_values_that_a_photograph_cannot_hold(tmp_path: Path) -> None:
    values = np.full((3, 2, 2), 0.5)
    values[0, 0, 0], values[1, 0, 1], values[2, 1, 1] = -0.1, 1.5, np.nan
    with pytest.warns(FinewaveWarning, match=r"2 values outside \[0, 1\] were clipped, 1 missing"):
        save_scene(make_scene(values), tmp_path / "a.png")
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    assert (pixels[0, 0, 0], pixels[0, 1, 1], pixels[1, 1, 2]) == (0, 255, 0)


@pytest.mark.parametrize("bands", [1, 2, 4, 31])
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_other_band_counts_are_refused(tmp_path: Path, bands: int, name: str) -> None:
    with pytest.raises(InputError, match=f"three bands .* has {bands}; choose three of them, or save to .tif"):
        save_scene(make_scene(np.ones((bands, 2, 2))), tmp_path / name)
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {"dtype": "uint16"}),
        ("a.png", {"dtype": "float32"}),
        ("a.png", {"scale": 10}),
        ("a.png", {"nodata": 0}),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, name: str, options: dict) -> None:
    with pytest.raises(InputError, match=r"a\.(png|jpg): "):
        save_scene(make_scene(np.ones((3, 2, 2))), tmp_path / name, **options)
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_truncation_shows_when_opening(tmp_path: Path, name: str) -> None:
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / name)
    cut(tmp_path / name, 0.6)
    with pytest.raises(InputError, match=r"cannot read .* damaged, truncated"):
        open_scene(tmp_path / name)
