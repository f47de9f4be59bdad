"""Texts of 58 kinds, at every place where a file may bring one, in a real Chromium: text, and nothing else."""

from __future__ import annotations

import base64
import http.server
import itertools
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine

import finewave as fw
from finewave.viz.report.report import write_report
from finewave.zoo.card import Card
from finewave.zoo.readme import readme_of
from tests.viz.browser.conftest import Page, is_fault, running, until, with_token

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RUN = "window.hacked=1"
FOREIGN = "document.querySelectorAll('iframe, object, embed, base, form[action], animate, math').length"
LINKS = "[...document.querySelectorAll('a[href], img[src], form[action]')].map((each) => each.outerHTML)"


def hostile_texts(site: str) -> list[str]:
    """Return them; ``site`` is a server that notes whoever comes."""
    return [
        f"<svg/onload={RUN}>",
        f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
        f"<iframe srcdoc='<script>parent.hacked=1</script>'></iframe><iframe src={site}/frame></iframe>",
        f"<details open ontoggle={RUN}><video src={site}/v onerror={RUN}>",
        f"</ScRiPt ><svg/onload={RUN}>",
        f"</title></style></textarea></select></template><svg/onload={RUN}>",
        f"--><img src={site}/a onerror={RUN}><!--",
        f"]]><svg/onload={RUN}>",
        f"&lt;img src={site}/b onerror={RUN}&gt;",
        f"&#60;img src={site}/c onerror&#61;{RUN}&#62;",
        f"\\u003cimg src={site}/d onerror={RUN}\\u003e\\x3cscript\\x3e{RUN}\\x3c/script\\x3e",
        f"%3Cimg src={site}/e onerror={RUN}%3E",
        f"+ADw-script+AD4-{RUN}+ADw-/script+AD4-",
        f"\uff1cscript\uff1e{RUN}\uff1c/script\uff1e",
        f"<im\u200bg src={site}/f onerror={RUN}><scr\x00ipt>{RUN}</scr\x00ipt>",
        f'" onmouseover="{RUN}" style="position:fixed;inset:0" x="',
        f"' autofocus onfocus='{RUN}' tabindex=1 style='position:fixed;inset:0' '",
        f"` onfocus=`{RUN}` autofocus `",
        f"javascript:{RUN}",
        f"java\tscript:{RUN}",
        f"data:text/html,<script>{RUN}</script>",
        f"vbscript:{RUN}",
        f"[x](javascript:{RUN}) ![y]({site}/g) <{site}/h> [z]: {site}/i",
        f"{site}/j.png",
        f"//{site.partition('//')[2]}/k.png",
        f"red;background:url({site}/l);--x:expression({RUN})",
        f"}}</style><style>*{{background:url({site}/m)}}",
        f"@import url({site}/n);",
        f"<link rel=stylesheet href={site}/o><base href={site}/><meta http-equiv=refresh content='0;url={site}/p'>",
        f"<form action={site}/q><button autofocus onfocus={RUN}>",
        f"<object data={site}/r></object><embed src={site}/s>",
        f"<math><mtext><table><mglyph><style><img src={site}/t onerror={RUN}>",
        f'<noscript><p title="</noscript><img src={site}/u onerror={RUN}>">',
        "{{constructor.constructor('window.hacked=1')()}}",
        "{{ cycler.__init__.__globals__.os.popen('touch RAN').read() }}{% raw %}{{ 7*7 }}",
        "${self.module.cache.util.os.system('touch RAN')}<%! import os; os.system('touch RAN') %>",
        "#{7*7} *{7*7} @{label}{safe} $name @index{custom} %(x)s %s {0} {label.__class__}",
        "${window.hacked=1}`;window.hacked=1//",
        "';window.hacked=1;//\\';window.hacked=1;//",
        '";window.hacked=1;//\\";window.hacked=1;//',
        f"$$\\href{{javascript:{RUN}}}{{x}}\\require{{html}}\\style{{background:url({site}/w)}}{{y}}$$",
        f"\\[\\unicode{{x3c}}img src={site}/x onerror={RUN}\\unicode{{x3e}}\\]",
        f"\\(\\html{{<img src={site}/y onerror={RUN}>}}\\)",
        "$\\frac{$ \\begin{matrix} $$",
        "a\u202egnp.exe\u2066b\u2067c\u2069",
        "a\u200b\u200d\ufeff\u2060\u00adb",
        "Z" + "\u0301\u0489\u0334" * 60,
        "one\ntwo\r\nthree\u2028four\u2029five\x85six\x0bseven",
        "nul\x00\x01\x1b]0;gone\x07\x1b[2J\x9b31m\x7f",
        "\ufffe\uffff\U0010ffff\u0000",
        "__proto__",
        "constructor",
        "hasOwnProperty",
        '=HYPERLINK("' + site + '/z")',
        "@SUM(1+1)*cmd|' /C calc'!A0",
        "\u00a0\u3000",
        "W" * 3000,
        "<" * 3000,
    ]


