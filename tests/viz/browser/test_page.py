from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from finewave.io.open_save import open_scene
from finewave.metrics import evaluate
from tests.viz.browser.conftest import Open, idle, on_screen, ranges, spectrum
from tests.viz.views import RATIO, SIZE, WAVELENGTHS

pytestmark = pytest.mark.browser


def picture(page: Any) -> np.ndarray:
    """Return the screen's pixels of the picture, in float."""
    shot = iio.imread(io.BytesIO(page.locator("#stack").screenshot()), extension=".png")
    return shot[..., :3].astype(float)


def select(page: Any, name: str, value: str) -> None:
    page.locator(f"[data-setting={name}]").select_option(value)


def test_load(open_page: Open, address: str) -> None:
    page = open_page(address)
    idle(page)
    assert "result.tif" in page.title()
    assert page.locator("#file-name").inner_text() == "result.tif"
    assert "64 × 48 pixels, 7 bands, 430–670 nm" in page.locator("header").inner_text()
    shown = picture(page)
    x, y = (
        round(n) for n in np.subtract(on_screen(page, 48, 24), [*page.locator("#stack").bounding_box().values()][:2])
    )
    # smooth spectra that rise to the right: the picture is bright and reddish there, dark at its upper left
    assert shown[y, x].mean() > 60
    assert shown[y, x, 0] > shown[y, x, 2]


def test_swipe(open_page: Open, address: str) -> None:
    page = open_page(f"{address}?left=input&right=result&mode=band&band=670&at=32,24,16")
    idle(page)
    box = page.locator("#stack").bounding_box()
    handle = page.locator("#swipe")

    def drag_to(part: float) -> np.ndarray:
        grip = handle.bounding_box()
        page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * part, box["y"] + 20, steps=4)
        page.mouse.up()
        assert handle.get_attribute("aria-valuenow") == str(round(100 * part))
        return picture(page)

    def edges(shot: np.ndarray, start: float, stop: float) -> int:
        """Count the columns in a part of the picture at which its colours change: edges of the pixels shown."""
        line = shot[60:300, int(start * box["width"]) : int(stop * box["width"])].mean((0, 2))
        return int((np.abs(np.diff(line)) > 0.5).sum())

    # 16 pixels of the result on the screen are 4 of the input: between 40 % and 60 % there are 3 edges, or none or one
    as_input, as_result = edges(drag_to(0.9), 0.4, 0.6), edges(drag_to(0.1), 0.4, 0.6)
    assert as_input < as_result
    handle.press("ArrowRight")
    assert handle.get_attribute("aria-valuenow") == "12"


