"""What a scene is, its wavelengths and its attributes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from finewave.errors import InputError
from finewave.physics.rendering.srgb import linear_to_srgb, srgb_to_linear
from finewave.scene import (
    attribute_from_text,
    attribute_to_text,
    check_scene,
    json_attributes,
    make_scene,
    scene_crs,
    scene_transform,
)
from finewave.wavelengths import given_wavelengths, to_nanometres, wavelength_in_text
from tests.io.scene_helpers import TRANSFORM, WAVELENGTHS, full_scene


class TestMakeScene:
    def test_everything_has_its_place(self) -> None:
        scene = full_scene()
        assert scene.dims == ("band", "y", "x")
        assert scene.coords["band"].values.tolist() == [1, 2, 3, 4]
        assert scene.coords["wavelength"].values.tolist() == WAVELENGTHS
        assert scene.coords["wavelength"].dtype == np.float64
        assert scene.coords["wavelength"].attrs == {"units": "nm"}
        assert scene.coords["good_band"].dtype == bool
        assert scene.coords["x"].values[:2].tolist() == [500_005, 500_015]
        assert scene.coords["y"].values[:2].tolist() == [3_999_995, 3_999_985]
        assert scene_crs(scene).to_epsg() == 32631
        assert scene_transform(scene) == Affine(*TRANSFORM)

    def test_metadata_follows_when_bands_are_chosen(self) -> None:
        scene = full_scene().isel(band=[2, 0])
        assert scene.coords["wavelength"].values.tolist() == [650, 450]
        assert scene.coords["band_name"].values.tolist() == ["red edge", "blue"]

    def test_two_axes_are_one_band(self) -> None:
        assert make_scene(np.ones((3, 4))).shape == (1, 3, 4)

    def test_without_georeference(self) -> None:
        scene = make_scene(np.ones((1, 3, 4)))
        assert scene_crs(scene) is None
        assert scene_transform(scene) is None
        assert set(scene.coords) == {"band"}

    @pytest.mark.parametrize("shape", [(5,), (1, 2, 3, 4), ()])
    def test_wrong_number_of_axes(self, shape: tuple) -> None:
        with pytest.raises(InputError, match=f"got {len(shape)}-D"):
            make_scene(np.ones(shape))

    @pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4)])
    def test_no_pixels(self, shape: tuple) -> None:
        with pytest.raises(InputError, match="at least one band and one pixel"):
            make_scene(np.ones(shape))

    @pytest.mark.parametrize(
        ("keywords", "words"),
        [
            ({"wavelengths": [400]}, "1 wavelengths for 2 bands"),
            ({"fwhm": [1, 2, 3]}, "3 values of fwhm for 2 bands"),
            ({"good_bands": [True]}, "1 values of good_band for 2 bands"),
            ({"band_names": ["a"]}, "1 values of band_name for 2 bands"),
        ],
    )
    def test_one_value_a_band(self, keywords: dict, words: str) -> None:
        with pytest.raises(InputError, match=words):
            make_scene(np.ones((2, 3, 4)), **keywords)


class TestTransform:
    def test_follows_a_cut(self) -> None:
        cut = full_scene().isel(y=slice(2, None), x=slice(1, None))
        assert scene_transform(cut) == Affine(10, 0, 500_010, 0, -10, 3_999_980)

    def test_follows_a_step(self) -> None:
        coarse = full_scene().isel(y=slice(None, None, 2), x=slice(None, None, 2))
        assert scene_transform(coarse).a == 20

    def test_stated_one_is_kept_exactly(self) -> None:
        transform = (0.1, 0, 1 / 3, 0, -0.1, 2 / 3)
        assert scene_transform(make_scene(np.ones((1, 9, 9)), crs=4326, transform=transform)).c == 1 / 3


class TestCheckScene:
    def test_order_of_dims(self) -> None:
        scene = full_scene()
        result = check_scene(scene.transpose("y", "x", "band"))
        np.testing.assert_array_equal(result.values, scene.values)

    def test_one_band_without_its_dim(self) -> None:
        assert check_scene(full_scene().isel(band=0)).shape == (1, 7, 5)

    @pytest.mark.parametrize(
        ("given_scene", "words"),
        [
            (np.ones((2, 3, 4)), "got ndarray"),
            (xr.DataArray(np.ones(3), dims="band"), r"got \('band',\)"),
            (xr.DataArray(np.ones((2, 3, 4)), dims=("a", "y", "x")), r"got \('a', 'y', 'x'\)"),
            (xr.DataArray(np.ones((2, 3, 4), complex), dims=("band", "y", "x")), "got complex128"),
            (xr.DataArray(np.ones((0, 3, 4)), dims=("band", "y", "x")), "at least one band"),
        ],
    )
    def test_what_is_no_scene(self, given_scene: object, words: str) -> None:
        with pytest.raises(InputError, match=words):
            check_scene(given_scene)


class TestWavelengths:
    @pytest.mark.parametrize(
        ("values", "unit", "expected"),
        [
            ([0.4, 2.5], "um", [400, 2500]),
            ([0.4, 2.5], "Micrometers", [400, 2500]),
            ([0.4, 2.5], "µm", [400, 2500]),
            ([400, 2500], "Nanometers", [400, 2500]),
            ([4000], "Angstroms", [400]),
            ([4e-7], "m", [400]),
            ([4e-7], None, [400]),
            ([0.4, 14], None, [400, 14000]),
            ([400, 2500], None, [400, 2500]),
            ([400], "something", [400]),
            ([10000], "wavenumber", None),
            ([1, 2], "Index", None),
            ([-400], "nm", None),
            ([0, 400], "nm", None),
            ([np.nan], "nm", None),
            (["red"], None, None),
            ([], None, None),
        ],
    )
    def test_units(self, values: list, unit: str | None, expected: list | None) -> None:
        result = to_nanometres(values, unit)
        assert result is None if expected is None else result.tolist() == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("band 19 (0.513000 Micrometers)", 513),
            ("550.25 nm", 550.25),
            ("scene_400nm_refl", 400),
            ("B8A 865nm", 865),
            ("Band 3", None),
            ("from 400nm to 500nm", 450.0),
            ("400 nmol", None),
            ("", None),
            (None, None),
        ],
    )
    def test_in_text(self, text: str | None, expected: float | None) -> None:
        assert wavelength_in_text(text) == expected

    def test_given(self) -> None:
        assert given_wavelengths(range(400, 430, 10)).tolist() == [400, 410, 420]
        with pytest.raises(InputError, match="must be positive numbers in nm"):
            given_wavelengths([400, -1])

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("nm\n400\n", "has no column 'wavelength_nm' .it has: nm."),
            ("wavelength_nm\nred\n", "not a number"),
            ("", "no rows"),
            ("wavelength_nm\n-4\n", "must be positive"),
        ],
    )
    def test_bad_csv(self, tmp_path: Path, text: str, words: str) -> None:
        (tmp_path / "w.csv").write_text(text)
        with pytest.raises(InputError, match=words):
            given_wavelengths(tmp_path / "w.csv")

    def test_missing_csv(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"cannot read wavelengths from .*w\.csv"):
            given_wavelengths(str(tmp_path / "w.csv"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_attributes_survive_as_text(value: object) -> None:
    text = attribute_to_text(value)
    assert isinstance(text, str)
    assert attribute_from_text(text) == value


def test_attributes_that_json_cannot_express() -> None:
    assert attribute_to_text(object()) is None
    attrs = {"a": object(), "b": np.float32(0.5), "c": np.arange(2), "_FillValue": 3, "d": "x"}
    assert json_attributes(attrs) == {"b": 0.5, "c": [0, 1], "d": "x"}


class TestSrgb:
    def test_known_values(self) -> None:
        # IEC 61966-2-1, by hand: below the knee a line, above it a power.
        encoded = np.array([0, 0.04045, 0.5, 1])
        np.testing.assert_allclose(srgb_to_linear(encoded), [0, 0.04045 / 12.92, 0.21404114, 1], atol=1e-8)

    @given(st.floats(0, 1))
    def test_there_and_back(self, value: float) -> None:
        assert linear_to_srgb(srgb_to_linear(np.array([value])))[0] == pytest.approx(value, abs=1e-6)

    def test_missing_stays_missing_and_type_stays(self) -> None:
        result = srgb_to_linear(np.array([np.nan, 0.5], np.float32))
        assert np.isnan(result[0])
        assert result.dtype == np.float32
