"""Reports in a headless Chromium that reaches no network."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import finewave as fw
from finewave.scene import make_scene
from finewave.viz.report.report import write_report
from tests.viz.scenes import WAVELENGTHS, truth_values

pytestmark = pytest.mark.browser

NO_NETWORK = ("--proxy-server=http://127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND")
SETTINGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1200,1000"),
    *("--virtual-time-budget=60000", "--dump-dom"),
)
WAIT = """
const said = {};
const ready = async () => {
  while (!document.documentElement.dataset.ready && document.getElementById("failed").hidden) {
    await new Promise((done) => setTimeout(done, 10));
  }
};
const settled = async () => {
  const { dataset } = document.documentElement;
  while (dataset.asked !== dataset.drawn) await new Promise((done) => setTimeout(done, 10));
};
const $ = (id) => document.getElementById(id);
const set = async (id, value, kind) => {
  $(id).value = value;
  $(id).dispatchEvent(new Event(kind, { bubbles: true }));
  await settled();
};
const at = (x, y) => {
  const box = $("stage").getBoundingClientRect();
  const [across, down] = [(x + 0.5) / 64, (y + 0.5) / 48];
  return { bubbles: true, clientX: box.left + across * box.width, clientY: box.top + down * box.height };
};
const press = (x, y) => $("stage").dispatchEvent(new PointerEvent("pointerdown", at(x, y)));
const release = (x, y) => $("stage").dispatchEvent(new PointerEvent("pointerup", at(x, y)));
const pixel = (x, y) => {
  const canvas = $("picture");
  const place = [((x + 0.5) / 64) * canvas.width, ((y + 0.5) / 48) * canvas.height].map(Math.floor);
  return [...canvas.getContext("2d").getImageData(...place, 1, 1).data];
};
const lastPlot = () => [...document.querySelectorAll(".plot")].at(-1);
const values = () => [...lastPlot().querySelectorAll("tbody tr")].map(
  (row) => [...row.children].map((cell) => cell.textContent));
"""


def in_browser(page: Path, script: str, address: str = "") -> dict[str, Any]:
    """Run a script inside a page, once it is ready, and return what it put into ``said``."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    probe = page.with_name("probe.html")
    ending = f"""<script>(async () => {{ {WAIT}
      try {{ await ready(); {script} }} catch (error) {{ said.error = String(error); }}
      const out = document.createElement("pre"); out.id = "said"; out.textContent = JSON.stringify(said);
      document.body.append(out); }})();</script>"""
    probe.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{ending}</body>"), encoding="utf-8")
    profile = page.with_name("profile")
    command = [chromium, *SETTINGS, *NO_NETWORK, f"--user-data-dir={profile}", f"{probe.as_uri()}{address}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    shutil.rmtree(profile, ignore_errors=True)
    found = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:] + done.stdout[-500:]
    said = json.loads(html.unescape(found[1]))
    assert "error" not in said, said
    return said