@pytest.mark.parametrize("column", [21, 45], ids=["left of the swipe", "right of it"])
def test_a_click_plots_the_spectra_of_that_pixel(
    column: int, open_page: Open, address: str, files: dict[str, Path]
) -> None:
    page = open_page(address)
    idle(page)
    page.mouse.click(*on_screen(page, column + 0.5, 33.5))
    page.wait_for_function(f"finewave.models.settings.picked === 'pixel {column}, 33'")
    page.wait_for_function("finewave.models.left.document.get_model_by_name('spectrum-input').data.mean.length === 3")
    for role, step in (("result", 1), ("reference", 1), ("input", RATIO)):
        plotted, stored = spectrum(page, role), open_scene(files[role])
        np.testing.assert_allclose(plotted["mean"], stored.values[:, 33 // step, column // step], rtol=1e-6)
        np.testing.assert_array_equal(plotted["axis"], stored.wavelength)
    assert page.locator("#picked").inner_text() == f"pixel {column}, 33"
    assert not page.locator("#no-pick").is_visible()


def drag_over(page: Any, start: tuple[float, float], stop: tuple[float, float], region: str) -> None:
    """Pick a region. Again, if the page was still moving under the pointer, as on a busy machine."""
    from playwright.sync_api import TimeoutError as TimedOut

    page.keyboard.down("Shift")
    for last in (False, False, True):
        page.mouse.move(*on_screen(page, *start))
        page.mouse.down()
        page.mouse.move(*on_screen(page, *stop), steps=5)
        page.mouse.up()
        try:
            page.wait_for_function(
                "text => finewave.models.settings.picked.startsWith(text)", arg=region, timeout=20_000
            )
            break
        except TimedOut as error:
            if last:
                picked = page.evaluate("finewave.models.settings.picked")
                raise AssertionError(f"picked {picked!r} in place of {region!r}") from error
    page.keyboard.up("Shift")


def test_a_region_has_mean_spread_and_metrics(open_page: Open, address: str, files: dict[str, Path]) -> None:
    page = open_page(address)
    idle(page)
    drag_over(page, (10.2, 12.2), (29.8, 31.8), "20 × 20 pixels at 10, 12")
    page.wait_for_function("finewave.models.left.document.get_model_by_name('spectrum-result').data.mean.length === 7")
    result, reference = (open_scene(files[role]).values for role in ("result", "reference"))
    window = slice(None), slice(12, 32), slice(10, 30)
    plotted = spectrum(page, "result")
    np.testing.assert_allclose(plotted["mean"], result[window].mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(plotted["spread"], result[window].std((1, 2)), rtol=1e-4)
    page.wait_for_function("document.querySelector('#scores tbody tr:first-child td:last-child').textContent !== '–'")
    rows = [row.split("\t") for row in page.locator("#scores tbody").inner_text().splitlines()]
    whole, part = (evaluate(result[w], reference[w], scale=RATIO) for w in (slice(None), window))
    assert rows[0] == ["PSNR (dB)", f"{whole['psnr']:.2f}", f"{part['psnr']:.2f}"]
    assert rows[2] == ["SAM (°)", f"{whole['sam']:.2f}", f"{part['sam']:.2f}"]


def test_a_link_makes_the_same_view_again(open_page: Open, address: str) -> None:
    page = open_page(address)
    idle(page)
    select(page, "mode", "three")
    select(page, "red", "430")
    select(page, "map", "angle")
    select(page, "left", "reference")
    page.locator("#zoom-in").click()
    page.mouse.move(*on_screen(page, 40, 20))
    before = ranges(page, "left")
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"finewave.models.left.x_range.start > {before[0]} + 0.1")
    idle(page)
    page.mouse.click(*on_screen(page, 38.5, 21.5))
    page.wait_for_function("location.search.includes('pick=38,21,39,22') && location.search.includes('map=angle')")
    idle(page)
    again = open_page(page.url)
    idle(again)
    assert ranges(again, "left") == pytest.approx(ranges(page, "left"), abs=1e-3)
    settings = "(({left, right, swipe, mode, red, green, blue, band, stretch, map, picked}) => "
    settings += "[left, right, swipe, mode, red, green, blue, band, stretch, map, picked])(finewave.models.settings)"
    assert again.evaluate(settings) == page.evaluate(settings)
    assert again.evaluate(settings)[3:5] == ["three", 430]
    for one in (page, again):  # neither has the mouse or the focus on its picture
        one.locator("h1").click()
    again.wait_for_function("finewave.models.map.renderers.length > 0")
    # the link rounds to a ten-thousandth of a pixel, which may move an edge by one pixel of the screen
    differ = np.abs(picture(again) - picture(page)).max(axis=2) > 3
    assert differ.mean() < 0.005


def test_zoom_and_pan_are_linked(open_page: Open, address: str) -> None:
    page = open_page(address)
    idle(page)

    def assert_linked() -> None:
        ours, theirs = ranges(page, "left"), ranges(page, "map")
        assert theirs[:2] == pytest.approx(ours[:2])
        assert sum(theirs[2:]) == pytest.approx(sum(ours[2:]))
        size = page.evaluate("[finewave.models.map.inner_width, finewave.models.map.inner_height]")
        # pixels are square
        assert (theirs[1] - theirs[0]) / size[0] == pytest.approx((theirs[3] - theirs[2]) / size[1], rel=1e-6)

    before = ranges(page, "left")
    page.mouse.move(*on_screen(page, 20, 20))
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"finewave.models.left.x_range.start > {before[0]} + 1")
    assert_linked()
    zoomed = ranges(page, "left")
    box = page.locator(".panel .plot").first.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 120, steps=4)
    page.mouse.up()
    assert ranges(page, "left")[0] < zoomed[0]
    assert_linked()
    page.locator("#zoom-fit").click()
    page.wait_for_function(f"Math.abs(finewave.models.left.x_range.start - {before[0]}) < 1e-6")
    idle(page)


def test_a_slider_moves_through_the_bands(open_page: Open, address: str, files: dict[str, Path]) -> None:
    page = open_page(f"{address}?map=band&stretch=unit")
    idle(page)
    slider = page.locator("#band")
    slider.focus()
    slider.press("End")
    page.wait_for_function("finewave.models.settings.band === 670")
    page.wait_for_function("finewave.models.settings.map_note === '670 nm'")
    mapped = page.evaluate("""Array.from(
        finewave.models.map.renderers.find((each) => each.glyph.type === 'Image').data_source.data.image[0]
    )""")
    stored = open_scene(files["result"]).values[-1]
    np.testing.assert_allclose(np.reshape(mapped, SIZE), stored, rtol=1e-6)
    assert page.locator("#band-name").inner_text() == f"{WAVELENGTHS[-1]:g} nm"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_or_a_switch(scheme: str, open_page: Open, address: str) -> None:
    page = open_page(address, scheme=scheme)
    other = {"light": "dark", "dark": "light"}[scheme]

    def assert_theme(name: str) -> None:
        page.wait_for_function(f"finewave.models.settings.dark === {str(name == 'dark').lower()}")
        lettering = {"light": "#3b434f", "dark": "#b9c1cc"}[name]
        page.wait_for_function(
            "(c) => c === finewave.models.left.document.get_model_by_name('spectra').below[0].axis_label_text_color",
            arg=lettering,
        )
        colours = page.evaluate("""() => {
            const style = getComputedStyle(document.querySelector('aside section'));
            return [style.color, style.backgroundColor];
        }""")
        ink, ground = (np.array([int(n) for n in c[4:-1].split(",")]) for c in colours)
        assert (ground.mean() > 128) == (name == "light")
        assert contrast(ink, ground) > 7  # WCAG AAA

    assert_theme(scheme)
    select(page, "theme", other)
    assert_theme(other)
    select(page, "theme", "auto")
    assert_theme(scheme)
    page.emulate_media(color_scheme=other)
    assert_theme(other)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Return the contrast ratio of two colours by WCAG 2."""
    from finewave.physics.rendering.srgb import srgb_to_linear

    light, dark = sorted(
        (float(srgb_to_linear(c / 255.0) @ [0.2126, 0.7152, 0.0722]) for c in (one, other)), reverse=True
    )
    return (light + 0.05) / (dark + 0.05)
