from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

import finewave as fw
from tests.viz.browser.conftest import Open, Page, idle, on_screen, running, until, with_token
from tests.viz.views import WAVELENGTHS

pytestmark = pytest.mark.browser


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "my photo.png"
    iio.imwrite(path, np.random.default_rng(8).integers(0, 256, (20, 24, 3), dtype=np.uint8))
    return path


def drop(page: Any, *paths: Path) -> None:
    """Let go of files over the page."""
    page.evaluate(
        """(files) => {
            const dataTransfer = new DataTransfer();
            for (const [name, text] of files) {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                dataTransfer.items.add(new File([bytes], name));
            }
            for (const kind of ["dragenter", "dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true}));
        }""",
        [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths],
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


def test_what_cannot_be_used_is_said(open_page: Open, address: str, photograph: Path, tmp_path: Path) -> None:
    page = open_page(address)
    about, spectra = tmp_path / "LC08_MTL.txt", tmp_path / "lab.csv"
    for path in (about, spectra):
        path.write_text("GROUP = LANDSAT_METADATA_FILE\n")
    drop(page, about, photograph, spectra)  # the image is opened, not the text read as spectra
    assert page.locator("#chosen").inner_text() == (
        "my photo.png (left out: LC08_MTL.txt, lab.csv; one image at a time, spectra by themselves)"
    )
    assert page.locator("#run").is_enabled()
    assert not page.locator("#try-trouble").is_visible()
    page.locator("#try-cancel").click()
    text = tmp_path / "text.png"
    text.write_text("no image")
    page.locator("#open-try").click()
    page.locator("#file").set_input_files(text)
    page.locator("#run").click()
    page.wait_for_function("document.getElementById('try-trouble').textContent.includes('text.png')")
    assert page.locator("#run").is_enabled()
    text.rename(tmp_path / "text.docx")
    page.locator("#file").set_input_files(tmp_path / "text.docx")
    page.locator("#run").click()
    page.wait_for_function("document.getElementById('try-trouble').textContent.includes('the page takes')")


MEASURED = "finewave.models.left.document.get_model_by_name('measured').data"


@pytest.mark.slow
def test_a_dropped_library_is_plotted(open_page: Open, files: dict[str, Path], tmp_path: Path) -> None:
    """Beside pinned spectra, those most like the selected one first; for pages opened later, too."""
    values = fw.open_scene(files["result"]).values
    text = tmp_path / "lab.csv"
    rows = (
        f"{nm:g},{a:.6f},{b:.6f}" for nm, a, b in zip(WAVELENGTHS, values[:, 40, 60], values[:, 10, 20], strict=True)
    )
    text.write_text("wavelength,grass,soil\n" + "\n".join(rows) + "\n")
    header, data = tmp_path / "field.hdr", tmp_path / "field.sli"
    np.full((1, 3), 0.4, np.float32).tofile(data)
    header.write_text(
        "ENVI\nsamples = 3\nlines = 1\nbands = 1\ndata type = 4\nbyte order = 0\nwavelength units = Nanometers\n"
        "wavelength = {450, 550, 2450}\nspectra names = {panel}\n"
    )
    with running(files["result"]) as address:
        page = open_page(address)
        idle(page)
        assert not page.locator("#measured").is_visible()
        page.mouse.click(*on_screen(page, 20.5, 10.5))
        page.wait_for_function("finewave.models.settings.picked === 'pixel 20, 10'")
        page.locator("#pin").click()
        page.locator("#pins li").wait_for()
        drop(page, text)
        page.wait_for_function(f"{MEASURED}.label.length === 2")
        assert not page.locator("#try").is_visible()
        assert page.locator("#library li:first-child").inner_text().split() == ["soil", "0.00°"]
        np.testing.assert_allclose(page.evaluate(f"Array.from({MEASURED}.ys[0])"), values[:, 10, 20], atol=1e-5)
        assert page.evaluate("finewave.models.left.document.get_model_by_name('pinned').data.label.length") == 1
        drop(page, header, data)
        page.wait_for_function(f"{MEASURED}.label.includes('panel')")
        for name in ("soil", "grass"):  # plotted ones are listed, whatever is looked for
            page.locator("#library li").filter(has_text=name).locator("input").uncheck()
            page.wait_for_function(f"!{MEASURED}.label.includes('{name}')")
        found = (("nothing of this name", ["panel"]), ("GRA", ["grass", "panel"]), ("", ["grass", "panel", "soil"]))
        for text_to_find, names in found:
            page.locator("#find").fill(text_to_find)
            page.wait_for_function(
                "(names) => JSON.stringify([...document.querySelectorAll('#library .name')]"
                ".map((each) => each.textContent).sort()) === JSON.stringify(names)",
                arg=names,
            )
        # what cannot be read is said in the dialog
        drop(page, data)
        page.wait_for_function("document.getElementById('try-trouble').textContent.includes('drop field.hdr together')")
        page.locator("#file").set_input_files(files["result"])
        assert page.locator("#run").is_enabled()
        drop(page, header)
        page.wait_for_function("document.getElementById('try-trouble').textContent.includes('field.hdr is a header')")
        assert page.locator("#run").is_disabled()
        # the next page has them in its list
        later = open_page(address)
        later.wait_for_function("document.querySelectorAll('#library li').length === 3")
        for each in (page, later):  # before the server is gone, which they would report
            each.context.close()


@pytest.mark.slow
def test_a_library_dropped_before_an_image_waits_for_it(
    strict_page: Page, files: dict[str, Path], tmp_path: Path
) -> None:
    text = tmp_path / "lab.txt"
    text.write_text("Wavelength\tleaf.asd\n450\t0.1\n550\t0.2\n650\t0.3\n")
    with running() as address:
        page = strict_page()
        page.goto(with_token(address))
        until(page, "document.documentElement.dataset.ready === 'yes'")
        drop(page, text)
        until(page, "document.getElementById('chosen').textContent === '1 spectrum to compare with: now open an image'")
        page.locator("#file").set_input_files(files["result"])
        page.locator("#run").click()
        page.wait_for_url(re.compile("scene="), wait_until="commit", timeout=120_000)
        until(page, "(document.querySelector('#library') || document.body).innerText.includes('leaf.asd')")
        page.context.close()  # before the server is gone, which the page would report
