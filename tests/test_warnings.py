"""Every warning says what was assumed, and how to say or have it otherwise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "finewave"

# what a remedy looks like: a keyword or option to give, or a thing to do
REMEDY = re.compile(
    r"\w=|--\w|finewave \w+ |scene\[|"
    r"\b(bring|check|choose|convert|divide|fill|flag|give|prepare|put|save|select|state|take|use)\b|pip install|"
    r"compile: false|finewave predict"
)


def texts() -> Iterator[tuple[str, str]]:
    """Yield the place and the constant words of each warning of finewave."""
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "FinewaveWarning" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = ast.unparse(node.func)
            if called in ("warnings.warn", "_warn") and isinstance(node.args[0], ast.Constant | ast.JoinedStr):
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", words_of(node.args[0])


def words_of(text: ast.Constant | ast.JoinedStr) -> str:
    parts = [text] if isinstance(text, ast.Constant) else text.values
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)


TEXTS = list(texts())
# the remedy is made elsewhere: a table of words, or an advice that is put at the end
MADE_ELSEWHERE = {"{} {}", "{}: {}", "the scene is {}, but {} was trained on the sensor {}; {}"}
MADE_ELSEWHERE |= {"without Numba, window attention on a processor is slower: {}"}
MADE_ELSEWHERE |= {"half-widths are not shown: {}"}
MADE_ELSEWHERE |= {"the scene does not say which band is which: taken in the order of the file as those of {}{}; {}"}

# what was asked for, by ``clip=``, needs no remedy
ASKED_FOR = {"{} values were cut to {} to {}{}"}


def test_warnings_are_found() -> None:
    assert len(TEXTS) > 25
    assert {text for _, text in TEXTS} >= MADE_ELSEWHERE | ASKED_FOR


@pytest.mark.parametrize(("place", "text"), TEXTS, ids=[place for place, _ in TEXTS])
def test_a_warning_names_the_remedy(place: str, text: str) -> None:
    assert text in MADE_ELSEWHERE | ASKED_FOR or REMEDY.search(text), f"{place}: {text}"


def test_words_without_a_remedy_are_noticed() -> None:
    assert not REMEDY.search("{}: {} infinite values were taken as missing (NaN)")
    assert not REMEDY.search("{}: the scene is a single pixel")
