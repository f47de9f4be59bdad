"""Names and notes from files as text to show: on one line, in reading order, and no markup."""

from __future__ import annotations

import re
import unicodedata

_KEPT = "\u200c\u200d"  # joiners, used by several scripts
_MARKUP = {"\\": r"\\", "&": "&amp;", "<": "&lt;", ">": "&gt;", "|": r"\|", "`": r"\`"}
_LINK = re.compile(r"\](?=\s*[(\[:])")


def one_line(text: str) -> str:
    """Return text without line breaks, control characters and those that change the direction of what follows."""
    kept = [c for c in text if unicodedata.category(c) != "Cf" or c in _KEPT]
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in kept).split())


def as_markdown(text: str) -> str:
    """Return text for a Markdown page: what would be HTML, a link, an image, code or a cell's end is shown as it is."""
    return _LINK.sub(r"\\]", "".join(_MARKUP.get(c, c) for c in one_line(text)))


def as_code(text: str) -> str:
    """Return text to stand between backticks."""
    return one_line(text).replace("`", "'").replace("|", "/")
