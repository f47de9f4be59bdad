"""Names, cards and attributes that are script, and pages of other sites, in a real Chromium under the page's policy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.viz.browser.conftest import Page, running, until, with_token

pytestmark = pytest.mark.browser

SCRIPT = "<img src=x onerror=window.hacked=1></script><script>window.hacked=1</script>'\"`${window.hacked=1}{{7*7}}"


CRS = (
    'GEOGCS["<img src=x onerror=window.hacked=1>",DATUM["D",SPHEROID["S",6378137,298]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]]'
)


def write_hostile(path: Path, bands: int = 3) -> Path:
    values = np.random.default_rng(3).random((bands, 24, 24), dtype=np.float32)
    profile = {"driver": "GTiff", "dtype": "float32", "count": bands, "height": 24, "width": 24}
    profile |= {"crs": CRS, "transform": Affine(0.01, 0, 10, 0, -0.01, 50)}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values)
        dataset.update_tags(quantity=SCRIPT, sensor=SCRIPT, title=SCRIPT, TIFFTAG_IMAGEDESCRIPTION=SCRIPT, units=SCRIPT)
        for band in range(1, bands + 1):
            dataset.set_band_description(band, SCRIPT)
            dataset.update_tags(band, name=SCRIPT, wavelength=str(400 + 50 * band), wavelength_units="nm")
    return path


def _middle(page: Any, part: str) -> tuple[float, float]:
    box = page.locator(part).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_names_of_files_and_bands_do_not_run(strict_page: Page, tmp_path: Path, quick_weights: Path) -> None:
    path = write_hostile(tmp_path / "a<img src=x onerror=window.hacked=1>'\".tif")
    write_hostile(path.with_name(f"{path.stem}.uncertainty.tif"))
    library = tmp_path / "library.csv"
    library.write_text(f"wavelength,{SCRIPT}\n450,1\n500,2\n550,3\n")
    with running(path, "--reference", path, "--model", quick_weights, "--library", library) as address:
        page = strict_page()
        theme = "%22%3E%3Cscript%3Ewindow.hacked%3D1%3C/script%3E"
        pins = f"3,4,5,6,0,{quote(quote(SCRIPT))}"
        page.goto(with_token(f"{address}?theme={theme}&left={theme}&scene={theme}&mode=three&pick=1,2,3,4&pins={pins}"))
        until(page, "document.documentElement.dataset.ready === 'yes' && finewave.frames.length > 0")
        assert page.evaluate("window.hacked") is None
        assert path.name in page.locator("#file-name").inner_text()
        until(page, "JSON.parse(finewave.models.settings.pins).every((pin) => pin.read)")
        assert page.locator("#pins .label").input_value() == SCRIPT[:40].strip()  # all of it as text
        for part in ("#library", "#coordinates", "aside"):
            assert "onerror" in page.locator(part).inner_text()
        page.locator("#library input").check()
        until(page, "finewave.models.left.document.get_model_by_name('measured').data.label.length === 1")
        page.mouse.move(*_middle(page, "#stack"))
        page.mouse.move(*_middle(page, ".plot >> nth=1"))
        assert page.evaluate("window.hacked") is None
        until(page, "location.search.includes('left=') && !location.search.includes('token=')")
        page.context.close()


def test_a_script_that_got_into_the_page_would_not_run(chromium: Any, address: str) -> None:
    page = chromium.new_context().new_page()
    page.goto(with_token(address))
    inline = "Object.assign(document.createElement('script'), {text: 'window.hacked=2'})"
    page.evaluate(f"document.body.append({inline})")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.hacked=3>')")
    page.wait_for_timeout(300)
    assert page.evaluate("window.hacked") is None
    page.context.close()


def test_reports_do_not_run_what_files_say(strict_page: Page, tmp_path: Path) -> None:
    from finewave.viz.report.report import write_report

    path = write_hostile(tmp_path / "a<img src=x onerror=window.hacked=1>.tif")
    write_report(path, tmp_path / "report.html", reference=path)
    page = strict_page()
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_timeout(500)
    assert page.evaluate("window.hacked") is None
    assert "onerror" in page.locator("body").inner_text()  # as text


@contextmanager
def other_site(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_pages_of_other_sites_get_nothing(chromium: Any, address: str, tmp_path: Path) -> None:
    """The user's own browser, which has the cookie, meets a page that wants the images."""
    (tmp_path / "evil.html").write_text("<!doctype html><title>evil</title>")
    context = chromium.new_context()
    own = context.new_page()
    assert own.goto(with_token(address)).status == 200
    assert own.goto(address).status == 200  # by its cookie
    with other_site(tmp_path) as site:
        page = context.new_page()
        page.goto(f"{site}/evil.html")
        tried = page.evaluate(
            """async (address) => {
                const socket = await new Promise((resolve) => {
                    const opened = new WebSocket(address.replace("http", "ws") + "ws", ["bokeh", "a.b"]);
                    opened.onopen = () => resolve("open");
                    opened.onerror = () => resolve("refused");
                });
                const read = await fetch(address, {credentials: "include"}).then(() => "read", () => "refused");
                const simple = await fetch(address + "upload?name=a.png&model=quick", {
                    method: "POST", body: "x", mode: "no-cors", credentials: "include",
                }).then((answer) => answer.type, () => "refused");
                const frame = document.createElement("iframe");
                frame.src = address;
                document.body.append(frame);
                await new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 3000); });
                let seen = "nothing";
                try { seen = frame.contentDocument ? frame.contentDocument.body.innerHTML : "nothing"; } catch {}
                return [socket, read, simple === "opaque" ? "unseen" : simple, seen];
            }""",
            address,
        )
        assert tried[:2] == ["refused", "refused"]
        assert tried[2] in ("unseen", "refused")
        assert tried[3] == "nothing" or "finewave" not in tried[3]
    context.close()
