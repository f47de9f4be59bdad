"""Dates of acquisition in the spellings of files and products."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from finewave.acquisition import date_in_name, stated_date, utc


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("2024-05-01T10:20:30Z", "2024-05-01T10:20:30Z"),
        ("2024-05-01T10:20:30.024Z", "2024-05-01T10:20:30.024Z"),
        ("2022-06-15T10:05:32.1234560Z", "2022-06-15T10:05:32.123Z"),
        ("2023-03-16T04:51:33+0000", "2023-03-16T04:51:33Z"),
        ("2024-05-01T12:20:30+02:00", "2024-05-01T10:20:30Z"),
        ("2024-05-01 10:20:30 UTC", "2024-05-01T10:20:30Z"),
        ("2024:05:01 10:20:30", "2024-05-01T10:20:30Z"),
        (b"2020-04-07T10:36:44", "2020-04-07T10:36:44Z"),
        ("DATE(dd-mm-yyyy): 21-05-2013", "2013-05-21"),
        ("DATE(yyyy-mm-dd): 2018-1-24", "2018-01-24"),
        ("2024-05-01", "2024-05-01"),
        (20240501, "2024-05-01"),
        (datetime(2024, 5, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2024-04-30T23:00:00Z"),
        ("0000-00-00", None),
        ("9999-12-31T23:59:59-05:00", None),  # in UTC a year later
        ("0001-01-01T00:00:00", None),
        ("DATE(yy): 1-2-3", None),
        ("noon", None),
        (12, None),
        (None, None),
    ],
)
def test_one_spelling(text: object, right: str | None) -> None:
    assert utc(text) == right


def test_attributes() -> None:
    assert stated_date({"Acquisition Time": "2020-05-01T10:00:00Z"}) == "2020-05-01T10:00:00Z"
    assert stated_date({"time_coverage_start": "2020-05-01T10:00:00Z", "date_created": "2024-01-01"})[:4] == "2020"
    assert stated_date({"datetime": None, "start_datetime": "2020-05-01T10:00:00Z"}) == "2020-05-01T10:00:00Z"
    specim = {"acquisition_date": "DATE(yyyy-mm-dd): 2018-01-24", "start_time": "UTC TIME: 9:47:35"}
    assert stated_date(specim) == "2018-01-24T09:47:35Z"
    landsat = {"DATE_ACQUIRED": "2022-06-15", "SCENE_CENTER_TIME": '"10:05:32.1234560Z"'}
    assert stated_date(landsat) == "2022-06-15T10:05:32.123Z"
    assert stated_date({"DATE_ACQUIRED": "2022-06-15", "start_time": "later"}) == "2022-06-15"
    assert stated_date({"date_created": "2024-01-01", "acquisition_date": "unknown"}) is None


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("EMIT_L2A_RFL_001_20230316T045133_2307503_005", "2023-03-16T04:51:33Z"),
        ("20240601_101112_34_24a4_3B", "2024-06-01T10:11:12Z"),
        ("PRS_L2D_STD_20200407103644_20200407103648_0001", "2020-04-07T10:36:44Z"),
        ("ENMAP01-____L2A-DT0000001867_20220724T104526Z_008_V010302_20230628T165614Z", "2022-07-24T10:45:26Z"),
        ("LC09_L2SP_193029_20220615_20220622_02_T1", "2022-06-15"),
        ("NEON_D02_SERC_DP3_368000_4306000_reflectance", None),
        ("20241301T101112", None),
        ("20240230_101112", None),
    ],
)
def test_names(name: str, right: str | None) -> None:
    assert date_in_name(name) == right
    assert date_in_name(name, time=False) == (right and right[:10])
