"""What a page saves: spectra as CSV, the picture as PNG."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from affine import Affine

from finewave.io.ground.spectral_library import read_spectra
from finewave.scene import make_scene
from finewave.viz.map_position import map_position
from finewave.viz.server.picture_file import picture_png
from finewave.viz.server.pictures import Painter
from finewave.viz.server.spectral_plot.pins import PIN_COLOURS, Pin, clean_label, with_pin
from finewave.viz.server.spectral_plot.spectra import RegionOfInterest, spectrum
from finewave.viz.server.spectral_plot.spectra_table import PlacedSpectra, spectra_csv
from finewave.viz.server.state import usual_state
from finewave.viz.server.transfer.downloads import MOST_KEPT, Downloads
from finewave.viz.windows import Frame
from tests.viz.views import SIZE, WAVELENGTHS, opened

WHOLE = Frame(-5.0, SIZE[1] + 5.0, -3.0, SIZE[0] + 3.0, SIZE[1] + 10, SIZE[0] + 6)


def test_the_table_is_read_again(tmp_path: Path) -> None:
    view = opened(tmp_path)
    assert view.reference is not None
    position = map_position(
        make_scene(np.zeros((1, *SIZE)), crs="EPSG:32633", transform=Affine(10, 0, 5e5, 0, -10, 6e6))
    )
    places = [
        PlacedSpectra(label, region, {"result": one, "input": coarse})
        for label, region in (("soil; wet, dark", RegionOfInterest(3, 4, 5, 6)), ("B", RegionOfInterest(8, 16, 4, 12)))
        if (one := spectrum(view.result, region)) and (coarse := spectrum(view.layers["input"], region))
    ]
    text = spectra_csv("a\nb.tif", places, position, in_nm=True)
    lines = text.splitlines()
    assert lines[0] == "# spectra of a b.tif; regions are means over their pixels"
    assert lines[1].startswith("# soil; wet, dark: column 3, row 5; centre x 500035, y 5999945 (WGS 84 / UTM zone 33N")
    assert lines[2].startswith("# B: columns 8 to 15, rows 4 to 11; centre x 500120, y 5999920 ")
    (tmp_path / "a.csv").write_text(text)
    again = read_spectra(tmp_path / "a.csv")
    assert list(again) == ["soil  wet  dark result", "soil  wet  dark input", "B result", "B input"]
    for place, name in zip(places, ("soil  wet  dark", "B"), strict=True):
        found = again[f"{name} result"]
        np.testing.assert_allclose(found.wavelengths, WAVELENGTHS)
        np.testing.assert_allclose(found.values, place.spectra["result"].mean, rtol=1e-6)
        coarse_values = again[f"{name} input"].values
        assert np.isfinite(coarse_values).sum() == 3
        np.testing.assert_allclose(coarse_values[[1, 3, 5]], place.spectra["input"].mean, rtol=1e-6)


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", " =1", "= = =1"])
def test_labels_are_not_formulas(text: str) -> None:
    label = clean_label(text, 0)
    assert label
    assert label[0] not in "=+-@"


def test_pins_take_free_slots() -> None:
    pins: tuple[Pin, ...] = ()
    for number in range(len(PIN_COLOURS) + 2):
        pins = with_pin(pins, RegionOfInterest(number, number + 1, 0, 1))
    assert [pin.slot for pin in pins] == list(range(len(PIN_COLOURS)))
    assert [pin.label for pin in pins][:2] == ["A", "B"]
    assert with_pin(pins[:2], pins[0].region) == pins[:2]  # pinned already
    again = with_pin(tuple(pin for pin in pins if pin.slot != 1), RegionOfInterest(50, 51, 0, 1))
    assert again[-1].slot == 1


def test_the_picture_has_both_sides(tmp_path: Path) -> None:
    view = opened(tmp_path)
    painter = Painter(view)
    state = replace(usual_state(view), left="input", right="result", swipe=0.5)
    saved = iio.imread(io.BytesIO(picture_png(painter, state, WHOLE)), extension=".png")
    assert saved.shape == (*SIZE, 4)  # without margins, a pixel for each
    whole = Frame(0, SIZE[1], 0, SIZE[0], SIZE[1], SIZE[0])
    painted = {role: painter.paint(role, state, whole) for role in ("input", "result")}
    half = SIZE[1] // 2
    assert painted["result"] is not None
    assert painted["input"] is not None
    result = painted["result"].pixels.view(np.uint8).reshape(*SIZE, 4)
    np.testing.assert_array_equal(saved[:, half:], result[:, half:])
    coarse = painted["input"].pixels.view(np.uint8).reshape(SIZE[0] // 4, SIZE[1] // 4, 4)
    np.testing.assert_array_equal(saved[:, :half], coarse.repeat(4, 0).repeat(4, 1)[:, :half])


def test_a_magnified_part_is_saved_magnified(tmp_path: Path) -> None:
    view = opened(tmp_path)
    painter, state = Painter(view), replace(usual_state(view), left="result", right="result")
    saved = iio.imread(io.BytesIO(picture_png(painter, state, Frame(10, 20, 5, 13, 105, 84))), extension=".png")
    assert saved.shape == (80, 100, 4)
    np.testing.assert_array_equal(saved, saved[::10, ::10].repeat(10, 0).repeat(10, 1))


def test_files_are_given_once_and_few_are_kept() -> None:
    downloads = Downloads()
    keys = [downloads.add(f"{number}.csv", "text/csv", b"x") for number in range(MOST_KEPT + 2)]
    assert downloads.take(keys[0]) is None
    found = downloads.take(keys[-1])
    assert found is not None
    assert found.name == f"{MOST_KEPT + 1}.csv"
    assert downloads.take(keys[-1]) is None
