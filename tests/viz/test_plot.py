"""Plots in Python: what they show, where, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import finewave as fw
from finewave.errors import InputError
from finewave.scene import make_scene
from finewave.text.plain_text import one_line
from tests.viz.scenes import WAVELENGTHS, truth_values


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    import matplotlib.pyplot as plt

    before = mpl.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


def scene(values: np.ndarray | None = None, **more: object) -> object:
    return make_scene(truth_values() if values is None else values, wavelengths=WAVELENGTHS, **more)  # type: ignore[arg-type]


def test_an_image_is_the_right_way_up_and_in_true_colour() -> None:
    axes = fw.plot.image(scene())
    (picture,) = axes.images
    assert np.array_equal(picture.get_array(), np.moveaxis(fw.to_rgb(scene()).values, 0, -1))
    low, high = axes.get_ylim()
    assert low > high  # the first row is on top
    assert axes.get_title(loc="left").startswith("True colour")


def test_spectra_are_those_of_the_points_over_wavelength() -> None:
    axes = fw.plot.spectra(scene(), [(1, 2), (40, 30)])
    assert axes.get_xlabel() == "wavelength (nm)"
    drawn = [line.get_xydata() for line in axes.lines]
    values = truth_values()
    for line, (column, row) in zip(drawn, [(1, 2), (40, 30)], strict=True):
        assert np.allclose(line, np.stack([WAVELENGTHS, values[:, row, column]], 1))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["column 1, row 2", "column 40, row 30"]


def test_half_widths_are_a_band_around_a_spectrum() -> None:
    half = np.random.default_rng(2).uniform(0.01, 0.1, truth_values().shape)
    with_half = scene().assign_coords(uncertainty=(("band", "y", "x"), half))  # type: ignore[attr-defined]
    axes = fw.plot.spectra(with_half, [(1, 2)])
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    middle, width = truth_values()[:, 2, 1], half[:, 2, 1]
    for wavelength, low, high in zip(WAVELENGTHS, middle - width, middle + width, strict=True):
        values = corners[np.isclose(corners[:, 0], wavelength), 1]
        assert np.isclose(values.min(), low)
        assert np.isclose(values.max(), high)
    assert not fw.plot.spectra(scene(), [(1, 2)]).collections


def test_bands_flagged_bad_are_left_out() -> None:
    good = np.ones(len(WAVELENGTHS), bool)
    good[[2, 3]] = False
    (line,) = fw.plot.spectra(scene(good_bands=good), [(1, 2)]).lines
    # no line crosses them: NaN stands there
    assert np.array_equal(line.get_xdata()[np.isfinite(line.get_ydata())], WAVELENGTHS[good])
    assert np.isnan(line.get_ydata()).sum() == (~good).sum()


def test_axes_in_another_order_are_put_in_order() -> None:
    turned = scene().transpose("y", "x", "band")  # type: ignore[attr-defined]
    assert np.array_equal(fw.to_rgb(turned).values, fw.to_rgb(scene()).values)
    lines = [fw.plot.spectra(each, [(1, 2)]).lines[0] for each in (scene(), turned)]
    assert np.array_equal(lines[0].get_ydata(), lines[1].get_ydata())


@pytest.mark.parametrize("points", [[(1.5, 2)], [3, 4], [(1, 2, 3)]])
def test_points_that_are_not_pixels_are_refused(points: list) -> None:
    with pytest.raises(InputError, match="is not a column and a row"):
        fw.plot.spectra(scene(), points)


def test_arrays_are_refused_in_a_line() -> None:
    for draw in (fw.plot.image, fw.plot.spectra, fw.plot.compare, fw.to_rgb):
        with pytest.raises(InputError, match="a scene is an xarray"):
            draw(truth_values())  # type: ignore[operator]


def test_scenes_have_a_style_and_points_a_colour() -> None:
    shown = {"truth": scene(), "ours": scene(truth_values() + 0.01)}
    axes = fw.plot.spectra(shown, [(1, 2), (40, 30)])  # type: ignore[arg-type]
    colours = [line.get_color() for line in axes.lines]
    styles = [line.get_linestyle() for line in axes.lines]
    assert colours[:2] == colours[2:]
    assert colours[0] != colours[1]
    assert styles == ["-", "-", "--", "--"]
    assert axes.get_legend().get_texts()[2].get_text() == "ours, column 1, row 2"


def test_a_scene_without_wavelengths_is_drawn_over_its_bands() -> None:
    axes = fw.plot.spectra(make_scene(truth_values()), [(1, 2)])
    assert axes.get_xlabel() == "band"
    assert axes.lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_axes_of_the_user_are_used() -> None:
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(1, 2)
    assert fw.plot.image(scene(), axes=left) is left
    assert fw.plot.spectra(scene(), axes=right) is right
    assert len(right.lines) == 4


def test_compare_draws_what_the_command_draws(tmp_path: Path) -> None:
    truth, ours = scene(), scene(truth_values() + 0.01)
    coarse = scene(truth_values().reshape(7, 12, 4, 16, 4).mean((2, 4)))
    figure = fw.plot.compare({"ours": ours}, truth, coarse)  # type: ignore[dict-item]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[::2][:3] == ["reference", "input", "ours"]
    assert any("40.00 dB" in title for title in titles)  # off by 0.01 everywhere
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_a_result_is_named_after_its_model() -> None:
    figure = fw.plot.compare(scene(attrs={"model": "my-net"}))
    assert figure.axes[0].get_title(loc="left") == "my-net"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fw.plot.spectra({}), "no scene to plot"),
        (lambda: fw.plot.spectra(scene(), [(64, 0)]), r"x=64, y=0 is not inside the scene of 64 x 48"),
        (lambda: fw.plot.spectra({"a": scene(), "b": scene(truth_values(24, 64))}), "scenes of one size"),
        (lambda: fw.plot.compare({"a": scene(), "b": scene(truth_values(24, 64))}), "must be of one size"),
        (lambda: fw.plot.compare(scene(), scene(truth_values(24, 64))), "reference has 64 x 24 pixels"),
        (lambda: fw.plot.compare(scene(), region=(60, 0, 10, 10)), "region x=60"),
    ],
)
def test_what_does_not_fit_is_refused(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", ["$\\frac{$", "_hidden", "a\udcffb", "nul\x00b", "two\nlines", "%s {0}"])
def test_names_are_text_whatever_they_hold(name: str) -> None:
    """A formula that is none would end the drawing, others would be set as one, and "_" would hide the entry."""
    named = {name: scene(), "other": scene()}
    shown = one_line(name)
    axes = fw.plot.spectra(named, [(1, 2)])
    axes.figure.canvas.draw()
    assert [text.get_text().strip() for text in axes.get_legend().get_texts()] == [
        f"{shown}, column 1, row 2",
        "other, column 1, row 2",
    ]
    figure = fw.plot.compare(named, scene(), points=[(1, 2)], title=name)
    figure.canvas.draw()
    assert [text.get_text().strip() for text in figure.legends[0].get_texts()] == ["reference", shown, "other"]


def test_names_of_models_are_text_in_the_picture_of_the_demo(tmp_path: Path) -> None:
    """A formula that is none would end the drawing."""
    from finewave.viz.demo_figure import draw_demo

    random = np.random.default_rng(4)
    low = make_scene(random.random((3, 40, 40), np.float32), wavelengths=[640, 550, 460])
    high = make_scene(random.random((3, 80, 80), np.float32), wavelengths=[640, 550, 460])
    draw_demo(low, high, tmp_path / "a.png", "$\\frac{$ \\begin{matrix} $$, scale 2")
    assert (tmp_path / "a.png").stat().st_size > 0
