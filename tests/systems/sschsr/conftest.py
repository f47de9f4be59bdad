"""A small prepared data set."""

from __future__ import annotations

from tests.training.conftest import small_store  # noqa: F401 - a fixture
