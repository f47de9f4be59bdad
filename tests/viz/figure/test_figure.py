from __future__ import annotations

import re
import zlib
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import finewave as fw
from finewave.scene import make_scene
from finewave.viz.error_maps import angle_map, rmse_map
from finewave.viz.figure import figure as figure_module
from finewave.viz.figure.drawing import Drawing, with_gaps
from finewave.viz.figure.figure import make_figure
from tests.cli.command_line import assert_refused, run
from tests.viz.scenes import WAVELENGTHS, truth_values


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Drawing]:
    """What was handed to the drawing, which does not take place: it takes longer than all the rest."""
    seen: list[Drawing] = []

    def note(drawing: Drawing, path: Path, dpi: int) -> None:
        seen.append(drawing)
        path.write_bytes(b"drawn")

    monkeypatch.setattr(figure_module, "draw", note)
    return seen


def test_a_pdf_has_its_fonts_and_its_words_as_text(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "figure.pdf"
    said = ("--input", files["input"], "--reference", files["reference"], "--labels", "ours, theirs", "-o", path)
    made = run("figure", files["good"], files["poor"], *said)
    assert made.exit_code == 0, made.output
    assert "convention finewave" in made.stdout
    assert made.stdout.endswith(f"written: {path}\n")
    data = path.read_bytes()
    assert data.startswith(b"%PDF-")
    assert b"/FontFile2" in data
    assert b"/Type3" not in data  # outlines that no program can search
    assert b"/ToUnicode" in data
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL)
    drawings = [zlib.decompress(each) for each in streams if each[:1] == b"\x78"]
    assert max(len(re.findall(rb"\bBT\b", each)) for each in drawings) > 30  # texts, not outlines
    first = path.read_bytes()
    assert run("figure", files["good"], files["poor"], *said).exit_code == 0
    assert path.read_bytes() == first


def test_a_png_has_the_dpi_that_was_asked_for(files: dict[str, Path], tmp_path: Path) -> None:
    sizes = []
    for dpi in (40, 80):
        path = tmp_path / f"{dpi}.png"
        assert run("figure", files["good"], "-o", path, "--dpi", str(dpi)).exit_code == 0
        image = iio.imread(path)
        assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 50
        sizes.append(np.array(image.shape[:2]))
    assert np.abs(sizes[1] - 2 * sizes[0]).max() <= 2


def test_what_is_drawn(files: dict[str, Path], tmp_path: Path, drawn: list[Drawing]) -> None:
    made = make_figure(
        [files["good"], files["poor"]],
        tmp_path / "f.png",
        observed=files["input"],
        reference=files["reference"],
        region=(40, 4, 20, 10),
        points=[(63, 47), (3, 2)],
    )
    (drawing,) = drawn
    assert [column.label for column in drawing.columns] == ["reference", "input", "good", "poor"]
    assert drawing.region == (4, 40, 10, 20)
    assert drawing.points == ((47, 63), (2, 3))
    truth = truth_values()
    reference, observed, good, poor = drawing.columns
    np.testing.assert_array_equal(reference.spectra, truth[:, [47, 2], [63, 3]].T)
    np.testing.assert_allclose(good.spectra, truth[:, [47, 2], [63, 3]].T + 0.01, rtol=1e-6)
    np.testing.assert_allclose(observed.spectra, truth[[5, 3, 1]][:, [47, 2], [63, 3]].T, rtol=1e-6)
    np.testing.assert_array_equal(observed.wavelengths, WAVELENGTHS[[5, 3, 1]])
    np.testing.assert_allclose(good.error, 0.01, rtol=1e-4)
    assert good.scores.startswith("40.00 dB, ")
    scores = fw.metrics.evaluate(fw.open_scene(files["poor"]), fw.open_scene(files["reference"]))
    assert poor.scores == f"{scores['psnr']:.2f} dB, {scores['sam']:.2f}°"
    assert "(63, 47), (3, 2)" in made.caption
    # one white for all: the same value has the same colour in every image
    np.testing.assert_allclose(observed.colours[11, 15], reference.colours[47, 63])


