"""A viewer without a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from tests.viz.browser.conftest import Page, running, until, with_token
from tests.viz.browser.test_upload import drop

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def empty(quick_weights: Path) -> Iterator[str]:
    with running("--model", quick_weights) as address:
        yield address


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "a<img src=x onerror=window.hacked=1>.png"
    iio.imwrite(path, np.random.default_rng(8).integers(0, 256, (20, 24, 3), dtype=np.uint8))
    return path


def test_a_file_is_dropped_and_looked_at(strict_page: Page, empty: str, photograph: Path) -> None:
    page = strict_page()
    page.goto(with_token(empty))
    until(page, "document.documentElement.dataset.ready === 'yes'")
    assert page.locator("#run").inner_text() == "Open"
    drop(page, photograph)
    assert page.locator("#chosen").inner_text() == photograph.name
    # the page stays when nothing is said to it for longer than a page that has gone is kept
    page.wait_for_timeout(11_000)
    page.locator("#run").click()
    page.wait_for_url(re.compile("scene="), wait_until="commit", timeout=120_000)
    until(page, "document.documentElement.dataset.ready === 'yes' && finewave.frames.length > 0")
    assert page.locator("#file-name").inner_text() == "a_img src_x onerror_window.hacked_1_.png"
    assert "24 × 20 pixels, 3 bands" in page.locator("header").inner_text()
    assert page.locator("#download").count() == 0
    assert page.evaluate("window.hacked") is None


def test_a_model_is_run_with_its_progress(strict_page: Page, empty: str, photograph: Path) -> None:
    page = strict_page()
    page.goto(with_token(empty))
    until(page, "document.documentElement.dataset.ready === 'yes'")
    page.evaluate(
        """() => {
            window.said = new Set();
            const note = () => window.said.add(document.getElementById("progress-text").textContent);
            new MutationObserver(note).observe(document.getElementById("progress-text"), {childList: true});
            addEventListener("pagehide", () => sessionStorage.setItem("said", JSON.stringify([...window.said])));
        }"""
    )
    drop(page, photograph)
    page.locator("#model").select_option("quick")
    assert page.locator("#run").inner_text() == "Run"
    assert "quick: from an sRGB photograph; 2 × finer" in page.locator("#model").inner_text()
    page.locator("#run").click()
    page.wait_for_url(re.compile("scene="), wait_until="commit", timeout=120_000)
    until(page, "document.documentElement.dataset.ready === 'yes' && finewave.frames.length > 0")
    said = page.evaluate("JSON.parse(sessionStorage.getItem('said'))")
    assert any("reading the file" in each or "of 1 tile, " in each for each in said), said
    assert page.locator("#download").count() == 1
