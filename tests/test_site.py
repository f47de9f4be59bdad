"""The documentation as a site: built without a warning, whole, and on its own."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import finewave
from tests.test_docs import ROOT, rows_of

# tag: attribute by which a browser loads something when it shows the page
LOADED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
}
OUTSIDE = re.compile(r"^(\w+:)?//")
NOT_LOADED = {"canonical", "next", "prev", "alternate", "edit"}  # links to say, not to fetch


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / "docs/theme/build.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return folder


class Resources(HTMLParser):
    """What a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        said = dict(attributes)
        if tag == "link" and set((said.get("rel") or "").split()) & NOT_LOADED:
            return
        address = said.get(LOADED.get(tag, ""))
        if address:
            self.found.append(address)
        self.found += re.findall(r"url\(['\"]?([^'\")]+)", said.get("style") or "")


def resources(html: str) -> list[str]:
    parser = Resources()
    parser.feed(html)
    return parser.found


def test_resources_are_found() -> None:
    html = (
        '<link rel="stylesheet" href="https://a/x.css"><link rel="canonical" href="https://b/">'
        '<script src="//c/x.js"></script><p style="background: url(https://d/x.png)"><a href="https://e/">e</a>'
    )
    assert resources(html) == ["https://a/x.css", "//c/x.js", "https://d/x.png"]


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    loaded = {address for page in pages for address in resources(page.read_text(encoding="utf-8"))}
    assert len(loaded) > 10
    assert [address for address in sorted(loaded) if OUTSIDE.match(address)] == []
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        addresses = re.findall(r"url\(['\"]?([^'\")]+)", text) + re.findall(r"@import\s+['\"]([^'\"]+)", text)
        assert [address for address in addresses if OUTSIDE.match(address)] == [], sheet


def test_every_page_of_the_index_is_in_the_navigation(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    told = {
        target.removeprefix("./")
        for link in re.findall(r"<a [^>]*md-nav__link[^>]*>", home)
        for target in re.findall(r'href="([^"]+)"', link)
    }
    pages = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")])
    written = [page.relative_to(ROOT / "docs") for page in pages if "results" not in page.parts]
    names = ("index" if page.name == "README.md" else page.stem for page in written)
    wanted = {str(page.with_name(f"{name}.html")) for page, name in zip(written, names, strict=True)} - {"index.html"}
    assert wanted | {"CONTRIBUTING.html", "CHANGELOG.html"} <= told
    assert len(written) > 20


def test_a_notebook_is_a_page_with_its_outputs(site: Path) -> None:
    text = (site / "notebooks" / "fusion.html").read_text(encoding="utf-8")
    assert "residual-fusion-cave-x4" in text
    assert "PSNR" in text
    pictures = [address for address in resources(text) if address.endswith(".png")]
    assert pictures
    assert [address for address in pictures if not (site / "notebooks" / address).is_file()] == []
    assert 'href="notebooks/fusion.html"' in (site / "index.html").read_text(encoding="utf-8")


def test_pages_at_the_root_lead_back(site: Path) -> None:
    """Links of CONTRIBUTING.md are those of the repository; in the site they lead to its pages."""
    text = (site / "CONTRIBUTING.html").read_text(encoding="utf-8")
    assert 'href="training.html"' in text
    assert "docs/training" not in re.sub(r"<code>.*?</code>", "", text)


def test_public_names_are_described(site: Path) -> None:
    text = (site / "api.html").read_text(encoding="utf-8")
    names = [f"finewave.{name}" for name in finewave.__all__ if name not in ("metrics", "plot")]
    assert [name for name in [*names, "finewave.metrics.evaluate"] if f'id="{name}"' not in text] == []
    rows = rows_of("docs/api.md", "## Public names")
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    assert told == set(finewave.__all__)


def test_values_of_a_parameter_are_no_default(site: Path) -> None:
    """``{"sssr", "sr", ...}, optional``: the default is the signature's, not the first value."""
    text = (site / "api.html").read_text(encoding="utf-8")
    section = text.split('id="finewave.list_models"')[1].split('id="finewave.create_model"')[0]
    row = next(row for row in section.split("<tr") if "fusion" in row)
    assert "None" in row.rsplit("<td>", 1)[1]
