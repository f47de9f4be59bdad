"""From stored numbers to values: which are missing, and what scale is assumed."""

from __future__ import annotations

import numpy as np
import pytest

from finewave.errors import InputError
from finewave.io.formats.values.decoding import Decoding, choose_decoding, is_number
from finewave.io.formats.values.stated import stated_in
from finewave.warnings import FinewaveWarning

LOWEST = np.finfo(np.float32).min


def nothing() -> np.ndarray:
    raise AssertionError("nothing needs to be sampled")


@pytest.mark.parametrize("stated", [-3.40282e38, -3.4028234663852886e38, -3.403e38, -1.797e308, -np.inf])
def test_smallest_float_however_written(stated: float) -> None:
    values = np.array([[[LOWEST, -1e17, 0.0, 0.5]]], np.float32)
    decoding = choose_decoding(values.dtype, path="a", scale=None, nodata=stated, sample=nothing)
    np.testing.assert_array_equal(np.isnan(decoding.apply(values)), [[[True, False, False, False]]])
    assert np.isfinite(np.float32(decoding.encoding["_FillValue"]))


def test_numbers_are_compared_as_exactly_as_their_type() -> None:
    stored = np.array([-0.1, -0.10001, 0.1], np.float32)
    assert is_number(stored, -0.1).tolist() == [True, False, False]  # the float32 nearest to -0.1 is another number
    assert is_number(stored.astype(np.float64), -0.1).tolist() == [False, False, False]
    assert is_number(np.array([0, 1, 255], np.uint8), 255.0).tolist() == [False, False, True]
    assert not is_number(np.array([0, 1, 255], np.uint8), -9999).any()
    assert not is_number(np.array([0, 1], np.uint8), 0.5).any()
    assert is_number(np.array([np.nan, 1.0]), np.nan).tolist() == [True, False]


def test_nodata_of_each_band_special_numbers_and_valid_range() -> None:
    stored = np.array([[[0, 7, 9, 60]], [[0, 7, 9, 60]]], np.int16)
    decoding = Decoding(stored.dtype, nodata=(0.0, None), special=(9.0,), valid_range=(-5, 50))
    assert np.isnan(decoding.apply(stored)).tolist() == [[[True, False, True, True]], [[False, False, True, True]]]
    assert np.isnan(decoding.apply(stored[1:], 1)).tolist() == [[[False, False, True, True]]]


@pytest.mark.parametrize(
    ("dtype", "bits", "numbers", "assumed"),
    [
        ("uint16", None, [4000] * 97 + [24000] * 3, 10000),  # clouds
        ("uint16", None, [4000] * 80 + [24000] * 20, 10000),
        ("uint16", None, [4000] * 50 + [65535] * 50, 10000),  # filled or saturated
        ("uint16", None, [4000] * 90 + [50000] * 10, 65535),
        ("uint16", None, [10000] * 60 + [30000] * 40, 65535),
        ("uint16", 11, [10] * 9, 2047),
        ("uint16", 12, [4095] * 9, 4095),
        ("uint8", 1, [0, 1], 1),
        ("uint16", 15, [4000] * 9, 10000),  # what JPEG 2000 files of Sentinel-2 say of reflectances
        ("uint16", 16, [4000] * 9, 10000),
        ("uint32", None, [4000] * 9, 10000),
    ],
)
def test_assumed_scale(dtype: str, bits: int | None, numbers: list[int], assumed: float) -> None:
    sample = np.array(numbers, dtype)
    with pytest.warns(FinewaveWarning, match=rf"assumed that {assumed} represents 1\.0.*scale= of open_scene"):
        decoding = choose_decoding(np.dtype(dtype), path="a", scale=None, bits=bits, sample=lambda: sample)
    assert decoding.scale_factor == 1 / assumed


def test_no_scale_fits() -> None:
    sample = np.full(50, 70000, np.int32)
    with pytest.raises(InputError, match="values up to 70000 and does not say their scale"):
        choose_decoding(sample.dtype, path="a", scale=None, sample=lambda: sample)


def test_scale_of_the_user_and_offsets_a_band() -> None:
    keywords = {"path": "a", "scale_factor": (1e-4, 2e-4), "offset": (-0.1, 0.1), "sample": nothing}
    with pytest.warns(FinewaveWarning, match=r"offset of -0\.1, 0\.1; with full_scale=5000 the offset is -0\.2, 0\.1 "):
        decoding = choose_decoding(np.dtype(np.uint16), scale=5000, **keywords)
    stored = np.array([[[1000]], [[1000]]], np.uint16)
    np.testing.assert_allclose(decoding.apply(stored).ravel(), [0.0, 0.3], atol=1e-7)


@pytest.mark.parametrize(
    ("attributes", "factor", "offset"),
    [
        ({"scale_factor": 1e-4, "add_offset": -0.1}, 1e-4, -0.1),
        ({"Scale_Factor": np.array([10000.0])}, 1e-4, None),
        ({"SCALE_FACTOR": "10000"}, 1e-4, None),
        ({"Reflectance Scale Factor": 5000}, 1 / 5000, None),
        ({"BOA_QUANTIFICATION_VALUE": b"10000"}, 1e-4, None),
        ({"REFLECTANCE_MULT": 2e-5, "REFLECTANCE_ADD": -0.1}, 2e-5, -0.1),
        ({"slope": 2e-6, "intercept": 0.05}, 2e-6, 0.05),
        ({"scale_factor": "unknown"}, None, None),
        ({"scale_factor": 0}, 0.0, None),
        ({"scale_factor": np.inf}, np.inf, None),
        ({}, None, None),
    ],
)
def test_spellings_of_scale_and_offset(attributes: dict, factor: float | None, offset: float | None) -> None:
    stated = stated_in(attributes)
    assert stated.scale_factor == (None if factor is None else pytest.approx(factor, rel=1e-12))
    assert stated.offset == offset


def test_short_names_mean_nothing_in_the_attributes_of_a_file() -> None:
    assert stated_in({"scale": 4.0, "offset": 7}, of_whole_file=True).scale_factor is None
    assert stated_in({"scale": 0.5}).scale_factor == 0.5


def test_missing_numbers_and_valid_ranges() -> None:
    assert stated_in({"Data_Ignore_Value": -9999.0, "Saturated": "32767"}).missing == (-9999, 32767)
    assert stated_in({"valid_range": [0, 10000]}).valid_range == (0, 10000)
    assert stated_in({"valid_min": 0}).valid_range == (0, np.inf)
    assert stated_in({"valid_range": [5, 5]}).valid_range is None


def test_what_is_left_over_from_integers_says_nothing_of_floats() -> None:
    attributes = {"valid_range": np.array([7273, 43636], np.int32), "scale_factor": 2.75e-5}
    assert stated_in(attributes).valid_range == (7273, 43636)
    assert stated_in(attributes, floats=True).valid_range is None
    assert stated_in({"valid_range": [0.0, 1.0]}, floats=True).valid_range == (0, 1)
    assert stated_in({"valid_min": "0", "valid_max": "1.5"}, floats=True).valid_range == (-np.inf, 1.5)
    assert stated_in(attributes, of_whole_file=True, floats=True).scale_factor is None
    assert stated_in(attributes, of_whole_file=True).scale_factor == 2.75e-5
