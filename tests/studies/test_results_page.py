"""The cells of `docs/results`, to which anyone may add."""

from __future__ import annotations

from pathlib import Path

from finewave.studies.results import all_results, read_result

RESULTS = Path(__file__).parents[2] / "docs/results"


def test_every_cell_is_what_its_name_says() -> None:
    cells = all_results(RESULTS)
    assert cells
    for path in cells:
        result = read_result(path)
        assert result["facts"]["split"] != "test", f"{path.name}: the test scenes are for others to score"