@pytest.fixture(scope="module")
def canary() -> Iterator[tuple[str, list[str]]]:
    """A server that nobody should come to, and who came."""
    visits: list[str] = []

    class Noting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            visits.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Noting)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}", visits
    server.shutdown()
    server.server_close()
    thread.join()


def write_image(path: Path, texts: list[str], seed: int = 3) -> Path:
    """Write an image with a band for each text, which stands in its tags, too."""
    shown = [text.replace("\0", "") for text in texts]
    values = np.random.default_rng(seed).random((len(shown), 24, 24), dtype=np.float32)
    profile = {"driver": "GTiff", "dtype": "float32", "count": len(shown), "height": 24, "width": 24}
    with rasterio.open(path, "w", **profile, crs="EPSG:4326", transform=Affine(0.01, 0, 10, 0, -0.01, 50)) as dataset:
        dataset.write(values)
        for name, text in zip(("quantity", "sensor", "title", "model", "units"), shown[seed:], strict=False):
            dataset.update_tags(**{name: text})
        for band, text in enumerate(shown, 1):
            dataset.set_band_description(band, text)
            dataset.update_tags(band, name=text, wavelength=str(400 + 5 * band), wavelength_units=text)
    return path


def write_spots(path: Path, texts: list[str]) -> Path:
    """Write spots, each with a text as its name and a spectrum."""
    nm = range(400, 701, 50)
    spots = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [10.1, 49.9]},
            "properties": {"name": text} | {str(each): 0.1 + 0.001 * each for each in nm},
        }
        for text in texts
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": spots}))
    return path


def drop(page: Any, name: str, content: bytes) -> None:
    """Let go of a file over the page."""
    page.evaluate(
        """([name, text]) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
        }""",
        [name, base64.b64encode(content).decode()],
    )


