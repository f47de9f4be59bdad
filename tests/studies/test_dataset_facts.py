"""Studies do not guess what a data set does not say."""

from __future__ import annotations

from dataclasses import replace

import pytest

import finewave as fw
from finewave.datasets.registry import get_dataset
from finewave.studies.dataset_facts import sensor_of
from finewave.studies.study_request import request_cells


def test_a_data_set_without_a_sensor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sensor_of("chikusei", "sspsr") == "ikonos"
    assert sensor_of("chikusei", "ssc-hsr") == "ikonos:red,green,blue"  # an RGB reference
    unnamed = replace(get_dataset("cave"), sensor=None)
    monkeypatch.setattr("finewave.studies.dataset_facts.get_dataset", lambda name: unnamed)
    with pytest.raises(fw.InputError, match=r"cave names no sensor .* choose one"):
        list(request_cells("table2", datasets=["cave"], scales=[4], rows=["jssunet"]).cells())
