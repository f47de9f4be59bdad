"""``docs/performance.md`` is what the figures beside it give."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.benchmark_report import page_of
from benchmarks.suite import read_run
from benchmarks.targets import ratios_of, targets_of

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_figures_give() -> None:
    """``docs/performance.md`` is written by the command, from ``docs/performance.json``, and by nothing else."""
    figures = read_run(ROOT / "docs" / "performance.json")
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert page == page_of(figures)
    assert not figures["quick"]
    assert figures["plain"]
    assert figures["targets"] == targets_of(figures["results"], figures["machine"])
    assert figures["ratios"] == ratios_of(figures["results"])
    assert re.search(r"\| .* \| at least .* \| (yes|no|not measured) \|", page)
