"""The documentation as a site: ``python docs/theme/build.py [FOLDER]``.

The pages are those of ``docs/`` and two of the repository's root. The navigation is taken from the tables of
``docs/README.md``, so that both have the same pages. Notebooks become pages by nbconvert, with the outputs that are
stored in them. A link or an anchor that leads nowhere is an error.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
INDEX = "README.md"
OUTSIDE = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Pages at the root of the repository; in the site they stand beside the index."""

_ROW = re.compile(r"^\| \[(?P<title>[^]]+)\]\((?P<path>[^)]+\.(?:md|ipynb))\) \|", re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)(?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))")


def navigation(index: str) -> list[dict[str, Any]]:
    """Return the navigation by the text of the index: a section for each heading, a page for each row of its table."""
    _, *sections = re.split(r"^## (.+)$", index, flags=re.MULTILINE)
    nav: list[dict[str, Any]] = [{"Home": INDEX}]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        rows = [(row["title"], row["path"]) for row in _ROW.finditer(body)]
        if rows:
            nav.append({title: [{name: _page(path.removeprefix("../"))} for name, path in rows]})
    return nav


def _page(path: str) -> str:
    """Return the page of a file: a notebook is converted."""
    return path.removesuffix(".ipynb") + ".md" if path.endswith(".ipynb") else path


def convert(notebook: Path) -> None:
    """Write a notebook as a page of Markdown, its pictures in a folder beside it, and remove it."""
    from nbconvert.exporters.markdown import MarkdownExporter

    pictures = f"{notebook.stem}-pictures"
    text, resources = MarkdownExporter().from_filename(str(notebook), resources={"output_files_dir": pictures})
    for name, picture in resources["outputs"].items():
        place = notebook.parent / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(picture)
    text = re.sub(r"!\[png\]", "![What the code above shows]", text)
    notebook.with_suffix(".md").write_text(text, encoding="utf-8")
    notebook.unlink()


def moved_links(markdown: str, page: str) -> str:
    """Let links between ``docs/`` and the root lead to where the site has the pages.

    Parameters
    ----------
    markdown : str
    page : str
        Path of the page in the site.
    """
    here = posixpath.dirname(page) if page in OUTSIDE else posixpath.join("docs", posixpath.dirname(page))

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(here, link["path"]))
        if target in OUTSIDE:
            inside = target
        elif target.startswith("docs/"):
            inside = target.removeprefix("docs/")
        else:
            return link[0]  # which is an error: it leads out of the site
        return posixpath.relpath(_page(inside), posixpath.dirname(page) or ".") + (link["anchor"] or "")

    return _LINK.sub(moved, markdown)


def build(site: Path) -> int:
    """Write the site into a folder; return the exit status of Zensical."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pages = folder / "docs"
        shutil.copytree(ROOT / "docs", pages, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        for outside in OUTSIDE:
            shutil.copy(ROOT / outside, pages / outside)
        for notebook in sorted(pages.rglob("*.ipynb")):
            convert(notebook)
        for page in pages.rglob("*.md"):
            text = page.read_text(encoding="utf-8")
            page.write_text(moved_links(text, page.relative_to(pages).as_posix()), encoding="utf-8")
        settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
        settings["nav"] = navigation((pages / INDEX).read_text(encoding="utf-8"))
        (folder / "mkdocs.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        for name in ("src", "docs/theme/choices.py"):  # paths in the settings are relative to them
            place = folder / name
            place.parent.mkdir(exist_ok=True)
            place.symlink_to(ROOT / name)
        command = [sys.executable, "-m", "zensical", "build", "--strict"]
        status = subprocess.run(command, cwd=folder).returncode
        if status == 0:
            if site.exists():
                shutil.rmtree(site)
            shutil.copytree(folder / "site", site)
        return status


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site")))
