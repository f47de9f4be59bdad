"""Lists about bands, in the spellings that programs write."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from finewave.io.formats.values.band_lists import Listed, describe_bands
from finewave.warnings import FinewaveWarning
from finewave.wavelengths import wavelength_in_text

NM = Listed("wavelength", [400, 500, 600], "nm")


def described(*listed: Listed, bands: int = 3) -> dict:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return describe_bands(listed, bands, "a.file")


@pytest.mark.parametrize(
    "listed",
    [
        NM,
        Listed("Sensor/Wavelengths", [0.4, 0.5, 0.6], "Micrometers"),
        Listed("CENTER_WAVELENGTH_NM", ["400", "500", "600"]),
        Listed("wavelength_um", [0.4, 0.5, 0.6]),
        Listed("Band Centers", "{0.4, 0.5, 0.6}"),
        Listed("lambda", "[400 500 600]"),
        Listed("bands", [400, 500, 600], "nm"),
        Listed("bands", [[400.0], [500.0], [600.0]]),
        Listed("wavelengths", ["400 nm", "0.5 um", "590-610 nm"]),
        Listed("radiation_wavelength", [4e-7, 5e-7, 6e-7], "m"),
    ],
    ids=lambda each: each.name,
)
def test_wavelengths(listed: Listed) -> None:
    # numbers that count nothing, called "bands", are wavelengths all the same
    np.testing.assert_allclose(described(listed)["wavelengths"], [400, 500, 600], rtol=1e-12)


@pytest.mark.parametrize("numbers", [[1, 2, 3], [0, 1, 2], [443, 444, 445]])
def test_band_numbers_are_no_wavelengths(numbers: list) -> None:
    assert described(Listed("band", numbers)) == {}


@pytest.mark.parametrize(
    ("wavelengths", "widths"),
    [
        (NM, Listed("FWHM", [8, 8, 8])),
        (NM, Listed("fwhm", [0.008] * 3, "um")),
        (NM, Listed("fwhm_um", [0.008] * 3)),
        (Listed("wavelength", [0.4, 0.5, 0.6]), Listed("fwhm", [0.008] * 3)),
        (Listed("wavelength", [0.4, 0.5, 0.6], "um"), Listed("bandwidth", [8] * 3, "nanometers")),
    ],
)
def test_unit_of_widths(wavelengths: Listed, widths: Listed) -> None:
    np.testing.assert_allclose(described(widths, wavelengths)["fwhm"], [8, 8, 8])


def test_unit_that_is_a_list_of_its_own() -> None:
    found = described(
        Listed("Wavelength", [0.4, 0.5, 0.6]),
        Listed("fwhm", [0.2, 0.2, 0.2]),
        Listed("Wavelength Units", "Micrometers"),
    )
    np.testing.assert_allclose(found["fwhm"], [200] * 3)


def test_widths_alone() -> None:
    np.testing.assert_allclose(described(Listed("fwhm", [8, 8, 9]))["fwhm"], [8, 8, 9])


def test_widths_that_cannot_be_in_the_unit_of_the_wavelengths() -> None:
    with pytest.warns(FinewaveWarning, match="cannot be in the unit of the wavelengths; taken as nm"):
        found = describe_bands([Listed("wavelength", [0.4, 0.5, 0.6], "um"), Listed("fwhm", [8, 8, 8])], 3, "a.file")
    np.testing.assert_allclose(found["fwhm"], [8, 8, 8])


@pytest.mark.parametrize(
    ("listed", "good"),
    [
        (Listed("bbl", "{1, 0, 1}"), [True, False, True]),
        (Listed("good_wavelengths", [1, 0, 1]), [True, False, True]),
        (Listed("bad_bands", [0, 1, 0]), [True, False, True]),
        (Listed("good_band", ["true", "false", "true"]), [True, False, True]),
    ],
)
def test_flags(listed: Listed, good: list) -> None:
    assert described(listed)["good_bands"].tolist() == good


def test_names_that_hold_wavelengths() -> None:
    found = described(Listed("band_names", ["a 400 nm", "b 500 nm", "c 600 nm"]))
    assert found["wavelengths"].tolist() == [400, 500, 600]
    assert found["band_names"] == ["a 400 nm", "b 500 nm", "c 600 nm"]


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (Listed("wavelength", [400, 500]), "has 2 wavelengths for 3 bands"),
        (Listed("wavelength", [400, 0, 600]), "holds 0, which is not a wavelength"),
        (Listed("wavelength", [400, np.nan, 600]), "holds nan, which is not a wavelength"),
        (Listed("wavelength", [25000, 20000, 16667], "cm-1"), "is in cm-1, which is not a length"),
        (Listed("wavelength", ["a", "b", "c"]), "was not understood"),
        (Listed("fwhm", [8, 8]), "do not fit 3 bands"),
        (Listed("bad_bands", [2]), "does not have one flag for each of 3 bands"),
    ],
)
def test_what_is_not_understood_is_said(listed: Listed, said: str) -> None:
    with pytest.warns(FinewaveWarning, match=f"^a.file: .*{listed.name} {said}"):
        assert describe_bands([listed], 3, "a.file") == {}


def test_list_that_fits_silences_one_that_does_not() -> None:
    assert set(described(Listed("all/wavelength", [400, 500]), NM)) == {"wavelengths"}


@pytest.mark.parametrize(
    ("text", "nm"),
    [
        ("blue (450-510 nm)", 480),
        ("450 – 510nm", 480),
        ("0.45-0.51 µm", 480),
        ("450 nm to 510 nm", 480),
        ("band_450nm-510nm", 480),
        ("510-450 nm", None),
        ("450-510 nm and 600-700 nm", None),
        ("2019-04-05 550 nm", 550),
        ("reflectance_550nm", 550),
    ],
)
def test_ranges(text: str, nm: float | None) -> None:
    assert wavelength_in_text(text) == (None if nm is None else pytest.approx(nm))
