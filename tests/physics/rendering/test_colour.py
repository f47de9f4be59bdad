"""Colours of scenes, against sums over the published curves and known photographs."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import finewave as fw
from finewave.locations import data_folder
from finewave.physics.rendering.display import DisplayRange, display_range, encode_srgb, on_grey, srgb_bytes
from finewave.physics.rendering.renderings import offered_renderings, rendering, rendering_at
from finewave.scene import make_scene

PHOTOS = data_folder() / "photos"
VISIBLE = np.arange(380.0, 781.0, 5.0)


def columns(name: str) -> np.ndarray:
    """Return a CSV of the package's curves, comments left out, as columns."""
    text = (files("finewave.physics.sensors") / "curves" / name).read_text(encoding="utf-8")
    rows = list(csv.reader(line for line in text.splitlines() if not line.startswith("#")))[1:]
    return np.array(rows, float).T


def srgb_by_hand(reflectance: np.ndarray, wavelengths: np.ndarray) -> np.ndarray:
    """Return sRGB of reflectances (C, n) under D65: sums, and IEC 61966-2-1's primaries by their chromaticities."""
    observer, light = columns("cie1931.csv"), columns("d65.csv")
    cmf = np.stack([np.interp(wavelengths, observer[0], row) for row in observer[1:]])
    power = np.interp(wavelengths, light[0], light[1])
    xyz = (cmf * power) @ reflectance / (cmf[1] * power).sum()
    xy = np.array([[0.64, 0.33], [0.30, 0.60], [0.15, 0.06]])
    primaries = np.stack([xy[:, 0] / xy[:, 1], np.ones(3), (1 - xy.sum(1)) / xy[:, 1]])
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    linear = np.linalg.inv(primaries * np.linalg.solve(primaries, white)) @ xyz
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def smooth_spectra() -> np.ndarray:
    """Return reflectances at `VISIBLE`: leaf, coffee, sky-like, brick, grey."""
    x = (VISIBLE - 380) / 400
    return np.stack(
        [
            0.05 + 0.2 * np.exp(-(((VISIBLE - 550) / 40) ** 2)),
            0.05 + 0.5 * x**2,
            0.7 - 0.5 * x,
            0.1 + 0.6 / (1 + np.exp(-(VISIBLE - 590) / 15)),
            np.full_like(x, 0.4),
        ],
        axis=1,
    )


def test_true_colour_is_the_sum_over_observer_and_daylight() -> None:
    spectra = smooth_spectra()
    expected = srgb_by_hand(spectra, VISIBLE)
    for wavelengths, atol in ((VISIBLE, 0.004), (np.arange(400.0, 701, 10), 0.006), (np.arange(380.0, 1001, 3), 0.004)):
        values = np.stack([np.interp(wavelengths, VISIBLE, each) for each in spectra.T], axis=1)
        scene = make_scene(values[:, None], wavelengths=wavelengths)
        rgb = fw.to_rgb(scene, limits="unit")
        assert rgb.dims == ("band", "y", "x")
        assert rgb.attrs["rendering"].startswith("True colour (CIE 1931, D65, ")
        np.testing.assert_allclose(rgb.values[:, 0], expected, atol=atol)


def test_the_label_says_which_part_of_the_light_was_seen() -> None:
    scene = make_scene(np.full((31, 1, 1), 0.5), wavelengths=np.arange(400.0, 701, 10))
    assert fw.to_rgb(scene).attrs["rendering"] == "True colour (CIE 1931, D65, 400–700 nm)"


def test_the_order_of_bands_does_not_matter_and_bad_bands_do_not_count() -> None:
    wavelengths = np.arange(400.0, 701, 10)
    values = np.random.default_rng(0).random((31, 4, 5))
    expected = fw.to_rgb(make_scene(values, wavelengths=wavelengths)).values
    backwards = make_scene(values[::-1], wavelengths=wavelengths[::-1])
    np.testing.assert_allclose(fw.to_rgb(backwards).values, expected, atol=1e-5)
    good = np.ones(31, bool)
    good[10] = False
    values[10] = np.nan
    flagged = fw.to_rgb(make_scene(values, wavelengths=wavelengths, good_bands=good)).values
    assert np.isfinite(flagged).all()


