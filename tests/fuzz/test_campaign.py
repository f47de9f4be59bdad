"""The campaign of `make fuzz`, among the slow tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import product_bases
from tests.fuzz.campaign import campaign, table

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured as Linux tells it"
)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_five_thousand_changed_files() -> None:
    tallies = campaign(5000, 2400.0, 18)
    print(table(tallies))
    assert [(name, fault) for name, each in tallies.items() for fault in each.faults] == []
    assert sum(each.outcomes.total() for each in tallies.values()) >= 5000
    newer = [name for name in tallies if name in product_bases.NAMES]
    assert sum(tallies[name].outcomes.total() for name in newer) >= 2000  # products, and formats that came with them
