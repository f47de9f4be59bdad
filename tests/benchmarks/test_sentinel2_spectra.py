"""The picture of spectra on the page on Sentinel-2 is that of its command."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.sentinel2_spectra import TILE, draw
from finewave.datasets.registry import known_split


@pytest.mark.data
def test_the_picture_is_of_a_tile_that_was_not_trained_on(tmp_path: Path) -> None:
    assert TILE in known_split("enmap")["val"]
    caption = draw(tmp_path / "spectra.png", TILE)
    assert (tmp_path / "spectra.png").stat().st_size > 10_000
    assert "(30, 26), (12, 17), (27, 17), (7, 2), (23, 5)" in caption
