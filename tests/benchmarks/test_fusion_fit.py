"""The settings that the command compares."""

from __future__ import annotations

import pytest

from benchmarks.fusion_fit import SETTINGS, Setting


def test_a_setting_is_read_as_it_is_written() -> None:
    assert Setting.parse("600:24:32") == Setting(600, 24, 32, 2e-3)
    assert Setting.parse("1000:6:64:3e-3") == Setting(1000, 6, 64, 3e-3) == SETTINGS[2]


@pytest.mark.parametrize("text", ["", "600", "600:24", "600:24:32:1e-3:4", "many:24:32", "600:24:32:fast"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"values to unpack|invalid literal|could not convert|^600:24"):
        Setting.parse(text)
