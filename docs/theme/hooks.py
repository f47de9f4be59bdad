"""What the site adds to the pages: the navigation, the two pages that stand outside ``docs/``, callouts as boxes.

Links stay those of the repository view, so that both views have the same pages.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

INDEX = "README.md"
OUTSIDE = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Pages at the root of the repository; in the site they stand beside the index."""

_ROW = re.compile(r"^\| \[(?P<title>[^]]+)\]\((?P<path>[^)]+\.md)\) \|", re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)(?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the navigation from the index: a section for each heading, a page for each row of its table."""
    text = (Path(config.docs_dir) / INDEX).read_text(encoding="utf-8")
    _, *sections = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    nav: list[dict[str, Any]] = [{"Home": INDEX}]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        pages = [{row["title"]: posixpath.basename(row["path"]) if row["path"].startswith("../") else row["path"]}
                 for row in _ROW.finditer(body)]  # fmt: skip
        if pages:
            nav.append({title: pages})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository's root."""
    root = Path(config.docs_dir).parent
    for name in OUTSIDE:
        files.append(File.generated(config, name, content=(root / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links between ``docs/`` and the root lead to where the site has the pages."""
    place = page.file.src_uri
    here = posixpath.dirname(place) if place in OUTSIDE else posixpath.join("docs", posixpath.dirname(place))

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(here, link["path"]))
        if target in OUTSIDE:
            inside = target
        elif target.startswith("docs/"):
            inside = target.removeprefix("docs/")
        else:
            return link[0]  # strict mode says that it leads out of the site
        return posixpath.relpath(inside, posixpath.dirname(place) or ".") + (link["anchor"] or "")

    return _LINK.sub(moved, markdown)