def test_texts_of_files_are_text_in_the_viewer(
    strict_page: Page, tmp_path: Path, quick_weights: Path, canary: tuple[str, list[str]]
) -> None:
    site, visits = canary
    texts = hostile_texts(site)
    names = (
        "a<svg onload=window.hacked=1>",
        "b{{7*7}}${7*7}&lt;b>",
        "c\u202efit.\u200b$$\\frac{1}{2}$$",
        "d\n'\"`--><!--",
    )
    paths = [write_image(tmp_path / f"{name}.tif", texts, seed) for seed, name in enumerate(names[:3])]
    write_image(paths[0].with_name(f"{paths[0].stem}.uncertainty.tif"), texts)
    spots = write_spots(tmp_path / f"{names[3]}.geojson", texts)
    shown = paths[0], "--reference", paths[1], "--input", paths[2], "--library", spots
    with running(*shown, "--model", quick_weights) as address:
        page = strict_page()
        outside: list[str] = []
        own = (address, address.replace("http", "ws"), "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(own) else outside.append(asked.url))
        keys = ("theme", "left", "right", "mode", "map", "band", "rgb", "at", "stretch", "swipe", "pick", "scene", "x")
        for start in range(0, len(texts), len(keys)):
            part = zip(keys, texts[start : start + len(keys)], strict=False)
            query = "&".join(f"{key}={quote(text[:200], errors='replace')}" for key, text in part)
            page.goto(with_token(f"{address}?{query}"))
            until(page, "document.documentElement.dataset.ready === 'yes' && finewave.frames.length > 0")
        pins = ";".join(f"{slot},{slot},{slot + 1},{slot + 1},{slot},A" for slot in range(8))
        page.goto(with_token(f"{address}?pick=1,2,3,4&pins={pins}"))
        until(page, "document.documentElement.dataset.ready === 'yes' && finewave.frames.length > 0")
        until(page, "JSON.parse(finewave.models.settings.pins).every((pin) => pin.read)")
        for number, text in enumerate(texts):
            command = {"do": "label", "number": number % 8, "text": text[:1500]}
            page.evaluate("(command) => finewave.ask(command)", command)
            page.evaluate("(number) => finewave.ask({do: 'draw', number, on: true})", number)
            if number % 8 == 7 or number == len(texts) - 1:
                drawn = "finewave.models.left.document.get_model_by_name('measured').data.label"
                entries = "JSON.parse(finewave.models.settings.library)"
                until(page, f"{entries}.some((each) => each.entry === {number} && each.colour)")
                until(page, f"{drawn}.length === 4")
                page.wait_for_timeout(150)
        for part in ("#stack", ".plot >> nth=0", ".plot >> nth=1", "#library", "#pins"):
            box = page.locator(part).bounding_box()
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
        for field in page.locator("#pins .label").all():
            field.focus()
        page.locator("#find").fill(texts[0])
        for kind in ("#save-spectra", "#save-picture"):
            with page.expect_download() as download:
                page.locator(kind).click()
            assert "/" not in download.value.suggested_filename
        assert page.evaluate("window.hacked") is None
        assert page.evaluate(FOREIGN) == 0
        assert outside == visits == []
        assert "svg" in page.locator("#file-name").inner_text()
        assert "\u202e" not in page.locator("body").inner_text() + page.title()
        page.context.close()


def test_names_of_uploads_are_text(
    chromium: Any, tmp_path: Path, quick_weights: Path, canary: tuple[str, list[str]]
) -> None:
    site, visits = canary
    texts = hostile_texts(site)
    image = write_image(tmp_path / "a.tif", texts[:30])
    with running("--model", quick_weights) as address:
        page = chromium.new_context().new_page()
        said: list[str] = []
        page.on("console", lambda line: said.append(line.text) if is_fault(line) else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(with_token(address))
        until(page, "document.documentElement.dataset.ready === 'yes'")
        for text in texts:
            drop(page, f"{text[:900]}.png", b"no image")
            page.locator("#run").click()
            until(page, "!document.getElementById('try-trouble').hidden && !document.getElementById('run').disabled")
            assert re.search("is not a .png file|the page takes", page.locator("#try-trouble").inner_text())
        drop(page, f"../../{texts[0]}.tif", image.read_bytes())
        page.locator("#run").click()
        page.wait_for_url(re.compile("scene="), wait_until="commit", timeout=120_000)
        until(page, "document.documentElement.dataset.ready === 'yes' && finewave.frames.length > 0")
        assert "30 bands" in page.locator("header").inner_text()
        assert page.evaluate("window.hacked") is None
        assert said == visits == []
        page.context.close()


def hostile_card(weights: Path, texts: list[str]) -> Card:
    """Return a card with a text in all that is free text."""
    card = Card.read(weights / "card.json")
    turns = itertools.cycle(texts)
    several = dict(zip(texts, texts, strict=True))
    return replace(
        card,
        notes="\n\n".join(texts),
        licence=next(turns),
        trained=next(turns),
        commit=next(turns),
        hardware=next(turns),
        sha256=next(turns),
        ms_bands=texts,
        degradation=several,
        data={"dataset": next(turns), "citation": "\n".join(texts)},
        metrics={text: {"mean": {"psnr": 30.0, "sam": 1.0}} for text in texts},
    )


def as_the_hub_shows_it(page: str) -> str:
    """Return a page of Markdown as HTML, with all that Markdown allows."""
    from markdown_it import MarkdownIt

    _, front, body = page.split("---\n", 2)
    assert isinstance(yaml.safe_load(front), dict)
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(body)


def test_texts_of_files_are_text_in_reports_and_on_model_pages(
    strict_page: Page, tmp_path: Path, quick_weights: Path, canary: tuple[str, list[str]]
) -> None:
    site, visits = canary
    texts = hostile_texts(site)
    path = write_image(tmp_path / "a<svg onload=window.hacked=1>\u202e.tif", texts)
    write_image(path.with_name(f"{path.stem}.uncertainty.tif"), texts)
    first = write_report(path, tmp_path / "a.html", reference=path, title=" ".join(texts))
    second = write_report(path, tmp_path / "b.html", observed=path)
    hub = tmp_path / "c.html"
    parts = [as_the_hub_shows_it(readme_of(hostile_card(quick_weights, texts), text)) for text in (None, *texts[:3])]
    hub.write_text(f"<!doctype html><meta charset=utf-8>{'<hr>'.join(parts)}{fw.info(path)._repr_html_()}")
    page = strict_page()
    for each in (first, second, hub):
        fragments = ["", f"#show={quote(texts[0])}&left={quote(texts[1])}&points=1,2_{quote(texts[2])}&band=1e9"]
        for fragment in fragments[: 1 + (each != hub)]:
            page.goto("about:blank")
            page.goto(each.as_uri() + fragment)
            page.wait_for_load_state("networkidle")
            if each != hub:
                until(page, "document.documentElement.dataset.ready === 'true'")
            assert page.evaluate("window.hacked") is None
            assert (
                page.evaluate("document.querySelectorAll('iframe, object, embed, base, link[rel=stylesheet]').length")
                == 0
            )
            assert [each for each in page.evaluate(LINKS) if "data:image/" not in each and "blob:" not in each] == []
            assert "svg" in page.locator("body").inner_text()
            assert "\u202e" not in page.locator("body").inner_text()
    assert visits == []
