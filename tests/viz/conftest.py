from __future__ import annotations

from pathlib import Path

import pytest

from tests.viz.scenes import write_scenes


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Scenes that fit together, see `tests.viz.scenes.write_scenes`."""
    return write_scenes(tmp_path)