def test_the_light_of_the_scene() -> None:
    """A radiance that is D65 itself is the white of sRGB."""
    wavelengths = np.arange(380.0, 741, 5)
    light = np.interp(wavelengths, *columns("d65.csv")[:2])
    scene = make_scene((light / light.max())[:, None, None], wavelengths=wavelengths)
    linear_grey = fw.to_rgb(scene, light="scene", limits="unit").values.ravel()
    assert np.ptp(linear_grey) < 0.01
    assert np.ptp(fw.to_rgb(scene, limits="unit").values.ravel()) > 0.02  # as a reflectance it is bluish
    with pytest.raises(fw.InputError, match="D65, scene"):
        fw.to_rgb(scene, light="candle")  # type: ignore[arg-type]


def test_what_is_offered() -> None:
    def names(bands: int, wavelengths: object = None, **more: object) -> list[str]:
        return list(offered_renderings(make_scene(np.zeros((bands, 2, 2)), wavelengths=wavelengths, **more)))

    assert names(31, np.arange(400, 701, 10)) == ["true", "natural"]
    assert names(4, [490, 560, 665, 842]) == ["natural", "infrared", "ndvi", "ndwi"]
    assert names(103, np.linspace(430, 860, 103))[0] == "natural"  # without the violet, blue would be made up
    assert names(8, [427, 478, 546, 608, 659, 724, 833, 949])[0] == "natural"  # 60 nm steps are too coarse
    assert names(9, np.linspace(1000, 2600, 9)) == ["bands"]
    assert names(40) == ["bands"]
    assert names(1) == ["band"]
    assert names(4, None, band_names=["NIR", "R", "G", "B"]) == ["natural"]
    assert names(3, None, attrs={"sensor": "srgb"}) == ["true"]


def test_bands_are_shown_by_their_names_and_what_has_no_wavelengths_says_so() -> None:
    named = make_scene(np.arange(4.0).reshape(4, 1, 1) / 4, band_names=["NIR", "R", "G", "B"])
    assert rendering(named).label == "By name (R, G, B)"
    assert rendering(named).bands == [1, 2, 3]
    coloured = make_scene(np.zeros((4, 1, 1)), colours=["blue", "green", "red", "nir"])
    assert [int(row.argmax()) for row in rendering(coloured).weights] == [2, 1, 0]
    unnamed = make_scene(np.zeros((40, 1, 1)))
    assert rendering(unnamed).label == "Three bands (bands 30, 21, 11; wavelengths unknown)"
    assert rendering(make_scene(np.zeros((3, 1, 1)))).label == "Three bands (bands 1, 2, 3; wavelengths unknown)"
    far = make_scene(np.zeros((9, 1, 1)), wavelengths=np.linspace(1000, 2600, 9))
    assert rendering(far).label == "Three bands (2200, 1800, 1400 nm)"


def test_natural_colour_is_a_mean_over_the_width_of_a_camera() -> None:
    wavelengths = np.arange(440.0, 861, 10)
    values = np.random.default_rng(1).random((len(wavelengths), 3, 4))
    scene = make_scene(values, wavelengths=wavelengths)
    for channel, centre in enumerate((640, 550, 460)):
        mean = values[np.abs(wavelengths - centre) <= 40].mean(0)
        shown = rendering(scene, "natural")
        np.testing.assert_allclose(shown.channels(values[shown.bands])[channel], mean, rtol=1e-5)


def test_any_triple_and_an_index() -> None:
    scene = make_scene(np.random.default_rng(2).random((4, 3, 5)), wavelengths=[490, 560, 665, 842])
    triple = fw.to_rgb(scene, (842, 665, 560), limits="unit")
    np.testing.assert_allclose(triple.values, fw.to_rgb(scene[[3, 2, 1]].drop_vars("wavelength"), limits="unit").values)
    plant, water = (
        fw.to_rgb(make_scene(np.array(v)[:, None, None], wavelengths=[490, 560, 665, 842]), "ndvi").values
        for v in ([0.05, 0.1, 0.05, 0.5], [0.05, 0.04, 0.03, 0.01])
    )
    assert plant[1] > plant[0]  # green where there are plants, brown where not
    assert water[0] > water[1]
    with pytest.raises(fw.InputError, match=r"490 to 842 nm.*1600"):
        fw.to_rgb(scene, (1600, 665, 560))
    with pytest.raises(fw.InputError, match=r"no bands for 'shortwave'.*natural, infrared"):
        fw.to_rgb(scene, "shortwave")
    with pytest.raises(fw.InputError, match="did you mean 'natural'"):
        fw.to_rgb(scene, "naturl")


