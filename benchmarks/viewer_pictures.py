"""The pictures of docs/viewer.md, by Chromium: ``python -m benchmarks.viewer_pictures docs/images``.

Networks need about a minute of one core. Look at each picture before it is committed. Needs the packages of ``dev`` and
Debian's Chromium.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import finewave as fw
from benchmarks.command_line import names_and_flags

PLACES = "pick=200,150,201,151&pins=100,100,101,101,0,wall;262,346,292,376,1,forehead"
LIBRARY = {
    "blonde hair": (0.07, 0.11, 0.25, 0.30),
    "dark hair": (0.02, 0.03, 0.05, 0.09),
    "skin": (0.20, 0.28, 0.45, 0.60),
    "paper": (0.75, 0.80, 0.82, 0.83),
}
"""Made up: values at 400, 500, 600 and 700 nm."""
SIZES = {
    "viewer-1600": ((1600, 900), 900, f"{PLACES}&map=error"),
    "viewer-1024": ((1024, 768), 1246, f"{PLACES}&map=half-width&theme=dark"),
    "viewer-390": ((390, 844), 1560, f"{PLACES}&map=error"),
}
"""Width and height of the window, height of the picture, and what is shown."""


SQUARE = """() => {
    const { left } = finewave.models, x = left.x_range, y = left.y_range;
    const across = (x.end - x.start) / left.inner_width, down = (y.start - y.end) / left.inner_height;
    return Math.abs(across - down) < 0.01 * across;
}"""
"""Whether the picture has the size of its window: the server answers to each change of it."""


def main(arguments: list[str]) -> int:
    """Make all of them in a folder."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("python -m benchmarks.viewer_pictures FOLDER", file=sys.stderr)
        return 2
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise SystemExit("there is no Chromium: apt-get install chromium")
    target = Path(arguments[0])
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        with viewer(*simulation(folder)) as address:
            for picture, (size, height, query) in SIZES.items():
                page = opened(browser, f"{address}&{query}", size)
                page.wait_for_function("finewave.models.settings.scores !== ''")
                if picture == "viewer-1600":
                    page.locator("#library input[type=checkbox]").first.check()
                    time.sleep(3)
                save(page, target / f"{picture}.webp", height)
        with viewer(on_a_map(folder)) as address:
            page = opened(browser, f"{address}&pick=20,30,21,31&map=band", (1600, 900))
            box = page.locator("#stack").bounding_box()
            page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
            save(page, target / "viewer-map.webp")
        with viewer() as address:
            page = browser.new_page(viewport={"width": 1024, "height": 640})
            page.goto(address)
            save(page, target / "viewer-start.webp")
        browser.close()
    return 0


def simulation(folder: Path) -> list[str | Path]:
    """Write a result with half-widths, its reference, its input and a library; return the arguments of the viewer."""
    from skimage import data

    from finewave.inference.predict import predict_file
    from finewave.scene import make_scene

    photograph = data.astronaut()[:96, 160:288].astype(np.float32) / 255
    linear = np.where(photograph <= 0.04045, photograph / 12.92, ((photograph + 0.055) / 1.055) ** 2.4)
    scene = make_scene(linear.transpose(2, 0, 1), fw.get_sensor("srgb").centres)
    reference = fw.super_resolve(scene, "jssunet-photo-x4")
    fw.save_scene(reference, folder / "reference.tif")
    fw.save_scene(fw.degrade(reference, 4, "nikon-d5100"), folder / "input.tif")
    predict_file(folder / "input.tif", folder / "result.tif", "jssunet-cave-x4", uncertainty=True)
    nm = np.arange(400, 701, 10)
    columns = [np.interp(nm, (400, 500, 600, 700), values) for values in LIBRARY.values()]
    rows = [",".join(("wavelength_nm", *LIBRARY))]
    rows += [",".join(f"{value:.4f}" for value in row) for row in zip(nm, *columns, strict=True)]
    (folder / "library.csv").write_text("\n".join(rows))
    names = ("--input", folder / "input.tif", "--reference", folder / "reference.tif")
    return [folder / "result.tif", *names, "--library", folder / "library.csv"]


def on_a_map(folder: Path) -> Path:
    """Return a scene of EnMAP with a place."""
    from finewave.locations import data_folder

    scenes = sorted((data_folder() / "enmap").rglob("*potsdam*.tif"))
    if not scenes:
        raise SystemExit("set FINEWAVE_DATA to the folder with enmap/, whose tiles of Potsdam are drawn")
    return scenes[0]


@contextmanager
def viewer(*arguments: str | Path) -> Iterator[str]:
    """Run ``finewave view`` and yield its address."""
    command = [sys.executable, "-m", "finewave", "view", *map(str, arguments), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[0]
        finally:
            process.send_signal(signal.SIGINT)


def opened(browser: Any, address: str, size: tuple[int, int]) -> Any:
    """Return a page with its picture and its map."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, bypass_csp=True)
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_function("document.documentElement.dataset.ready === 'yes' && finewave.frames.length > 0")
    page.wait_for_function("finewave.models.settings.map_note !== 'computing …' && !finewave.models.settings.loading")
    page.wait_for_function(SQUARE)
    time.sleep(5)  # the spectra and the tiles of this size
    return page


def save(page: Any, path: Path, height: int | None = None) -> None:
    """Save a page as it is seen, or so many pixels of it from above, put together from what is seen when it scrolls."""
    import io

    from PIL import Image

    window = page.viewport_size
    time.sleep(1)
    picture = Image.new("RGB", (window["width"], height or window["height"]))
    top = 0
    while True:
        with Image.open(io.BytesIO(page.screenshot())) as part:
            picture.paste(part.convert("RGB"), (0, top))
        if top + window["height"] >= picture.height:
            break
        page.mouse.move(2, 2)
        page.evaluate(f"window.scrollTo(0, {min(top + window['height'], picture.height - window['height'])})")
        top = int(page.evaluate("Math.round(window.scrollY)"))
        time.sleep(1)
    picture.save(path, quality=80, method=6)
    page.close()
    print(path)


if __name__ == "__main__":
    sys.exit(main(names_and_flags(__doc__, names="FOLDER")))
