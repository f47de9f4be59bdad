"""A real Chromium and a running ``finewave view``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.viz.views import write_view

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


TOKENS: dict[str, str] = {}
"""What the printed addresses carried, by host and port."""


def with_token(url: str) -> str:
    """Return an address of a running server as its user opens it."""
    return f"{url}{'&' if '?' in url else '?'}token={TOKENS[urlsplit(url).netloc]}"


@contextmanager
def running(*arguments: str | Path) -> Iterator[str]:
    """Run ``finewave view`` on a free port, yield its address, and end it as Ctrl-C does."""
    command = [sys.executable, "-m", "finewave", "view", *map(str, arguments), "--port", "0", "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            assert line.startswith("http://127.0.0.1:"), process.communicate()
            address, _, token = line.split()[0].partition("?token=")
            TOKENS[urlsplit(address).netloc] = token
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            try:
                _, errors = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()  # else the tests would wait for it for ever
                _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert "Traceback" not in errors


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The images of `write_view`."""
    return write_view(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="session")
def quick_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model that needs no compiling: from a photograph to 5 bands, scale 2."""
    from finewave.systems.registry import create_model
    from finewave.zoo.model import Model

    net = create_model("ssfin", scale=2, hs_bands=5, features=12, blocks=2, reduction=3)
    folder = tmp_path_factory.mktemp("weights") / "quick"
    return Model(net).save(folder, wavelengths_nm=[450.0, 500.0, 550.0, 600.0, 650.0], sensor="srgb")


@pytest.fixture(scope="session")
def address(chromium: Any, files: dict[str, Path], quick_weights: Path) -> Iterator[str]:
    """Of a server that shows them, and offers a small model for uploads."""
    shown = files["result"], "--input", files["input"], "--reference", files["reference"]
    with running(*shown, "--model", quick_weights) as found:
        yield found


def is_fault(line: Any) -> bool:
    """Tell errors from what the browser notes about an upload that was refused."""
    return line.type == "error" and "status of 400" not in line.text


Open = Callable[..., Any]


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    """Open pages that are ready; at the end check that they asked this machine for everything and had no error."""
    contexts, outside, errors = [], [], []

    def open_one(url: str, size: tuple[int, int] = (1280, 800), scheme: str = "light") -> Any:
        # Playwright waits by eval, which the page's policy forbids; test_hostile.py looks at pages under the policy
        view = {"width": size[0], "height": size[1]}
        context = chromium.new_context(viewport=view, color_scheme=scheme, bypass_csp=True)
        contexts.append(context)
        page = context.new_page()
        own = url.split("/", 3)[2]

        def asked(request: Any) -> None:
            if not request.url.startswith((f"http://{own}/", "data:", "blob:")):
                outside.append(request.url)

        page.on("request", asked)
        page.on(
            "websocket", lambda socket: None if socket.url.startswith(f"ws://{own}/") else outside.append(socket.url)
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if is_fault(line) else None)
        page.set_default_timeout(60_000)
        page.goto(with_token(url))
        page.wait_for_function("document.documentElement.dataset.ready === 'yes' && finewave.frames.length > 0")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert outside == []
    assert errors == []


def until(page: Any, expression: str, seconds: float = 120.0) -> Any:
    """Wait for an expression without eval in the page."""
    end = time.monotonic() + seconds
    while not (found := page.evaluate(expression)):
        assert time.monotonic() < end, expression
        time.sleep(0.05)
    return found


Page = Callable[[], Any]


@pytest.fixture
def strict_page(chromium: Any) -> Iterator[Page]:
    """Pages whose policy holds; at the end none of their scripts has run, and the policy had nothing to stop."""
    contexts: list[Any] = []
    said: list[str] = []

    def open_one() -> Any:
        context = chromium.new_context()
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert said == []


def idle(page: Any) -> None:
    """Wait until the page's picture is that of its frame and its address says so."""
    page.wait_for_function(
        """() => {
            const {left, front, settings} = finewave.models, frame = front.data.frame[0];
            const near = (a, b) => Math.abs(a - b) < 1e-6 * Math.abs(left.x_range.end - left.x_range.start);
            return frame && near(frame[0], left.x_range.start) && near(frame[1], left.x_range.end)
                && location.search.endsWith(settings.query);
        }"""
    )


def spectrum(page: Any, role: str) -> dict[str, list[float]]:
    """Return what is plotted of an image's spectrum."""
    return page.evaluate(
        """(role) => {
            const data = finewave.models.left.document.get_model_by_name(`spectrum-${role}`).data;
            return Object.fromEntries(Object.entries(data).map(([name, values]) => [name, Array.from(values)]));
        }""",
        role,
    )


def ranges(page: Any, plot: str) -> tuple[float, float, float, float]:
    """Return the edges of what a plot shows: x0, x1, y0, y1."""
    return tuple(
        page.evaluate(
            "(name) => (({x_range: x, y_range: y}) => [x.start, x.end, y.end, y.start])(finewave.models[name])",
            plot,
        )
    )


def on_screen(page: Any, x: float, y: float) -> tuple[float, float]:
    """Return where a point on the result's grid lies on the screen."""
    box = page.locator("#stack").bounding_box()
    x0, x1, y0, y1 = ranges(page, "left")
    return box["x"] + (x - x0) / (x1 - x0) * box["width"], box["y"] + (y - y0) / (y1 - y0) * box["height"]
