"""What names of bands say, in the spellings that files and software have."""

from __future__ import annotations

import pytest

from finewave.band_names import code_of, colour_of, is_possible, plain


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("blue", "blue"),
        ("Blue", "blue"),
        ("B", "blue"),
        ("R", "red"),
        ("SR_red", "red"),
        ("red (630-690 nm)", "red"),
        ("Band 3 - Red", "red"),
        ("Red Edge 1", "rededge1"),
        ("rededge2", "rededge2"),
        ("RedEdge", "rededge"),
        ("red_edge", "rededge"),
        ("NIR", "nir"),
        ("nir1", "nir1"),
        ("Near-Infrared", "nir"),
        ("Near Infrared 2", "nir2"),
        ("SWIR 1", "swir1"),
        ("Short Wave Infrared", "swir"),
        ("Coastal Blue", "coastal"),
        ("Coastal aerosol", "coastal"),
        ("green_i", "green1"),
        ("Green II", "green2"),
        ("yellow", "yellow"),
        ("blue 490 nm", "blue"),
        ("B02", None),
        ("Band 1", None),
        ("blue minus red", None),
        ("reduced", None),
        ("", None),
        (None, None),
    ],
)
def test_colour(name: str | None, colour: str | None) -> None:
    assert colour_of(name) == colour


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("B02", "b2"),
        ("B8A", "b8a"),
        ("SR_B2", "b2"),
        ("T31_B11", "b11"),
        ("Band 2", "b2"),
        ("band_03", "b3"),
        ("blue", None),
        ("club2", None),
        (None, None),
    ],
)
def test_code(name: str | None, code: str | None) -> None:
    assert code_of(name) == code


def test_plain() -> None:
    assert plain("Red_Edge 01") == plain("rededge1") == "rededge1"
    assert plain("B10") == "b10"
    assert plain("B010") == "b10"


@pytest.mark.parametrize(
    ("colour", "wavelength", "possible"),
    [("red", 664.6, True), ("red", 490, False), ("nir1", 833, True), ("blue", 665, False), ("pan", 600, True)],
)
def test_where_a_colour_can_lie(colour: str, wavelength: float, possible: bool) -> None:
    assert is_possible(colour, wavelength) == possible
