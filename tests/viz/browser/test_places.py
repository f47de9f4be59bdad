"""Coordinates, pinned spectra, half-widths, a library, and files to save, in a real Chromium."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from affine import Affine
from pyproj import Transformer

from finewave.io.ground.spectral_library import read_spectra
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import make_scene
from tests.viz.browser.conftest import Open, idle, on_screen, running
from tests.viz.views import SIZE, WAVELENGTHS, truth

pytestmark = pytest.mark.browser

X0, Y0, PIXEL = 366_000.0, 5_810_000.0, 30.0


def write_placed(folder: Path) -> dict[str, Path]:
    """Write a result on a map with half-widths beside it, and a library of two of its own spectra."""
    values = truth().values
    place = {"crs": "EPSG:32633", "transform": Affine(PIXEL, 0, X0, 0, -PIXEL, Y0)}
    half = np.broadcast_to(np.linspace(0.01, 0.04, 7, dtype=np.float32)[:, None, None], values.shape)
    paths = {name: folder / file for name, file in (("result", "a.tif"), ("half", "a.uncertainty.tif"))}
    save_scene(make_scene(values, wavelengths=WAVELENGTHS, **place), paths["result"])
    save_scene(make_scene(half, wavelengths=WAVELENGTHS, attrs={"quantity": "half-width of 90 %"}), paths["half"])
    paths["library"] = folder / "library.csv"
    columns = [values[:, 10, 20], values[:, 40, 60]]
    rows = (f"{nm:g},{a:.6f},{b:.6f}" for nm, a, b in zip(WAVELENGTHS, *columns, strict=True))
    paths["library"].write_text("wavelength,soil,grass\n" + "\n".join(rows) + "\n")
    return paths


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_placed(tmp_path_factory.mktemp("placed"))


@pytest.fixture(scope="module")
def served(placed: dict[str, Path]) -> Iterator[str]:
    with running(placed["result"], "--library", placed["library"]) as address:
        yield address


def source(page: Any, name: str) -> dict[str, Any]:
    return page.evaluate(
        """(name) => {
            const data = finewave.models.left.document.get_model_by_name(name).data;
            const plain = (each) => typeof each === "object" ? Array.from(each) : each;
            return Object.fromEntries(Object.entries(data).map(([key, values]) => [key, Array.from(values, plain)]));
        }""",
        name,
    )


def until_text(page: Any, selector: str, text: str) -> None:
    page.wait_for_function("([s, t]) => document.querySelector(s).innerText.includes(t)", arg=[selector, text])


def save(page: Any, button: str, path: Path) -> Path:
    with page.expect_download() as download:
        page.locator(button).click()
    download.value.save_as(path)
    return path


def test_places_are_pinned_compared_and_saved(
    open_page: Open, served: str, placed: dict[str, Path], tmp_path: Path
) -> None:
    page = open_page(served)
    idle(page)
    assert not page.locator("#loading").is_visible()
    page.mouse.click(*on_screen(page, 20.5, 10.5))
    until_text(page, "#picked", "pixel 20, 10")
    # map coordinates
    x, y = X0 + 20.5 * PIXEL, Y0 - 10.5 * PIXEL
    longitude, latitude = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True).transform(x, y)
    shown = page.locator("#coordinates").inner_text().split("\n")
    assert shown[1::2] == [f"{x:.0f}", f"{y:.0f}", f"{longitude:.5f}° E", f"{latitude:.5f}° N", shown[-1]]
    assert shown[-1] == "WGS 84 / UTM zone 33N (EPSG:32633)"
    assert page.locator("#place").inner_text().startswith("column 20, row 10 · x 366")
    # half-widths around the spectrum
    page.wait_for_function("finewave.models.left.document.get_model_by_name('interval').data.low.length === 7")
    values = open_scene(placed["result"]).values
    half = open_scene(placed["half"]).values[:, 0, 0]
    interval = source(page, "interval")
    np.testing.assert_allclose(interval["low"], values[:, 10, 20] - half, rtol=1e-5)
    assert "half-width-band" in page.locator("[data-setting=map]").inner_html()
    # the library: the most alike first
    until_text(page, "#library li:first-child .angle", "0.00°")
    assert page.locator("#library li:first-child").inner_text().split() == ["soil", "0.00°"]
    page.locator("#library li:last-child input").check()
    page.wait_for_function("finewave.models.left.document.get_model_by_name('measured').data.label[0] === 'grass'")
    # two pins, one of them renamed
    page.locator("#pin").click()
    page.locator("#pins li").wait_for()
    page.locator("#pins .label").fill("=soil <b>")
    page.locator("#pins .label").press("Enter")
    page.wait_for_function("document.querySelector('#pins .label').value === '=soil <b>'")
    page.locator("h1").click()
    page.wait_for_function("JSON.parse(finewave.models.settings.pins)[0].label === 'soil <b>'")
    for name, value in (("column", 60), ("row", 40)):
        page.locator(f"#go-{name}").fill(str(value))
    page.locator("#go button").click()
    until_text(page, "#picked", "pixel 60, 40")
    page.locator("#pin").click()
    page.wait_for_function("JSON.parse(finewave.models.settings.pins).every((pin) => pin.read)")
    page.wait_for_function("document.querySelectorAll('#pins li').length === 2")
    kept = source(page, "pinned")
    assert kept["label"] == ["soil <b>", "B"]
    np.testing.assert_allclose(kept["ys"], [values[:, 10, 20], values[:, 40, 60]], rtol=1e-5)
    # a link makes them again
    page.wait_for_function("location.search.includes('pins=20,10,21,11,0,')")
    # files
    text = save(page, "#save-spectra", tmp_path / "a.csv").read_text()
    assert "# soil <b>: column 20, row 10; centre x 366615" in text
    spectra = read_spectra(tmp_path / "a.csv")
    assert list(spectra) == ["soil <b> result", "soil <b> half-width", "B result", "B half-width"]
    np.testing.assert_allclose(spectra["B result"].values, values[:, 40, 60], rtol=1e-5)
    saved = iio.imread(io.BytesIO(save(page, "#save-picture", tmp_path / "a.png").read_bytes()), extension=".png")
    assert saved.shape[0] % SIZE[0] == saved.shape[1] % SIZE[1] == 0
    # and are removed
    page.locator("#pins li:first-child button").click()
    page.wait_for_function("document.querySelectorAll('#pins li').length === 1")
    assert "pins=60,40" in page.evaluate("finewave.models.settings.query")


@pytest.mark.slow
def test_a_link_brings_pins_and_maps_of_half_widths(open_page: Open, served: str, placed: dict[str, Path]) -> None:
    page = open_page(f"{served}?pins=20,10,21,11,2,a%2520b;3,4,13,14,0,B&map=half-width&band=670")
    idle(page)
    page.wait_for_function("JSON.parse(finewave.models.settings.pins).every((pin) => pin.read)")
    assert [each.input_value() for each in page.locator("#pins .label").all()] == ["a b", "B"]
    images = "finewave.models.map.renderers.find((each) => each.glyph.type === 'Image').data_source.data.image"
    page.wait_for_function(f"{images}.length > 0")
    mapped = page.evaluate(f"Array.from({images}[0])")
    np.testing.assert_allclose(mapped, open_scene(placed["half"]).values.mean(0).ravel(), rtol=1e-5)
    assert "Half-width of 90 %." in page.locator("aside").inner_text()


@pytest.mark.slow
def test_the_picture_works_without_a_mouse(open_page: Open, served: str) -> None:
    page = open_page(served)
    idle(page)
    stack = page.locator("#stack")
    stack.focus()
    start = page.evaluate("finewave.models.left.x_range.start")
    stack.press("+")
    page.wait_for_function(f"finewave.models.left.x_range.start > {start} + 10")
    zoomed = page.evaluate("finewave.models.left.x_range.start")
    stack.press("ArrowRight")
    page.wait_for_function(f"finewave.models.left.x_range.start > {zoomed} + 1")
    stack.press("Enter")
    page.wait_for_function("finewave.models.settings.picked.startsWith('pixel')")
    stack.press("0")
    page.wait_for_function(f"Math.abs(finewave.models.left.x_range.start - {start}) < 1e-6")