def test_a_report_in_use(files: dict[str, Path], tmp_path: Path) -> None:
    page = write_report(files["poor"], tmp_path / "r.html", observed=files["input"], reference=files["reference"])
    said = in_browser(
        page,
        """
        said.failed = !$("failed").hidden;
        said.beginning = document.querySelectorAll(".plot").length;
        $("clear").click();
        said.cleared = [document.querySelectorAll(".plot").length, $("no-points").hidden];

        press(40, 6); release(40, 6);
        said.clicked = [lastPlot().dataset.x, lastPlot().dataset.y];
        said.values = values();
        said.words = lastPlot().querySelector("p").textContent;
        said.lines = lastPlot().querySelectorAll("svg path").length;

        $("picture").focus();
        const key = (name, more) => {
          $("picture").dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, ...more }));
        };
        key("ArrowRight"); key("ArrowDown", { shiftKey: true }); key("Enter");
        said.keyed = [lastPlot().dataset.x, lastPlot().dataset.y];

        await set("left", "reference", "change");
        await set("right", "error", "change");
        said.bar = [$("bar").hidden, $("bar-name").textContent];
        said.half = [pixel(10, 40), pixel(55, 40)];
        press(32, 20);
        window.dispatchEvent(new PointerEvent("pointermove", at(60, 20)));
        release(60, 20);
        await settled();
        said.pulled = [Number($("swipe").value), document.querySelectorAll(".plot").length, pixel(55, 40)];

        await set("right", "result", "change");
        await set("band", 6, "input");
        said.band = [$("show").value, $("left-name").textContent, pixel(10, 10)];
        await set("show", "own", "change");
        await set("red", 6, "change"); await set("green", 0, "change"); await set("blue", 0, "change");
        said.own = [pixel(10, 10), $("left-name").textContent];
        said.address = location.hash;
        """,
    )
    assert not said["failed"]
    assert said["beginning"] == 3
    assert said["cleared"] == [0, False]

    # the spectra of the pixel that was clicked: reference and result, and the input's bands where it has them
    assert said["clicked"] == ["40", "6"]
    poor, truth = fw.open_scene(files["poor"]).values, truth_values()
    shown = {float(row[0]): row[1:] for row in said["values"]}
    assert list(shown) == list(WAVELENGTHS)
    for band, (ours, theirs, seen) in enumerate(shown.values()):
        assert float(ours) == pytest.approx(poor[band, 6, 40], abs=2e-4)
        assert float(theirs) == pytest.approx(truth[band, 6, 40], abs=2e-4)
        expected = {1: 1, 3: 3, 5: 5}.get(band)
        block = truth[expected, 4:8, 40:44].mean() if expected is not None else None
        assert seen == "" if block is None else float(seen) == pytest.approx(block, abs=2e-4)
    error = np.sqrt(((poor[:, 6, 40] - truth[:, 6, 40]) ** 2).mean())
    assert float(re.search(r"error ([\d.]+)", said["words"])[1]) == pytest.approx(error, rel=2e-3)
    assert said["lines"] == 2 + 3
    assert said["keyed"] == ["33", "34"]

    # left of the line the reference, right of it the error map; pulled, the reference there, too, and no new point
    assert said["bar"] == [False, "error map"]
    grey, shade = said["half"]
    assert max(grey[:3]) - min(grey[:3]) < 12
    assert max(shade[:3]) - min(shade[:3]) > 20
    assert 93 < said["pulled"][0] < 96
    assert said["pulled"][1] == 2
    assert max(said["pulled"][2][:3]) - min(said["pulled"][2][:3]) < 20

    # 700 nm is bright in the first quarter and 400 nm dark: alone they are grey, as red and green they are red
    assert said["band"][:2] == ["band", "◀ reference, 700 nm, 0 to 0.8"]
    assert min(said["band"][2][:3]) > 240
    assert said["own"][0][0] > 240
    assert said["own"][0][1] < 150
    assert said["own"][1] == "◀ reference, 700 / 400 / 400 nm"
    assert "show=own" in said["address"]
    assert "points=40%2C6_33%2C34" in said["address"]


def test_mean_and_spread_of_a_region(files: dict[str, Path], tmp_path: Path) -> None:
    page = write_report(files["poor"], tmp_path / "r.html", observed=files["input"], reference=files["reference"])
    said = in_browser(
        page,
        """
        $("clear").click();
        const corner = new PointerEvent("pointerdown", { ...at(12, 30), shiftKey: true });
        $("stage").dispatchEvent(corner);
        window.dispatchEvent(new PointerEvent("pointermove", at(8, 34)));
        said.drawing = $("marks").querySelectorAll("rect").length;
        release(4, 37);
        said.swipe = Number($("swipe").value);
        said.words = lastPlot().querySelector("p").textContent;
        said.title = lastPlot().querySelector("h3").textContent;
        said.values = values();
        said.spreads = lastPlot().querySelectorAll("svg .spread").length;
        said.outlines = $("marks").querySelectorAll("rect").length;
        said.address = location.hash;

        const key = (name) => $("picture").dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
        key("ArrowRight"); key("r"); key("ArrowDown"); key("ArrowDown"); key("ArrowRight"); key("Enter");
        said.keyed = lastPlot().querySelector("p").textContent;
        """,
    )
    assert said["drawing"] == 2
    assert said["swipe"] == 50
    assert said["title"] == "Region 1"
    assert said["words"].startswith("9 × 8 pixels from x 4, y 30: mean ± SD")
    poor, truth = (values[:, 30:38, 4:13] for values in (fw.open_scene(files["poor"]).values, truth_values()))
    for band, row in enumerate(said["values"]):
        for shown, values in zip(row[1:3], (poor[band], truth[band]), strict=True):
            mean, _, spread = shown.partition(" ± ")
            assert float(mean) == pytest.approx(values.mean(), abs=2e-4)
            assert float(spread or 0) == pytest.approx(values.std(), abs=2e-4)
    assert said["spreads"] >= 2
    assert said["outlines"] == 2
    assert "points=4%2C30%2C9%2C8" in said["address"]
    assert said["keyed"].startswith("2 × 3 pixels from x 33, y 24")


