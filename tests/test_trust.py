"""Every promise of docs/trust.md and SECURITY.md names a test that there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")


def test_every_promise_names_a_test_that_there_is() -> None:
    named = re.findall(r"^\| .+ \| `(tests/\S+\.py)::(test_\w+)` \|$", PAGE, re.MULTILINE)
    rows = PAGE.partition("| promise | test |")[2].strip().splitlines()[1:]
    assert len(named) == len(rows) > 40
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}, f"{file}::{name}"


def test_every_line_of_the_policy_names_one_too() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = text.partition("| what | trusted | test |")[2].partition("\n\n")[0].strip().splitlines()[1:]
    assert len(rows) > 10
    for row in rows:
        *_, named = (cell.strip() for cell in row.strip("| ").split(" | "))
        if "fully" in row:  # trust without a bound, which no test can show
            assert named == "none: nothing is promised"
            continue
        file, _, name = named.strip("`").partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}, row


def test_every_file_it_names_is_there() -> None:
    for path in re.findall(r"`(tests/[\w/.]+)`", PAGE):
        assert (ROOT / path).exists(), path
