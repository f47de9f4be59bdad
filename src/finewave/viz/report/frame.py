"""The frame of a report: one self-contained HTML file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from finewave.errors import unknown_name
from finewave.text.plain_text import one_line

EXTENSIONS = (".html", ".htm")
# the browser blocks everything outside the file
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(title: str, subtitle: str, body: str, data: dict[str, Any] | None = None) -> str:
    """Return a complete page.

    Parameters
    ----------
    title, subtitle : str
        Plain text.
    body : str
        HTML.
    data : dict, optional
        Data for the script of a scene's page; None for a page without script.
    """
    import finewave

    scripts = ""
    if data is not None:
        # a literal "<" could end the element early
        text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        scripts = f'<script type="application/json" id="data">{text}</script>\n<script>{_asset("report.js")}</script>\n'
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="finewave {escape(finewave.__version__)}">
<link rel="icon" href="data:,">
<title>{shown(title)}</title>
<style>
{_asset("report.css")}</style>
</head>
<body>
<header>
<h1>{shown(title)}</h1>
<p class="sub">{shown(subtitle)}</p>
</header>
<main>
{body}</main>
<footer>Made by finewave {escape(finewave.__version__)}. This file is complete: it loads nothing from anywhere.</footer>
{scripts}</body>
</html>
"""


def shown(text: str) -> str:
    """Return plain text as HTML: on one line, in reading order, no markup."""
    return escape(one_line(text))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", numbers: Iterable[int] = ()) -> str:
    """Return a table as HTML; cells are plain text, columns whose index is in ``numbers`` are right-aligned."""
    right = set(numbers)

    def kind(column: int) -> str:
        return ' class="number"' if column in right else ""

    head = "".join(f'<th scope="col"{kind(i)}>{shown(text)}</th>' for i, text in enumerate(header))
    body = ""
    for row in rows:
        cells = "".join(f"<td{kind(i)}>{shown(text)}</td>" for i, text in enumerate(row) if i)
        body += f'<tr><th scope="row"{kind(0)}>{shown(row[0])}</th>{cells}</tr>\n'
    heading = f"<caption>{shown(caption)}</caption>" if caption else ""
    # tables wider than the page can also be scrolled by keyboard
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{shown(caption or header[0])}"><table>{heading}\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def check_extension(path: str | Path) -> Path:
    """Return the path of a report.

    Raises
    ------
    InputError
        If it is not named like an HTML file.
    """
    target = Path(path)
    if target.suffix.lower() not in EXTENSIONS:
        raise unknown_name("extension of a report", target.suffix or target.name, EXTENSIONS)
    return target


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
