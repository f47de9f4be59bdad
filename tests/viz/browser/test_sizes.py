"""The page on a telephone, a small and a large screen: all of it is there, readable, and reached by the keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.viz.browser.conftest import Open, idle, on_screen, running, with_token
from tests.viz.browser.test_page import contrast
from tests.viz.browser.test_places import write_placed

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = [(390, 844), (1024, 768), (1600, 900)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    files: dict[str, Path] = write_placed(tmp_path_factory.mktemp("placed"))
    shown = files["result"], "--reference", files["result"], "--input", files["result"]
    with running(*shown, "--library", files["library"]) as address:
        yield address


TEXTS = """() => {
    const seen = [];
    const walker = document.createTreeWalker(document.getElementById("app"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode, element = node.parentElement;
        if (!node.textContent.trim() || !element.checkVisibility({visibilityProperty: true})) continue;
        if (element.closest("option, optgroup, .unseen")) continue;
        const style = getComputedStyle(element);
        let ground = element;
        const clear = (each) => getComputedStyle(each).backgroundColor === "rgba(0, 0, 0, 0)";
        while (ground.parentElement && clear(ground)) ground = ground.parentElement;
        seen.push([node.textContent.trim(), parseFloat(style.fontSize), style.color,
                   getComputedStyle(ground).backgroundColor, Boolean(element.closest(":disabled"))]);
    }
    return seen;
}"""
NAMELESS = """() => [...document.querySelectorAll("button, select, input, a, [tabindex='0']")].filter((each) => {
    if (!each.checkVisibility({visibilityProperty: true}) || each.closest(".bk-Figure")) return false;
    const own = each.tagName === "SELECT" ? "" : each.textContent.trim();
    const said = each.getAttribute("aria-label") || each.getAttribute("aria-labelledby");
    return !(own || said || (each.labels && each.labels.length));
}).map((each) => each.outerHTML)"""


def rgb(text: str) -> np.ndarray:
    return np.array([float(n) for n in text[text.index("(") + 1 : -1].split(",")][:3])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=[str(width) for width, _ in SIZES])
def test_everything_is_there_and_readable(size: tuple[int, int], scheme: str, open_page: Open, served: str) -> None:
    page = open_page(f"{served}?pick=20,10,21,11&pins=40,30,41,31,0,A", size, scheme)
    idle(page)
    page.wait_for_function("JSON.parse(finewave.models.settings.pins).every((pin) => pin.read)")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for part in (
        "#stack",
        "#pins li",
        "#save-picture",
        "#save-spectra",
        "[data-setting=map]",
        "#band",
        "#open-try",
        "#go",
    ):
        box = page.locator(part).bounding_box()
        assert box is not None, part
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= size[0] + 0.5, part
    for plot in page.locator(".plot").all():
        box = plot.bounding_box()
        assert box["width"] > 250
        assert box["height"] > 150
    assert page.locator("#stack").bounding_box()["height"] > 280
    for text, font, ink, ground, disabled in page.evaluate(TEXTS):
        assert font >= 12, text
        if ground.startswith("rgb("):
            assert disabled or contrast(rgb(ink), rgb(ground)) >= 4.5, (text, ink, ground)  # WCAG AA
    assert page.evaluate(NAMELESS) == []


@pytest.mark.parametrize("size", SIZES, ids=[str(width) for width, _ in SIZES])
def test_every_control_is_reached_by_tab_and_shows_it(size: tuple[int, int], open_page: Open, served: str) -> None:
    page = open_page(served, size)
    idle(page)
    page.locator("h1").click()
    reached: dict[str, str] = {}
    for _ in range(60):
        page.keyboard.press("Tab")
        found: list[Any] = page.evaluate(
            """(() => {
                const each = document.activeElement;
                return [each.id || each.dataset.setting || "", getComputedStyle(each).outlineStyle];
            })()"""
        )
        reached[found[0]] = found[1]
    wanted = {"open-try", "copy-link", "theme", "drag-move", "zoom-in", "save-picture", "stack", "swipe", "map", "mode"}
    wanted |= {"stretch", "left", "band", "go-column", "find"}
    assert wanted <= set(reached)
    assert {name: reached[name] for name in wanted if reached[name] == "none"} == {}


def test_a_telephone_is_touched(chromium: Any, served: str) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, bypass_csp=True
    )
    page = context.new_page()
    page.goto(with_token(served))
    page.wait_for_function("document.documentElement.dataset.ready === 'yes' && finewave.frames.length > 0")
    idle(page)
    page.touchscreen.tap(*on_screen(page, 12.5, 20.5))
    page.wait_for_function("finewave.models.settings.picked === 'pixel 12, 20'")
    context.close()
