from __future__ import annotations

import base64
import json
import re
import zlib
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

import finewave as fw
from finewave.scene import make_scene
from finewave.viz.report import block_means
from finewave.viz.report import scene_data as report_scene
from finewave.viz.report.block_means import BlockMeans, strips
from finewave.viz.report.encoding import encode_pictures, encode_spectra
from finewave.viz.report.report import LARGEST, write_report
from finewave.viz.report.scene_data import choose_composites
from tests.cli.command_line import assert_refused, run
from tests.viz.scenes import WAVELENGTHS, truth_values


def decode_spectra(encoded: dict[str, Any]) -> np.ndarray:
    """Decode what `encode_spectra` made, as the page's script does: float64 (C, h, w)."""
    low, high = float(encoded["low"]), float(encoded["high"])
    split = np.frombuffer(zlib.decompress(base64.b64decode(str(encoded["data"]))), np.uint8).reshape(2, -1)
    change = (split[0].astype(np.uint16) | (split[1].astype(np.uint16) << 8)).reshape(encoded["shape"])
    steps = np.cumsum(change, axis=0, dtype=np.uint16)
    return np.where(steps == 65535, np.nan, low + steps / 65534 * (high - low))


class Parsed(HTMLParser):
    """Tags with their attributes, and the texts of scripts and styles by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inside = ""
        self.code: list[tuple[str, str]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in ("script", "style"):
            self.code.append((self.inside, data))
        else:
            self.words += data


def parsed(path: Path) -> Parsed:
    return Parsed(path.read_text(encoding="utf-8"))


def data_of(page: Parsed) -> dict[str, Any]:
    """Return what a page embeds."""
    return json.loads(next(text for kind, text in page.code if kind == "script"))


def assert_complete(page: Parsed) -> None:
    """Check that a page asks for nothing outside itself, and that a browser would not let it."""
    policies = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"]
    for tag, attributes in page.tags:
        assert tag not in ("base", "iframe", "object", "embed", "audio", "video", "source"), tag
        for name in ("src", "href", "srcset", "action", "poster", "xlink:href"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#")), (tag, attributes[name][:80])
    for kind, text in page.code:
        if kind == "style" or not text.startswith("{"):
            assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(|sendBeacon", text)
            assert set(re.findall(r"https?://[^\"'\s]+", text)) <= {"http://www.w3.org/2000/svg"}  # a name, no address


def assert_accessible(page: Parsed) -> None:
    """Check language, title, headings in order, labels, alternative texts, and that identifiers are of one each."""
    tags = [tag for tag, _ in page.tags]
    assert dict(page.tags)["html"]["lang"] == "en"
    assert tags.count("title") == tags.count("h1") == tags.count("main") == 1
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert [name for name, times in Counter(a["id"] for _, a in page.tags if "id" in a).items() if times > 1] == []
    labelled = {a["for"] for tag, a in page.tags if tag == "label"}
    for tag, attributes in page.tags:
        if tag in ("input", "select"):
            assert attributes["id"] in labelled
        if tag == "img":
            assert attributes["alt"]
        if tag == "th":
            assert attributes["scope"] in ("row", "col")


def test_a_page_is_complete_and_accessible(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    made = run("report", files["poor"], "--input", files["input"], "--reference", files["reference"], "-o", path)
    assert made.exit_code == 0, made.output
    assert made.stdout == f"written: {path} (0.1 MB)\n"
    page = parsed(path)
    assert_complete(page)
    assert_accessible(page)
    data = data_of(page)
    assert [layer["role"] for layer in data["layers"]] == ["result", "reference", "input"]
    assert [each["key"] for each in data["composites"]] == ["true", "natural"]
    assert [each["key"] for each in data["maps"]] == ["error", "angle"]
    for layer in data["layers"]:
        addresses = [*layer["bands"], *layer["pictures"].values()]
        assert len(addresses) == len(layer["wavelengths"]) + 2
        assert all(address.startswith("data:image/webp;base64,") for address in addresses)


def test_the_spectra_are_those_of_the_scenes(files: dict[str, Path], tmp_path: Path) -> None:
    path = write_report(files["poor"], tmp_path / "r.html", observed=files["input"], reference=files["reference"])
    for layer in data_of(parsed(path))["layers"]:
        scene = fw.open_scene(files["poor" if layer["role"] == "result" else layer["role"]]).values
        spectra = layer["spectra"]
        step = (spectra["high"] - spectra["low"]) / 65534
        assert layer["step"] == 1
        np.testing.assert_allclose(decode_spectra(spectra), scene, atol=0.51 * step)
        assert f"{scene.min():.4g} to {scene.max():.4g}" in path.read_text(encoding="utf-8")


def test_the_metrics_say_their_convention(files: dict[str, Path], tmp_path: Path) -> None:
    said = {"observed": files["input"], "reference": files["reference"]}
    ours, truth = (fw.open_scene(files[name]).load() for name in ("poor", "reference"))
    for convention in ("finewave", "sspsr"):
        words = parsed(write_report(files["poor"], tmp_path / "r.html", convention=convention, **said)).words
        scores = fw.metrics.evaluate(ours, truth, 4, convention=convention)
        assert f"PSNR{scores['psnr']:.2f}dB" in words
        assert f"SAM{scores['sam']:.2f}°" in words
        assert f"ERGAS{scores['ergas']:.2f}0" in words
        assert f"ERGAS with ratio 4; RMSE in the scene's unit. Convention {convention}: " in words
    words = parsed(write_report(files["poor"], tmp_path / "r.html", reference=files["reference"])).words
    assert "ERGAS only with ratio 4: the scale is not known" in words
    assert "Metrics" not in parsed(write_report(files["poor"], tmp_path / "r.html")).words


def test_a_large_scene_is_reduced_as_the_page_says(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PICTURE_SIDE": 32, "BAND_SIDE": 22, "SPECTRA": 7 * 2 * 48, "METRIC_SAMPLES": 1000}.items():
        monkeypatch.setattr(report_scene, name, value)
    monkeypatch.setattr(block_means, "STRIP_SAMPLES", 7 * 64 * 7)  # strips of six rows
    path = write_report(files["poor"], tmp_path / "r.html", reference=files["reference"])
    page = parsed(path)
    result = data_of(page)["layers"][0]
    # 3 x 3 pixels for bands, 9 x 9 for spectra: the least multiple with no more than 672 values
    assert result["step"] == 9
    values = fw.open_scene(files["poor"]).values
    padded = np.full((7, 54, 72), np.nan)
    padded[:, :48, :64] = values
    means = np.nanmean(padded.reshape(7, 6, 9, 8, 9), (2, 4))
    np.testing.assert_allclose(decode_spectra(result["spectra"]), means, atol=1e-4)
    assert "Composites and maps: means over 2 × 2 pixels. Single bands: means over 3 × 3 pixels." in page.words
    assert "Spectra: means over 9 × 9 pixels" in page.words
    assert "mean spectrum of the block of 9 × 9 pixels of the result" in page.words
    assert "Left out: the scene has more than" in page.words


def test_the_largest_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # nothing compresses worse than noise; the budgets are a fortieth, so that the test is quick
    for name in ("COMPOSITE_BYTES", "BAND_BYTES", "MAP_BYTES", "SPECTRA", "INPUT_SPECTRA"):
        monkeypatch.setattr(report_scene, name, getattr(report_scene, name) // 40)
    random = np.random.default_rng(4)
    for name, side in {"result": 160, "reference": 160, "input": 80}.items():
        values = random.random((16, side, side), np.float32)
        fw.save_scene(make_scene(values, wavelengths=np.linspace(400, 1000, 16)), tmp_path / f"{name}.tif")
    said = {"observed": tmp_path / "input.tif", "reference": tmp_path / "reference.tif"}
    path = write_report(tmp_path / "result.tif", tmp_path / "r.html", **said)
    data = data_of(parsed(path))
    assert sum(len(band) for layer in data["layers"] for band in layer["bands"]) <= report_scene.BAND_BYTES
    pictures = [picture for layer in data["layers"] for picture in layer["pictures"].values()]
    assert sum(map(len, pictures)) <= report_scene.COMPOSITE_BYTES
    assert sum(len(each["picture"]) for each in data["maps"]) <= report_scene.MAP_BYTES
    assert path.stat().st_size < LARGEST / 40 + 60_000  # script, style, words


def test_the_budgets_add_up_to_the_largest_page() -> None:
    pictures = report_scene.COMPOSITE_BYTES + report_scene.BAND_BYTES + report_scene.MAP_BYTES
    # two bytes per value; what cannot be compressed grows by less than a thousandth; base64 takes four for three
    spectra = 2 * (report_scene.SPECTRA + report_scene.INPUT_SPECTRA) * 1.001 * 4 / 3
    assert pictures + spectra + 200_000 < LARGEST


def test_pictures_fit_into_their_bytes() -> None:
    noise = np.random.default_rng(5).integers(0, 256, (3, 64, 64, 3), np.uint8)
    for most in (30_000, 6_000, 1_000):
        texts = encode_pictures(list(noise), most)
        assert len(texts) == 3
        assert sum(map(len, texts)) <= most
    assert encode_pictures([], 10) == []


def test_pixels_without_data_stay_without(tmp_path: Path) -> None:
    values = truth_values()
    values[2, :3, :5] = np.nan
    fw.save_scene(make_scene(values, wavelengths=WAVELENGTHS), tmp_path / "holes.tif")
    page = parsed(write_report(tmp_path / "holes.tif", tmp_path / "r.html"))
    decoded = decode_spectra(data_of(page)["layers"][0]["spectra"])
    np.testing.assert_array_equal(np.isnan(decoded), np.isnan(values))
    assert re.search(r"to 0.8\s*15", page.words)  # so many missing pixels
    empty = encode_spectra(np.full((2, 3, 3), np.nan))
    assert np.isnan(decode_spectra(empty)).all()


def test_blocks_are_means_of_what_there_is() -> None:
    values = np.random.default_rng(6).random((2, 7, 10)).astype(np.float32)
    values[0, 0, :4] = np.nan
    scene = make_scene(values)
    means = BlockMeans(2, 7, 10, 2)
    for top, bottom in strips(scene, 2):
        means.add(top, values[:, top:bottom])
    padded = np.full((2, 8, 12), np.nan)
    padded[:, :7, :10] = values
    np.testing.assert_allclose(
        means.values[:, :, :5], np.nanmean(padded[:, :, :10].reshape(2, 4, 2, 5, 2), (2, 4)), rtol=1e-6
    )
    np.testing.assert_allclose(means.coarser(2).values, np.nanmean(padded.reshape(2, 2, 4, 3, 4), (2, 4)), rtol=1e-6)


def test_composites_that_are_offered() -> None:
    def labels(bands: int, wavelengths: Any = None, rgb: Any = None) -> list[str]:
        scene = make_scene(np.zeros((bands, 2, 2), np.float32), wavelengths=wavelengths)
        return [each.label for each in choose_composites(scene, rgb)]

    assert labels(3) == ["Three bands (bands 1, 2, 3; wavelengths unknown)"]
    four = labels(4, [490, 560, 665, 842], rgb=(842, 560, 490))
    assert four[:3] == [
        "Three bands (842, 560, 490 nm)",
        "Natural colour (640, 550, 460 nm)",
        "Colour infrared (860, 650, 550 nm)",
    ]
    assert labels(31, np.linspace(400, 700, 31))[0] == "True colour (CIE 1931, D65, 400–700 nm)"


def test_a_photograph_says_that_it_is_shown_in_its_own_way(files: dict[str, Path], tmp_path: Path) -> None:
    pixels = np.random.default_rng(8).integers(0, 256, (3, 4, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    iio.imwrite(tmp_path / "photo.png", pixels)
    path = write_report(files["good"], tmp_path / "r.html", observed=tmp_path / "photo.png")
    shown = data_of(parsed(path))["layers"][1]
    assert shown["wavelengths"] is None
    assert set(shown["shown"].values()) == {"True colour (sRGB photograph)"}
    picture = iio.imread(base64.b64decode(shown["pictures"]["true"].partition(",")[2]))
    assert np.abs(picture.astype(int) - pixels).mean() < 12  # WebP, which halves the resolution of colours


def test_names_cannot_break_the_page(files: dict[str, Path], tmp_path: Path) -> None:
    odd = tmp_path / "a<b>&'\".tif"
    files["good"].rename(odd)
    names = np.array([f"</script><b>{i}" for i in range(7)])
    scene = fw.open_scene(odd).load().assign_coords(band_name=("band", names))
    fw.save_scene(scene, odd)
    page = parsed(write_report(odd, tmp_path / "r.html", title="<script>alert(1)</script>"))
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 2
    assert "<script>alert(1)</script>" in page.words
    assert data_of(page)["layers"][0]["names"] == list(names)


def test_what_does_not_fit_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "r.html"

    def refuse(*arguments: str | Path, words: tuple[str, ...]) -> None:
        assert_refused(run("report", *arguments), *words)
        assert not output.exists()

    end = ("-o", output)
    refuse(tmp_path / "god.tif", *end, words=("no such file", "did you mean good.tif"))
    refuse(files["good"], "-o", tmp_path / "r.htlm", words=("'.htlm'", ".htm, .html"))
    refuse(files["good"], "-o", tmp_path / "no" / "r.html", words=("does not exist",))
    refuse(files["good"], "--reference", files["input"], *end, words=("16 x 12 pixels", "64 x 48 pixels"))
    refuse(files["input"], "--input", files["good"], *end, words=("64 x 48 pixels", "16 x 12 pixels"))
    refuse(files["good"], "--rgb", "1600", "550", "450", *end, words=("400 to 700 nm", "1600, 550, 450 nm"))
    refuse(files["good"], "--convention", "finwave", *end, words=("did you mean 'finewave'",))
    data = files["poor"].read_bytes()
    files["poor"].write_bytes(data[: len(data) // 2])
    refuse(files["poor"], *end, words=("poor.tif",))
    (tmp_path / "folder").mkdir()
    refuse(tmp_path / "folder", *end, words=("neither", "cells", "folder"))


def test_half_widths_beside_the_result_are_embedded(files: dict[str, Path], tmp_path: Path) -> None:
    result = fw.open_scene(files["poor"]).load()
    plain = data_of(parsed(write_report(files["poor"], tmp_path / "plain.html")))
    assert "half_widths" not in plain
    halves = result.copy(data=np.linspace(0.01, 0.2, result.size, dtype=np.float32).reshape(result.shape))
    fw.save_scene(halves, files["poor"].with_name(f"{files['poor'].stem}.uncertainty{files['poor'].suffix}"))
    page = parsed(write_report(files["poor"], tmp_path / "with.html"))
    decoded = decode_spectra(data_of(page)["half_widths"])
    np.testing.assert_allclose(decoded, halves.values, atol=0.2 / 65534)
    assert "half-widths around points" in page.words
    assert "drawn around the result at points" in page.words
