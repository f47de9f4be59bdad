"""The pictures of docs/report.md, one by Chromium: ``python -m benchmarks.report_pictures docs/images``.

Networks need about a minute of one core. Look at each picture before it is committed. Needs the packages of ``dev`` and
Debian's Chromium.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import finewave as fw
from benchmarks.command_line import names_and_flags
from finewave.physics.rendering.srgb import srgb_to_linear
from finewave.scene import make_scene
from finewave.viz.figure.figure import make_figure
from finewave.viz.report.report import write_report

MODEL, SCALE, KERNEL = "jssunet-photo-x4", 4, "bicubic"
PART = (slice(296, 424), slice(164, 292))
"""Rows and columns of scikit-image's photograph of Eileen Collins."""
SIZE = (1200, 1560)


def main(arguments: list[str]) -> int:
    """Make both in a folder."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("python -m benchmarks.report_pictures FOLDER", file=sys.stderr)
        return 2
    target = Path(arguments[0])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder)
        names = [folder / "result.tif", folder / "bicubic.tif"]
        pair: dict[str, Any] = {"observed": folder / "input.tif", "reference": folder / "reference.tif"}
        labels = ["JSSUNet", "bicubic of the LR-HSI"]
        print(make_figure(names, target / "figure.png", **pair, labels=labels, dpi=92).caption)
        page = write_report(names[0], folder / "report.html", **pair, title="A photograph in 31 bands")
        photograph(page, target / "report.png")
    return 0


def simulate(folder: Path) -> None:
    """Write a reference made of the photograph, what the camera sees of it, and two results."""
    from skimage import data

    photo = srgb_to_linear(data.astronaut()[PART].astype(np.float32) / 255).transpose(2, 0, 1)
    scene = make_scene(photo, fw.get_sensor("srgb").centres, band_names=["R", "G", "B"])
    model = fw.load_model(MODEL)
    reference = fw.super_resolve(scene, model)
    observed = fw.degrade(reference, SCALE, "srgb", kernel=KERNEL)
    fw.save_scene(reference, folder / "reference.tif")
    fw.save_scene(observed, folder / "input.tif")
    fw.save_scene(fw.super_resolve(observed, model), folder / "result.tif")
    coarse = fw.degrade(reference, SCALE, kernel=KERNEL)
    bicubic = fw.Model(fw.create_model("bicubic", scale=SCALE, hs_bands=coarse.sizes["band"]))
    fw.save_scene(fw.super_resolve(coarse, bicubic), folder / "bicubic.tif")


def photograph(page: Path, picture: Path) -> None:
    """Save what a browser shows of a report."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise SystemExit("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, bypass_csp=True)
        shown.goto(f"{page.as_uri()}#swipe=42")
        shown.wait_for_function("document.documentElement.dataset.ready === 'true'")
        shown.screenshot(path=picture)
        browser.close()
    with Image.open(picture) as taken:
        taken.convert("RGB").quantize(256).save(picture, optimize=True)


if __name__ == "__main__":
    sys.exit(main(names_and_flags(__doc__, names="FOLDER")))
