from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

import finewave as fw
from tests.viz.browser.conftest import Open, idle

pytestmark = pytest.mark.browser


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "my photo.png"
    iio.imwrite(path, np.random.default_rng(8).integers(0, 256, (20, 24, 3), dtype=np.uint8))
    return path


def drop(page: Any, path: Path) -> None:
    """Let go of a file over the page."""
    page.evaluate(
        """([name, text]) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], name));
            for (const kind of ["dragenter", "dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true}));
        }""",
        [path.name, base64.b64encode(path.read_bytes()).decode()],
    )


def test_a_photograph_dropped_on_the_page_becomes_a_result(
    open_page: Open, address: str, photograph: Path, quick_weights: Path, tmp_path: Path
) -> None:
    page = open_page(address)
    drop(page, photograph)
    assert page.locator("#chosen").inner_text() == "my photo.png"
    assert "up to 64 MB and 1024 × 1024 pixels" in page.locator("#drop").inner_text()
    page.locator("#model").select_option("quick")
    page.locator("#run").click()
    page.wait_for_function("location.search.includes('scene=')")
    page.wait_for_function("document.documentElement.dataset.ready === 'yes' && finewave.frames.length > 0")
    idle(page)
    assert page.locator("#file-name").inner_text() == "my photo-quick.tif"
    assert "48 × 40 pixels, 5 bands" in page.locator("header").inner_text()
    assert "my photo.png" in page.locator("aside").inner_text()
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "my photo-quick.tif"
    saved = tmp_path / "saved.tif"
    download.value.save_as(saved)
    expected = fw.super_resolve(fw.open_scene(photograph), fw.load_model(quick_weights))
    np.testing.assert_allclose(fw.open_scene(saved).values, expected.values, atol=1e-5)


def test_what_cannot_be_used_is_said(open_page: Open, address: str, tmp_path: Path) -> None:
    page = open_page(address)
    text = tmp_path / "text.png"
    text.write_text("no image")
    page.locator("#open-try").click()
    page.locator("#file").set_input_files(text)
    page.locator("#run").click()
    page.wait_for_function("document.getElementById('try-trouble').textContent.includes('text.png')")
    assert page.locator("#run").is_enabled()
    text.rename(tmp_path / "text.txt")
    page.locator("#file").set_input_files(tmp_path / "text.txt")
    page.locator("#run").click()
    page.wait_for_function("document.getElementById('try-trouble').textContent.includes('the page takes')")
