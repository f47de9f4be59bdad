"""Two hundred visits and thirty pages at once: what they took is given back."""

from __future__ import annotations

import asyncio
import html
import json
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.viz.views import write_view

VISITS, AT_ONCE, MOST_BYTES = 200, 30, 50e6


async def visit(address: str) -> WebSocketClientConnection:
    """Open a page as a browser does: its document, then its socket."""
    answer = await AsyncHTTPClient().fetch(address, request_timeout=600)
    page = answer.body.decode()
    render = json.loads(html.unescape(re.search(r"data-render='([^']*)'", page)[1]))  # type: ignore[index]
    base = urlsplit(address)
    request = HTTPRequest(
        f"ws://{base.netloc}/ws?{base.query}",
        headers={"Origin": f"http://{base.netloc}"},
        connect_timeout=600,
        request_timeout=600,
    )
    socket = await websocket_connect(request, subprotocols=["bokeh", render[0]["token"]])
    assert await socket.read_message() is not None  # the server's ACK
    return socket


def taken(pid: int) -> tuple[int, int, int]:
    """Return resident bytes, descriptors and threads of a process."""
    lines = Path(f"/proc/{pid}/status").read_text()
    resident, threads = (int(re.search(rf"{name}:\s+(\d+)", lines)[1]) for name in ("VmRSS", "Threads"))  # type: ignore[index]
    return 1024 * resident, len(list(Path(f"/proc/{pid}/fd").iterdir())), threads


async def come_and_go(address: str, pid: int) -> None:
    AsyncHTTPClient.configure(None, max_clients=AT_ONCE)
    threads = taken(pid)[2]

    async def wave(count: int) -> None:
        """Come at once, leave at once, and wait until the server has forgotten all of them."""
        sockets = await asyncio.gather(*(visit(address) for _ in range(count)))
        assert taken(pid)[2] > threads  # of the pages, by which it is seen that they are gone
        for each in sockets:
            each.close()
        while taken(pid)[2] > threads:  # how long that takes is not the question; the test has a timeout
            await asyncio.sleep(1)
        await asyncio.sleep(1)

    await wave(AT_ONCE)  # what this many need once is kept by Python's allocator, and used again
    before = taken(pid)
    for _ in range(0, VISITS, AT_ONCE):
        await wave(AT_ONCE)
    after = taken(pid)
    print(f"before {before}, after {after}")
    assert after[0] - before[0] < MOST_BYTES
    assert after[1] <= before[1]


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="what a process takes is told by Linux")
def test_visits_leave_nothing(tmp_path: Path) -> None:
    files = write_view(tmp_path)
    command = [sys.executable, "-m", "finewave", "view", str(files["result"]), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        try:
            # in a thread: where tests of the browser ran before, this one has a loop already
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, come_and_go(address, process.pid)).result()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