def test_an_address_brings_a_view_back_and_nothing_is_fetched(files: dict[str, Path], tmp_path: Path) -> None:
    page = write_report(files["good"], tmp_path / "r.html", reference=files["reference"])
    said = in_browser(
        page,
        """
        said.state = ["show", "left", "right", "band", "swipe", "zoom"].map((id) => $(id).value);
        said.points = [...document.querySelectorAll(".plot")].map((plot) => [plot.dataset.x, plot.dataset.y]);
        said.wide = $("stage").clientWidth / $("frame").clientWidth;
        const asked = performance.getEntriesByType("resource").map((each) => each.name);
        said.fetched = asked.filter((name) => !name.startsWith("data:"));
        const refused = new Promise((done) => {
          document.addEventListener("securitypolicyviolation", (event) => done(event.blockedURI));
        });
        new Image().src = "https://example.invalid/pixel.png";
        said.refused = await refused;
        said.labels = [...document.querySelectorAll("input, select")].filter((each) => !each.labels.length).length;
        said.described = $("picture").getAttribute("aria-label");
        """,
        "#show=band&left=reference&right=angle&band=2&swipe=25&zoom=2&points=1,2_63,47_64,0_x,1",
    )
    assert said["state"] == ["band", "reference", "angle", "2", "25", "2"]
    assert said["points"] == [["1", "2"], ["63", "47"]]
    assert said["wide"] == pytest.approx(2, abs=0.6)
    assert said["fetched"] == []
    assert said["refused"] == "https://example.invalid/pixel.png"
    assert said["labels"] == 0
    assert "reference, 500 nm" in said["described"]
    assert "spectral-angle map" in said["described"]


def test_a_photograph_beside_a_result(files: dict[str, Path], tmp_path: Path) -> None:
    values = truth_values()[[5, 3, 1]].reshape(3, 12, 4, 16, 4).mean((2, 4))
    fw.save_scene(
        fw.open_scene(files["input"]).load().drop_vars("wavelength").copy(data=values), tmp_path / "photo.png"
    )
    page = write_report(files["good"], tmp_path / "r.html", observed=tmp_path / "photo.png")
    said = in_browser(
        page,
        """
        said.names = [];
        for (const band of [0, 3, 6]) {
          await set("band", band, "input");
          said.names.push($("left-name").textContent);
        }
        said.lines = lastPlot().querySelectorAll("svg path").length;
        said.maps = [...$("left").options].map((each) => each.value);
        """,
    )
    assert [name.split(",")[1].strip() for name in said["names"]] == ["B", "G", "R"]
    assert said["lines"] == 1  # the photograph has no wavelengths to be drawn over
    assert said["maps"] == ["result", "input"]


def test_half_widths_are_drawn_around_points_and_saved(files: dict[str, Path], tmp_path: Path) -> None:
    result = fw.open_scene(files["poor"]).load()
    halves = result.copy(data=np.full(result.shape, 0.05, np.float32))
    fw.save_scene(halves, files["poor"].with_name(f"{files['poor'].stem}.uncertainty{files['poor'].suffix}"))
    said = in_browser(
        write_report(files["poor"], tmp_path / "r.html"),
        """
        $("clear").click();
        press(12, 30); release(12, 30);
        said.shade = lastPlot().querySelectorAll("svg .spread").length;
        said.box = lastPlot().querySelector("svg .spread").getBBox().height;
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { said.blob = blob; return make.call(URL, blob); };
        $("save").click();
        said.table = await said.blob.text();
        delete said.blob;
        """,
    )
    assert said["shade"] == 1
    assert said["box"] > 5
    lines = said["table"].splitlines()
    assert lines[0].endswith("mean,standard_deviation,half_width")
    assert all(line.endswith(",0,0.05") for line in lines[1:])


def test_bands_flagged_bad_are_left_out_of_spectra(tmp_path: Path) -> None:
    good = np.arange(len(WAVELENGTHS)) != 4
    fw.save_scene(make_scene(truth_values(), wavelengths=WAVELENGTHS, good_bands=good), tmp_path / "a.nc")
    said = in_browser(write_report(tmp_path / "a.nc", tmp_path / "r.html"), "said.values = values();")
    assert [float(row[0]) for row in said["values"]] == WAVELENGTHS[good].tolist()


def test_bands_flagged_bad_count_in_no_error_of_a_point(tmp_path: Path) -> None:
    good = np.arange(len(WAVELENGTHS)) != 4
    worse = truth_values().copy()
    worse[4] += 0.5
    fw.save_scene(make_scene(worse, wavelengths=WAVELENGTHS, good_bands=good), tmp_path / "a.nc")
    fw.save_scene(make_scene(truth_values(), wavelengths=WAVELENGTHS), tmp_path / "b.nc")
    page = write_report(tmp_path / "a.nc", tmp_path / "r.html", reference=tmp_path / "b.nc")
    said = in_browser(page, "said.words = lastPlot().querySelector('p').textContent;")
    error = float(re.search(r"error ([\d.e-]+)", said["words"])[1])
    assert error < 0.01, said["words"]
