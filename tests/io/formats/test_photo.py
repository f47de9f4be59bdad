"""Photographs, with Pillow and rasterio as independent readers and writers."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image, ImageCms

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


def profile_of(primaries: np.ndarray, gamma: float = 2.2, name: str = "Wide RGB") -> bytes:
    """Write an ICC profile of three primaries (columns: XYZ under D50) and a power law, by ICC.1:2022."""
    fixed = [struct.pack(">i", round(each * 65536)) for each in (*primaries.T.ravel(), 0.9642, 1.0, 0.8249)]
    xyz = [b"XYZ \0\0\0\0" + b"".join(fixed[i : i + 3]) for i in range(0, 12, 3)]
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    text = name.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78
    tags = {b"desc": described, b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz[3]}
    tags |= dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), xyz, strict=False)) | dict.fromkeys(
        (b"rTRC", b"gTRC", b"bTRC"), curve
    )
    table, content, start = b"", b"", 132 + 12 * len(tags)
    for tag, data in tags.items():
        padded = data + b"\0" * (-len(data) % 4)
        table += tag + struct.pack(">II", start + len(content), len(data))
        content += padded
    header = struct.pack(">I4xI", 128 + 4 + len(table + content), 0x02400000) + b"mntrRGB XYZ " + b"\0" * 12
    header += b"acsp" + b"\0" * 28 + b"".join(fixed[9:])
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + content


ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB_D50 = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)


def in_linear_srgb(pixels: np.ndarray, primaries: np.ndarray, gamma: float = 2.2) -> np.ndarray:
    """Colours (n, 3) of bytes, by the definition of the profile; those outside sRGB are cut to it."""
    xyz = (pixels / 255.0) ** gamma @ primaries.T
    return np.clip(xyz @ np.linalg.inv(SRGB_D50).T, 0, 1)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
@pytest.mark.parametrize("transparent", [False, True])
def test_colour_profile_is_applied(tmp_path: Path, name: str, transparent: bool) -> None:
    colours = np.array([[200, 60, 60], [60, 180, 60], [90, 100, 160], [255, 255, 255], [128, 128, 128]], np.uint8)
    pixels = np.repeat(np.repeat(colours[None], 16, 0), 16, 1)
    if transparent and name == "a.jpg":
        pytest.skip("JPEG has no transparency")
    if transparent:
        pixels = np.concatenate([pixels, np.full((16, 80, 1), 255, np.uint8)], -1)
        pixels[0, 0, 3] = 0
    options = {"quality": 100, "subsampling": 0} if name == "a.jpg" else {}
    Image.fromarray(pixels).save(tmp_path / name, icc_profile=profile_of(ADOBE), **options)
    scene = open_scene(tmp_path / name)
    expected = in_linear_srgb(colours, ADOBE)
    np.testing.assert_allclose(scene.values[:, 8, 8::16].T, expected, atol=0.012)  # of 8 bits, coded in between
    assert np.isnan(scene.values[:, 0, 0]).all() == transparent
    assert scene.values.shape == (3, 16, 80)
    np.testing.assert_array_equal(scene[1:, 4:9, 3:70].values, scene.values[1:, 4:9, 3:70])


def test_profile_of_srgb_changes_nothing(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=profile)
    scene = open_scene(tmp_path / "a.png", linearise=False)
    np.testing.assert_allclose(scene.values, np.moveaxis(RGB / 255, -1, 0), atol=1e-7)
    assert not [each for each in recwarn if each.category is FinewaveWarning]


def test_profiles_that_cannot_be_applied_are_said(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "damaged.png", icc_profile=b"no profile at all")
    with pytest.warns(FinewaveWarning, match="colour profile was not applied: it is damaged"):
        open_scene(tmp_path / "damaged.png")
    Image.fromarray(RGB[..., 0]).save(tmp_path / "grey.png", icc_profile=profile_of(ADOBE))
    with pytest.warns(FinewaveWarning, match="Wide RGB is for RGB, the picture has 1 bands"):
        open_scene(tmp_path / "grey.png")
    deep = np.zeros((3, 4, 4), np.uint16)
    with rasterio.open(tmp_path / "deep.png", "w", "PNG", 4, 4, 3, dtype="uint16") as file:
        file.write(deep)
        file.update_tags(ns="COLOR_PROFILE", SOURCE_ICC_PROFILE=base64.b64encode(profile_of(ADOBE)).decode())
    content = (tmp_path / "deep.png").read_bytes()
    packed = zlib.compress(profile_of(ADOBE))
    chunk = b"iCCP" + b"x\0\0" + packed
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "deep.png").write_bytes(content[:33] + chunk + content[33:])
    with pytest.warns(FinewaveWarning, match="not applied: pictures of 16 bits are read as they are"):
        open_scene(tmp_path / "deep.png")


def test_adobe_rgb_by_exif_alone_is_said(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif)
    with pytest.warns(FinewaveWarning, match="EXIF data say Adobe RGB"):
        open_scene(tmp_path / "a.jpg")


@pytest.mark.cases
@pytest.mark.parametrize(("name", "expected"), [("adobe_rgb", (231, 57, 57)), ("display_p3", (219, 37, 49))])
def test_profiles_of_the_cases(cases: Path, name: str, expected: tuple[int, int, int]) -> None:
    scene = open_scene(cases / "B6_icc_profile" / f"{name}.png")
    np.testing.assert_allclose(scene.values[:, -1, -1], linear(np.array(expected) / 255), atol=0.005)


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
    np.testing.assert_allclose(open_scene(tmp_path / "a.png", full_scale=200, linearise=False).values, 0.5)
    with pytest.raises(InputError, match=r"scale= .* must be positive"):
        open_scene(tmp_path / "a.png", full_scale=-1)


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
        ("a.png", {"full_scale": 10}),
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
