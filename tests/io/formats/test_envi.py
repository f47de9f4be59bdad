"""ENVI, checked against Spectral Python and headers written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import spectral

from finewave.control_points import control_points
from finewave.errors import InputError
from finewave.io.open_save import open_scene, save_scene
from finewave.scene import make_scene
from finewave.warnings import FinewaveWarning
from tests.io.scene_helpers import WAVELENGTHS, assert_same_scene, full_scene, names_in

VALUES = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
HEADER = """ENVI
samples = 4
lines = 3
bands = 2
header offset = 0
data type = 2
interleave = bsq
byte order = 0
"""


def by_hand(folder: Path, extra: str = "", data: str = "a.img", header: str = "a.hdr") -> Path:
    (folder / header).write_text(HEADER + extra)
    VALUES.tofile(folder / data)
    return folder / data


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.filterwarnings("ignore::spectral.utilities.errors.NaNValueWarning")  # they are there on purpose
def test_spectral_python_finds_everything(tmp_path: Path, interleave: str) -> None:
    scene = full_scene()
    save_scene(scene, tmp_path / "a.img", interleave=interleave)
    image = spectral.envi.open(str(tmp_path / "a.hdr"))
    assert image.bands.centers == WAVELENGTHS
    assert image.bands.bandwidths == [10.0, 12.5, 20.0, 90.0]
    assert image.bands.band_unit == "Nanometers"
    assert image.metadata["interleave"] == interleave
    assert image.metadata["band names"] == ["blue", "green", "red edge", "swir 1"]
    assert image.metadata["bbl"] == [1, 1, 0, 1]
    assert image.metadata["sensor"] == "tester"
    np.testing.assert_array_equal(np.moveaxis(np.asarray(image.load()), -1, 0), scene.values)


def test_header_says_nothing_about_the_temporary_folder(tmp_path: Path) -> None:
    save_scene(full_scene(), tmp_path / "a.img")
    header = (tmp_path / "a.hdr").read_text()
    assert str(tmp_path) not in header
    assert "description = {\na.img}" in header
    assert names_in(tmp_path) == {"a.img", "a.hdr"}


def test_spectral_python_writes_and_we_read(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 24, dtype=np.float32).reshape(3, 4, 2)
    metadata = {"wavelength": [0.5, 0.75], "wavelength units": "Micrometers", "fwhm": [0.01, 0.02]}
    spectral.envi.save_image(str(tmp_path / "a.hdr"), values, metadata=metadata, interleave="bip")
    scene = open_scene(tmp_path / "a.hdr")
    np.testing.assert_array_equal(scene.values, np.moveaxis(values, -1, 0))
    np.testing.assert_array_equal(scene.coords["wavelength"], [500, 750])
    np.testing.assert_array_equal(scene.coords["fwhm"], [10, 20])


@pytest.mark.parametrize(
    ("data", "header", "opened"),
    [
        ("a.img", "a.hdr", "a.img"),
        ("a.img", "a.hdr", "a.hdr"),
        ("a.bsq", "a.hdr", "a.hdr"),
        ("a.dat", "a.dat.hdr", "a.dat.hdr"),
        ("a.dat", "a.dat.hdr", "a.dat"),
        ("a", "a.hdr", "a"),
        ("a", "a.hdr", "a.hdr"),
        ("scene_rfl", "scene_rfl.hdr", "scene_rfl"),
    ],
)
def test_names_of_header_and_data(tmp_path: Path, data: str, header: str, opened: str) -> None:
    by_hand(tmp_path, "reflectance scale factor = 1000\n", data, header)
    np.testing.assert_allclose(open_scene(tmp_path / opened).values, VALUES / 1000, rtol=1e-6)


def test_reflectance_scale_factor(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    scene = open_scene(by_hand(tmp_path, "reflectance scale factor = 100\ndata ignore value = 0\n"))
    np.testing.assert_allclose(scene.values[0, 0], [np.nan, 0.01, 0.02, 0.03])
    assert scene.encoding == {"dtype": "int16", "scale_factor": 0.01, "add_offset": 0.0, "_FillValue": 0.0}
    assert [each for each in recwarn if each.category is FinewaveWarning] == []


def test_gains_and_offsets(tmp_path: Path) -> None:
    scene = open_scene(by_hand(tmp_path, "data gain values = {0.1, 0.2}\ndata offset values = {1, 2}\n"))
    np.testing.assert_allclose(
        scene.values,
        VALUES * np.array([0.1, 0.2])[:, None, None] + np.array([1, 2])[:, None, None],
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("units", "numbers", "expected"),
    [
        ("Micrometers", "0.4, 2.5", [400, 2500]),
        ("Nanometers", "400, 2500", [400, 2500]),
        ("nm", "400, 2500", [400, 2500]),
        ("Unknown", "0.4, 2.5", [400, 2500]),
        (None, "400, 2500", [400, 2500]),
        ("Index", "1, 2", None),
        ("Wavenumber", "10000, 9000", None),
        ("Nanometers", "0, 0", None),
        ("Nanometers", "400", None),
    ],
)
def test_wavelength_units(tmp_path: Path, units: str | None, numbers: str, expected: list | None) -> None:
    stated = f"wavelength units = {units}\n" if units else ""
    path = by_hand(tmp_path, f"reflectance scale factor = 1\n{stated}wavelength = {{\n {numbers}}}\n")
    scene = open_scene(path)
    if expected is None:
        assert "wavelength" not in scene.coords
    else:
        np.testing.assert_array_equal(scene.coords["wavelength"], expected)


def test_precision_beyond_whole_nanometres(tmp_path: Path) -> None:
    # GDAL's own IMAGERY metadata of ENVI files would make 401 of 400.512.
    path = by_hand(tmp_path, "wavelength units = nm\nwavelength = {400.512, 401.1}\nreflectance scale factor = 1\n")
    np.testing.assert_array_equal(open_scene(path).coords["wavelength"], [400.512, 401.1])


def test_other_header_fields_survive(tmp_path: Path) -> None:
    path = by_hand(tmp_path, "acquisition time = 2020-05-01T10:00:00Z\nreflectance scale factor = 1\n")
    scene = open_scene(path)
    assert scene.attrs["acquisition_time"] == "2020-05-01T10:00:00Z"
    save_scene(scene, tmp_path / "b.img")
    assert "acquisition time = 2020-05-01T10:00:00Z" in (tmp_path / "b.hdr").read_text()


def test_header_without_data(tmp_path: Path) -> None:
    (tmp_path / "a.hdr").write_text(HEADER)
    with pytest.raises(InputError, match=r"its data file is missing; expected a or a\.img"):
        open_scene(tmp_path / "a.hdr")


def test_data_without_header(tmp_path: Path) -> None:
    VALUES.tofile(tmp_path / "a.img")
    with pytest.raises(InputError, match=r"cannot read .*a\.img as ENVI image"):
        open_scene(tmp_path / "a.img")


def test_too_short_for_its_header(tmp_path: Path) -> None:
    path = by_hand(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"truncated .47 bytes, its header speaks of 48."):
        open_scene(path)


def test_saved_by_its_header(tmp_path: Path) -> None:
    save_scene(full_scene(), tmp_path / "a.hdr")
    assert names_in(tmp_path) == {"a.img", "a.hdr"}
    assert_same_scene(open_scene(tmp_path / "a.hdr"), full_scene())


def test_extra_attributes_that_a_header_cannot_spell(tmp_path: Path) -> None:
    attrs = {
        "equation": "a = {b}",
        "lines": "one\ntwo",
        "Mixed Case": "x",
        "nested": {"k": ["=", "é"]},
        "no": None,
    }
    save_scene(make_scene(np.ones((1, 2, 2), np.float32), attrs=attrs), tmp_path / "a.img")
    assert open_scene(tmp_path / "a.img").attrs == attrs


def test_signed_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ENVI has no signed 8-bit values"):
        save_scene(full_scene(), tmp_path / "a.img", dtype="int8")
    with pytest.raises(InputError, match="unknown interleave 'bzq'"):
        save_scene(full_scene(), tmp_path / "a.img", interleave="bzq")
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("length", [10, 8_000, 50_000])
def test_attributes_of_any_length_come_back(tmp_path: Path, length: int) -> None:
    """A model's card is longer than a line that GDAL reads."""
    card = {"text": ('{"a=b", [c], \\ é} ' * (length // 16 + 1))[:length], "numbers": list(range(length // 10))}
    scene = make_scene(np.zeros((2, 3, 4), np.float32), attrs={"model_card": card, "title": "x" * length})
    save_scene(scene, tmp_path / "a.img")
    attrs = open_scene(tmp_path / "a.img").attrs
    assert attrs["model_card"] == card
    assert attrs["title"] == "x" * length
    spectral.envi.open(str(tmp_path / "a.hdr"))


@pytest.mark.parametrize(
    ("wavelength", "fwhm", "centres", "widths"),
    [
        ("{490,5 ; 560,1; 665; 842}", "{66;36;31;106}", [490.5, 560.1, 665, 842], [66, 36, 31, 106]),
        ("{490 nm, 560 nm, 665 nm, 842 nm}", "{66 nm,36 nm,31 nm,106 nm}", [490, 560, 665, 842], [66, 36, 31, 106]),
        ("{490 560\n 665 842}", "{66 36\n 31 106}", [490, 560, 665, 842], [66, 36, 31, 106]),
        ("{4.9e2, 560., 665, 842,}", "{66, 36, 31, 106}", [490, 560, 665, 842], [66, 36, 31, 106]),
    ],
    ids=["semicolons", "units", "spaces", "exponents"],
)
def test_lists_with_other_separators(
    wavelength: str, fwhm: str, centres: list[float], widths: list[float], tmp_path: Path
) -> None:
    np.arange(4 * 3 * 2, dtype="<u2").tofile(tmp_path / "a.img")
    header = "ENVI\nsamples = 2\nlines = 3\nbands = 4\ndata type = 12\ninterleave = bsq\nbyte order = 0\n"
    header += "wavelength units = Nanometers\nreflectance scale factor = 100\n"
    (tmp_path / "a.hdr").write_text(f"{header}wavelength = {wavelength}\nfwhm = {fwhm}\n")
    scene = open_scene(tmp_path / "a.hdr")
    np.testing.assert_allclose(scene.wavelength, centres)
    np.testing.assert_allclose(scene.fwhm, widths)
    np.testing.assert_allclose(scene.values.ravel(), np.arange(24) / 100, atol=1e-7)


def test_ranges_are_their_middles(tmp_path: Path) -> None:
    np.arange(3 * 3 * 2, dtype="<f4").tofile(tmp_path / "a.img")
    header = "ENVI\nsamples = 2\nlines = 3\nbands = 3\ndata type = 4\ninterleave = bsq\nbyte order = 0\n"
    (tmp_path / "a.hdr").write_text(f"{header}wavelength = {{450-510 nm, 520-590 nm, 640-670 nm}}\n")
    np.testing.assert_allclose(open_scene(tmp_path / "a.hdr").wavelength, [480, 555, 655])


@pytest.mark.parametrize("names", ["blue, green, red, nir", "4OO, 500, 600, 700"])
def test_lists_that_are_no_numbers_are_said_not_damage(names: str, tmp_path: Path) -> None:
    np.arange(4 * 3 * 2, dtype="<u2").tofile(tmp_path / "a.img")
    header = "ENVI\nsamples = 2\nlines = 3\nbands = 4\ndata type = 12\ninterleave = bsq\nbyte order = 0\n"
    (tmp_path / "a.hdr").write_text(f"{header}wavelength = {{{names}}}\nreflectance scale factor = 100\n")
    first = names.split(",")[0]
    with pytest.warns(FinewaveWarning, match=rf"a\.img: its list wavelengths was not understood \('{first}'"):
        scene = open_scene(tmp_path / "a.hdr")
    assert "wavelength" not in scene.coords


def test_saving_many_control_points_leaves_the_scene_alone(tmp_path: Path) -> None:
    points = [(y + 0.5, x + 0.5, 10.0 + x, 50.0 - y, 0.0) for y in range(0, 6, 2) for x in range(0, 8, 2)]
    scene = make_scene(np.zeros((2, 6, 8), np.float32), crs="EPSG:4326", control_points=points)
    before = [(p.row, p.col, p.x, p.y) for p in control_points(scene)]
    save_scene(scene, tmp_path / "a.img")
    for each in (scene, open_scene(tmp_path / "a.img")):
        assert [(p.row, p.col, p.x, p.y) for p in control_points(each)] == before
