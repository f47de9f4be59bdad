"""A file server on this machine alone, with range requests, that counts what it sends."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass
class FileServer:
    """Serves a folder; ``sent`` counts the bytes of bodies, ``requests`` has method, path and range of each.

    ``hangs``: it never answers; ``stalls``: it sends headers alone; ``cuts``: it ends in the middle; ``leads_to``: it
    sends all to another server.
    """

    folder: Path
    ranges: bool = True
    answers: int | None = None
    hangs: bool = False
    stalls: bool = False
    cuts: bool = False
    leads_to: str = ""
    url: str = ""
    sent: int = 0
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    passwords: list[str | None] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def forget(self) -> None:
        self.sent = 0
        self.requests.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        served = self.server.served
        wanted = self.headers.get("Range", "")
        served.requests.append((self.command, self.path, wanted))
        served.passwords.append(self.headers.get("Authorization"))
        if served.hangs:
            served.released.wait(60)
            return
        if served.leads_to:
            self._send(302, b"", {"Location": served.leads_to + self.path})
            return
        path = served.folder / urlsplit(self.path).path.lstrip("/")
        if served.answers is not None or not path.is_file():
            self._send(served.answers or 404, b"", {})
            return
        content = path.read_bytes()
        headers = {"ETag": f'"{path.stat().st_mtime_ns}"'}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted) if served.ranges else None
        if part is None:
            self._send(200, content, headers | ({"Accept-Ranges": "bytes"} if served.ranges else {}))
            return
        start = int(part[1])
        stop = min(len(content), int(part[2]) + 1 if part[2] else len(content))
        self._send(206, content[start:stop], headers | {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.server.served.stalls:
            self.server.served.released.wait(60)
            return
        if self.command == "GET":
            self.server.served.sent += len(body)
            try:
                self.wfile.write(body[: len(body) // 2] if self.server.served.cuts else body)
                self.close_connection = self.close_connection or self.server.served.cuts
            except ConnectionError:  # whoever asked has seen enough
                self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, served: FileServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.served = served


@contextmanager
def file_server(folder: Path, **how: bool) -> Iterator[FileServer]:
    """Serve a folder while the context lasts."""
    served = FileServer(folder, **how)
    server = _Server(served)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        served.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