def test_half_widths_beside_a_result_are_drawn(files: dict[str, Path], tmp_path: Path, drawn: list[Drawing]) -> None:
    good = fw.open_scene(files["good"])
    half = np.random.default_rng(5).uniform(0.01, 0.1, good.shape).astype(np.float32)
    fw.save_scene(good.copy(data=half), tmp_path / "good.uncertainty.tif")
    made = make_figure([files["good"], files["poor"]], tmp_path / "f.pdf", points=[(10, 20), (40, 8)])
    first, second = drawn[0].columns
    assert first.half_widths is not None
    np.testing.assert_array_equal(first.half_widths, [half[:, 20, 10], half[:, 8, 40]])
    assert second.half_widths is None
    assert made.caption.endswith("Shaded: half-widths of the results' errors, as predicted.")
    fw.save_scene(good[:, :8], tmp_path / "poor.uncertainty.tif")
    with pytest.warns(fw.FinewaveWarning, match="belong to another result"):
        make_figure([files["poor"]], tmp_path / "f.pdf", points=[])


def test_without_reference_there_are_no_errors(files: dict[str, Path], tmp_path: Path, drawn: list[Drawing]) -> None:
    made = make_figure([files["poor"]], tmp_path / "f.pdf", points=[])
    assert [column.error for column in drawn[0].columns] == [None]
    assert drawn[0].points == ()
    assert "PSNR" not in made.caption


def test_bands_are_chosen_by_wavelength(files: dict[str, Path], tmp_path: Path, drawn: list[Drawing]) -> None:
    assert run("figure", files["good"], "--rgb", "700", "500", "400", "-o", tmp_path / "f.png").exit_code == 0
    values = fw.open_scene(files["good"]).values
    limit = np.quantile(values[[6, 2, 0]], 0.995)
    red = values[6, 2, 3] / limit
    expected = 12.92 * red if red <= 0.0031308 else 1.055 * min(red, 1) ** (1 / 2.4) - 0.055
    assert drawn[0].columns[0].colours[2, 3, 0] == pytest.approx(255 * expected, abs=1)


def test_the_colours_are_those_of_the_library(files: dict[str, Path], tmp_path: Path, drawn: list[Drawing]) -> None:
    made = make_figure([files["good"]], tmp_path / "f.png", observed=files["input"], points=[])
    result, observed = drawn[0].columns[1].colours, drawn[0].columns[0].colours
    expected = fw.to_rgb(fw.open_scene(files["good"])).values.transpose(1, 2, 0)
    assert np.abs(result / 255 - expected).max() < 1 / 255
    assert "True colour (CIE 1931, D65, 400–700 nm); input: Natural colour (640, 550, 460 nm)" in made.caption
    assert (
        np.abs(observed / 255 - fw.to_rgb(fw.open_scene(files["input"]), limits="unit").values.transpose(1, 2, 0)).max()
        < 1 / 255
    )


def test_points_in_the_ways_they_are_written(files: dict[str, Path], tmp_path: Path, drawn: list[Drawing]) -> None:
    output = tmp_path / "f.png"
    for said in (["1,2", "3,4", "-o", output], ["1,2 3,4", "-o", output], ["1,2", "--points", "3,4", "-o", output]):
        assert run("figure", files["good"], "--points", *said).exit_code == 0
        assert drawn[-1].points == ((2, 1), (4, 3))
    assert run("figure", files["good"], "--points=1,2", "3,4", "-o", output).exit_code == 0
    assert drawn[-1].points == ((2, 1), (4, 3))
    assert run("figure", files["good"], "--points", "none", "-o", output).exit_code == 0
    assert drawn[-1].points == ()


def test_maps_agree_with_the_metrics() -> None:
    random = np.random.default_rng(3)
    pred, target = random.random((2, 5, 20, 30))
    scores = fw.metrics.evaluate(pred, target)
    assert np.sqrt((rmse_map(pred, target) ** 2).mean()) == pytest.approx(scores["rmse"])
    assert angle_map(pred, target).mean() == pytest.approx(scores["sam"])
    pred[:, 0, 0], target[2, 1, 1] = 0, np.nan
    assert np.isnan(angle_map(pred, target)[[0, 1], [0, 1]]).all()
    assert np.isnan(rmse_map(pred, target)[1, 1])
    assert np.isfinite(angle_map(pred, target)).sum() == 598


def test_lines_end_where_bands_were_left_out() -> None:
    x, values = with_gaps(np.array([430.0, 400, 410, 420, 900, 910]), np.array([3.0, 0, 1, 2, 4, 5]))
    np.testing.assert_array_equal(x, [400, 410, 420, 430, np.nan, 900, 910])
    np.testing.assert_array_equal(values, [0, 1, 2, 3, np.nan, 4, 5])
    assert with_gaps(np.array([1.0]), np.array([2.0]))[0].tolist() == [1]