def test_ranges() -> None:
    wavelengths = np.arange(400.0, 701, 10)
    shown = rendering(make_scene(np.zeros((31, 2, 2)), wavelengths=wavelengths))
    bright = np.linspace(0, 0.9, 300, dtype=np.float32).reshape(3, 10, 10)
    assert display_range("auto", shown, bright) == DisplayRange((0, 0, 0), (1, 1, 1))
    dark = display_range("auto", shown, bright / 10)
    assert 0.085 < dark.high[0] < 0.09
    assert len(set(dark.high)) == 1
    counts = display_range("auto", shown, bright * 4000)
    assert 3500 < counts.high[0] < 3600
    sample = np.stack([np.linspace(0, top, 1001, dtype=np.float32).reshape(1, -1) for top in (0.1, 0.2, 0.4)])
    assert display_range("unit", shown, sample).high == (1, 1, 1)
    joint = display_range("joint", shown, sample)
    assert 0.35 < joint.high[0] <= 0.4
    assert display_range("each", shown, sample).high == pytest.approx((0.098, 0.196, 0.392), rel=1e-3)
    flat = display_range("each", shown, np.full((1, 4, 4), 3.0, np.float32))
    assert flat.high[0] > flat.low[0]
    assert display_range("joint", shown, np.full((1, 2, 2), np.nan, np.float32)) == DisplayRange((0.0,), (1.0,))


def test_bytes_for_the_screen_are_the_colours_and_missing_pixels_are_transparent() -> None:
    values = np.random.default_rng(3).random((31, 20, 30), dtype=np.float32)
    values[4, 2, 3] = np.nan
    scene = make_scene(values, wavelengths=np.arange(400.0, 701, 10))
    shown = rendering(scene)
    channels, limits = shown.channels(values[shown.bands]), DisplayRange((0, 0, 0), (1, 1, 1))
    exact, screen = encode_srgb(shown, channels, limits), srgb_bytes(shown, channels, limits)
    there = np.isfinite(exact).all(axis=0)
    assert np.count_nonzero(~there) == 1
    np.testing.assert_array_equal(screen[..., 3] == 255, there)
    # half a level of rounding, and less than half a one of the steps near black
    assert np.abs(screen[there][:, :3] - 255 * exact[:, there].T).max() < 1.0
    assert on_grey(screen)[2, 3].tolist() == [128, 128, 128]
    grey = rendering_at(scene, [550.0])
    picture = srgb_bytes(grey, np.array([[[0.0, 0.5, 2.0]]], np.float32), DisplayRange((0.0,), (1.0,)))
    assert picture[0, :, :3].tolist() == [[0, 0, 0], [188, 188, 188], [255, 255, 255]]


def test_a_photograph_is_itself(tmp_path: Path) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (9, 11, 3), np.uint8)
    iio.imwrite(tmp_path / "photo.png", pixels)
    for linearise in (True, False):
        rgb = fw.to_rgb(fw.open_scene(tmp_path / "photo.png", linearise=linearise))
        np.testing.assert_allclose(rgb.values.transpose(1, 2, 0), pixels / 255, atol=2e-4)
        assert rgb.attrs["rendering"] == "True colour (sRGB photograph)"


@pytest.mark.data
@pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no photographs under {PHOTOS}; set FINEWAVE_DATA")
@pytest.mark.parametrize("name", ["100007", "100075", "100080"])
def test_a_result_has_the_colours_of_its_photograph(name: str) -> None:
    photograph = fw.open_scene(PHOTOS / f"{name}.jpg")[:, 100:132, 100:132].load()
    result = fw.super_resolve(photograph, fw.load_model("jssunet-photo-x4"))
    shown = fw.to_rgb(result).values.reshape(3, 32, 4, 32, 4).mean((2, 4))
    seen = fw.to_rgb(photograph).values
    assert np.abs(shown - seen).mean() < 0.01


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_scene_with_the_bands_of_srgb_is_its_photograph(order: tuple[int, ...]) -> None:
    values = (0.4 * np.random.default_rng(2).random((3, 6, 5))).astype(np.float32)
    photograph = fw.to_rgb(make_scene(values, band_names=["R", "G", "B"], attrs={"sensor": "srgb"}))
    centres = np.round(fw.get_sensor("srgb").centres)[list(order)]
    np.testing.assert_array_equal(fw.to_rgb(make_scene(values[list(order)], centres)).values, photograph.values)
