"""Prose and names use standard terms: words of an older dialect of this repository do not return."""

from __future__ import annotations

import ast
import re

from tests.test_docs import ROOT

SOURCES = sorted((ROOT / "src" / "finewave").rglob("*.py"))
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]

# pattern of whole words: what to write
PROSE = {
    r"mend(s|ed|ing)?": "fix, correct",
    r"so-manyth": "every n-th",
    r"by wish": "optional",
    r"worth a word": "triggers a warning",
    r"comes? along|came along": "is included",
    r"goes on from|go on from": "resumes from",
    r"to be had": "available",
    r"asks? nothing of": "is self-contained",
    r"anew": "again",
    r"gives? back|given back": "return, reproduce",
    r"as one says it": "human-readable",
    r"nothing partial|whole or not": "atomically; no partial file is left",
    r"(numbers|values) that are none": "NaN or infinite",
    r"lies elsewhere": "is remote",
    r"what is told|are told|is told": "is stated",
    r"one a (band|pixel|scene|file|row|line)": "one per ...",
    r"so many (pixels|rows|bands)": "a given number of ...",
    r"not to be known": "unknown",
}
# names that say nothing about their value
NAMES = {"told", "said", "theirs", "mend", "gathered", "unsaid", "untold", "asked", "whose", "spoilt"}


def test_prose_is_plain() -> None:
    findings = []
    for better, pattern in ((better, pattern.replace(" ", r"[\s#]+")) for pattern, better in PROSE.items()):
        whole_words = re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE)
        for path in (*SOURCES, *PAGES):
            text = path.read_text(encoding="utf-8")
            for match in whole_words.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                findings.append(f"{path.relative_to(ROOT)}:{line}: {match[0]!r}; better: {better}")
    assert not findings, "\n".join(findings)


def test_names_say_what_they_hold() -> None:
    findings = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.arg if isinstance(node, ast.arg) else node.id if isinstance(node, ast.Name) else ""
            if name in NAMES:
                findings.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name!r} does not say what it holds")
    assert not findings, "\n".join(findings)