def test_what_does_not_fit_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "f.png"

    def refuse(*arguments: str | Path, words: tuple[str, ...]) -> None:
        assert_refused(run("figure", *arguments), *words)
        assert not output.exists()

    end = ("-o", output)
    refuse(files["good"], tmp_path / "god.tif", *end, words=("no such file", "did you mean good.tif"))
    refuse(files["good"], "-o", tmp_path / "f.svg", words=("'.svg'", ".pdf, .png"))
    refuse(files["good"], "-o", tmp_path / "no" / "f.png", words=("does not exist",))
    refuse(files["good"], files["input"], *end, words=("16 x 12 pixels", "64 x 48 pixels"))
    refuse(files["good"], "--reference", files["input"], *end, words=("16 x 12 pixels", "64 x 48 pixels"))
    refuse(files["input"], "--input", files["good"], *end, words=("64 x 48 pixels", "16 x 12 pixels", "multiple"))
    refuse(files["good"], "--region", "50,0,20,20", *end, words=("x=50, y=0, 20 x 20", "64 x 48"))
    refuse(files["good"], "--region", "0,0,0,4", *end, words=("0 x 4",))
    refuse(files["good"], "--region", "0,0,4", *end, words=("x,y,width,height",))
    refuse(files["good"], "--points", "64,0", *end, words=("x=64, y=0", "64 x 48"))
    refuse(files["good"], "--points", "-1,0", *end, words=("x=-1, y=0",))
    refuse(files["good"], "--points", "1.5,0", *end, words=("x,y in pixels",))
    refuse(files["good"], "--labels", "a,b", *end, words=("2 labels (a, b) for 1 results",))
    refuse(files["good"], "--rgb", "1600", "550", "450", *end, words=("400 to 700 nm", "1600, 550, 450 nm"))
    refuse(files["good"], "--convention", "finwave", *end, words=("did you mean 'finewave'",))

    few = tmp_path / "few.tif"
    fw.save_scene(make_scene(truth_values()[:4], wavelengths=WAVELENGTHS[:4]), few)
    words = ("few.tif has 4 bands (400 to 550 nm)", "good.tif has 7 bands (400 to 700 nm)")
    refuse(files["good"], "--reference", few, *end, words=words)
    fw.save_scene(make_scene(truth_values(), wavelengths=WAVELENGTHS + 20), few)
    refuse(files["good"], "--reference", few, *end, words=("420 to 720 nm", "20 nm apart"))


def test_bands_that_are_flagged_bad_leave_a_gap_in_every_spectrum(
    files: dict[str, Path], tmp_path: Path, drawn: list[Drawing]
) -> None:
    scene = fw.open_scene(files["good"]).load()
    flags = np.ones(scene.sizes["band"], bool)
    flags[2] = False
    marked = tmp_path / "marked.tif"
    fw.save_scene(scene.assign_coords(good_band=("band", flags)), marked)
    assert run("figure", marked, "--reference", files["reference"], "-o", tmp_path / "f.png").exit_code == 0
    for column in drawn[0].columns:
        assert np.isnan(column.spectra[:, 2]).all()
        assert np.isfinite(column.spectra[:, flags]).all()


HOSTILE = "$\\frac{$ <script>alert(1)</script>\n\u202e\x00 $x"


def test_labels_are_text_and_no_formulae(files: dict[str, Path], tmp_path: Path) -> None:
    """Of a figure, where a label that is a broken formula would end the drawing, and of a sensor's curves."""
    from finewave.physics.sensors.sensor import Sensor
    from finewave.viz.figure.sensor_curves import draw_sensor

    make_figure([files["good"]], tmp_path / "figure.png", labels=[HOSTILE], title=HOSTILE, points=[], dpi=30)
    assert (tmp_path / "figure.png").stat().st_size > 1000
    sensor = Sensor(HOSTILE, (HOSTILE, "b"), np.array([400.0, 500.0, 600.0]), np.eye(2, 3), HOSTILE)
    draw_sensor(sensor, tmp_path / "curves.png", dpi=30)
    assert (tmp_path / "curves.png").stat().st_size > 1000
