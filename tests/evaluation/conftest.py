"""A small prepared data set, and small networks of each task."""

from __future__ import annotations

from tests.training.conftest import small_store, stand_ins  # noqa: F401 - fixtures
