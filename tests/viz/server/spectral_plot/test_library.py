from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finewave.errors import InputError
from finewave.io.ground.spectral_library import Spectrum
from finewave.physics.band_resampling import on_bands
from finewave.viz.server.spectral_plot.library import Library, LibrarySpectrum, read_library, spectral_angle
from finewave.viz.server.transfer import library_store, receive_spectra
from finewave.viz.server.transfer.library_store import LibraryStore

CENTRES = np.array([560.0, 540.0, 550.0])  # an image's bands may be in any order


def write_text(path: Path) -> Path:
    path.write_text("wavelength;soil;<b>leaf</b>\n" + "".join(f"{nm};{nm / 1000};0.2\n" for nm in range(400, 701, 10)))
    return path


def test_angles_are_those_of_the_common_bands(tmp_path: Path) -> None:
    library = Library(read_library([write_text(tmp_path / "a.txt")]), CENTRES)
    assert [each.name for each in library.entries] == ["soil", "<b>leaf</b>"]
    angles = library.angles(3 * CENTRES)  # of another brightness
    flat = np.degrees(np.arccos(CENTRES.sum() / np.linalg.norm(CENTRES) / np.sqrt(3)))
    np.testing.assert_allclose(angles, [0, flat], atol=1e-4)


def test_spectra_of_several_grids_are_each_on_the_bands() -> None:
    random = np.random.default_rng(6)
    centres = np.array([700.0, 500.0, 600.0])
    fine, coarse = np.arange(400.0, 801.0), np.arange(450.0, 760.0, 7.0)
    entries = []
    for number, grid in enumerate((fine, coarse, fine, fine)):
        values = random.random(len(grid))
        values[: 60 * (number == 3)] = np.nan
        entries.append(LibrarySpectrum(str(number), Spectrum(grid, values)))
    found = Library(entries, centres).angles(np.array([0.4, 0.9, 0.2]))
    for entry, angle in zip(entries, found, strict=True):
        alone = on_bands(entry.spectrum.wavelengths, entry.spectrum.values, np.sort(centres))[[2, 0, 1]]
        assert angle == pytest.approx(spectral_angle(alone, np.array([0.4, 0.9, 0.2])))


def test_an_angle_needs_three_bands_and_light() -> None:
    assert np.isnan(spectral_angle(np.array([1, 2, np.nan]), np.ones(3)))
    assert np.isnan(spectral_angle(np.zeros(3), np.ones(3)))
    assert spectral_angle(np.array([1.0, 0, 0, np.nan]), np.array([0, 1.0, 0, 5])) == pytest.approx(90)


def test_files_of_libraries_and_spots(tmp_path: Path) -> None:
    values = np.array([[0.1, 0.2, 0.3], [0.5, 0.4, 0.3]], np.float32)
    values.tofile(tmp_path / "b.sli")
    (tmp_path / "b.hdr").write_text(
        "ENVI\nsamples = 3\nlines = 2\nbands = 1\ndata type = 4\nbyte order = 0\nfile type = ENVI Spectral Library\n"
        "wavelength units = Nanometers\nwavelength = {450, 550, 650}\nspectra names = {one, two}\n"
    )
    (tmp_path / "spots.csv").write_text("name,column,row,450,550,650\nroof,3.5,4.5,0.3,0.3,0.4\n")
    found = read_library([tmp_path / "b.sli", tmp_path / "spots.csv"])
    assert [each.name for each in found] == ["one", "two", "roof"]
    np.testing.assert_allclose(found[1].spectrum.values, values[1])
    np.testing.assert_allclose(found[2].spectrum.wavelengths, [450, 550, 650])


def test_spectra_with_one_name_are_all_there(tmp_path: Path) -> None:
    (tmp_path / "spots.csv").write_text("name,column,row,450,550,650\ngrass,1,1,0.1,0.2,0.3\ngrass,9,9,0.5,0.4,0.3\n")
    (tmp_path / "text.csv").write_text("wavelength,grass,grass\n450,0.1,0.5\n550,0.2,0.4\n650,0.3,0.3\n")
    for name, names in (("spots.csv", ["grass", "grass"]), ("text.csv", ["grass", "grass (2)"])):
        found = read_library([tmp_path / name])
        assert [each.name for each in found] == names
        np.testing.assert_allclose([each.spectrum.values for each in found], [[0.1, 0.2, 0.3], [0.5, 0.4, 0.3]])


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "white.csv").write_text("name,column,row,spectrum\npanel,3.5,4.5,white\n")
    with pytest.raises(InputError, match="no spectrum over wavelengths"):
        read_library([tmp_path / "white.csv"])
    with pytest.raises(InputError, match="no such file"):
        read_library([tmp_path / "missing.sli"])


def entry(name: str, value: float = 0.5) -> LibrarySpectrum:
    return LibrarySpectrum(name, Spectrum(np.array([450.0, 550.0, 650.0]), np.array([0.1, 0.2, value])))


def test_dropped_spectra_come_after_those_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    store = LibraryStore([entry("soil")])
    first = store.on_bands(CENTRES)
    assert first is not None
    assert store.on_bands(CENTRES) is first
    assert store.on_bands(None) is None
    store.add([entry("leaf"), entry("soil"), entry("leaf", 0.3), entry("leaf")], "a.csv")
    assert [each.name for each in store.entries] == ["soil", "leaf", "leaf"]
    assert store.positions([entry("leaf", 0.3), entry("soil"), entry("leaf", 0.3)]) == [2, 0]
    second = store.on_bands(CENTRES)
    assert second is not None
    assert len(second.angles(CENTRES)) == 3
    monkeypatch.setattr(receive_spectra, "MOST_SPECTRA", 3)
    store.add([entry("water")], "b.csv")
    with pytest.raises(InputError, match=r"c\.csv: the page takes up to 3 dropped spectra"):
        store.add([entry("rock")], "c.csv")
    assert [each.name for each in store.entries] == ["soil", "leaf", "leaf", "water"]
    assert LibraryStore().on_bands(CENTRES) is None


def test_spectra_that_are_dropped_while_others_are_prepared_are_there_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library of a page is prepared in a thread, and another page may drop a file meanwhile."""
    store = LibraryStore([entry("soil")])

    def slow(entries: list[LibrarySpectrum], centres: np.ndarray) -> Library:
        store.add([entry("leaf")], "a.csv")
        return Library(entries, centres)

    with monkeypatch.context() as patched:
        patched.setattr(library_store, "Library", slow)
        store.on_bands(CENTRES)
    library = store.on_bands(CENTRES)
    assert library is not None
    assert [each.name for each in library.entries] == ["soil", "leaf"]
