"""Downloads from a server on this machine."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import finewave as fw
from finewave.datasets import download as downloads
from finewave.datasets.base import DownloadableFile
from finewave.datasets.download import download
from finewave.errors import InputError

CONTENT = np.random.default_rng(3).bytes(300_000)


class Server(ThreadingHTTPServer):
    """Serves files from memory; may break off, and may not know ranges."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/a.bin": CONTENT}
        self.break_after: int | None = None
        self.ranges = True
        self.asked: list[str | None] = []

    def file(self, name: str = "a.bin", content: bytes = CONTENT) -> DownloadableFile:
        return DownloadableFile(
            f"http://127.0.0.1:{self.server_port}/{name}", hashlib.sha256(content).hexdigest(), name
        )


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content = self.server.files.get(self.path)
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if content is None:
            return self.send_error(404)
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if first >= len(content):
            return self.send_error(416)
        body = content[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.break_after])

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    lines: list[str] = []
    assert download([server.file()], folder, lines.append) == [folder / "a.bin"]
    assert (folder / "a.bin").read_bytes() == CONTENT
    assert lines == [f"a.bin: {server.file().url}"]
    download([server.file()], folder)
    assert server.asked == [None]
    assert names(folder) == ["a.bin"]


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.break_after = 100_000
    with pytest.raises(fw.InputError, match=r"the 0\.1 MB that came are kept"):
        download([server.file()], tmp_path)
    assert names(tmp_path) == [".a.bin.part"]
    kept = (tmp_path / ".a.bin.part").stat().st_size
    assert 0 < kept <= 100_000
    server.break_after = None
    download([server.file()], tmp_path)
    assert server.asked == [None, f"bytes={kept}-"]
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert names(tmp_path) == ["a.bin"]


def test_a_server_without_ranges_begins_anew(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / ".a.bin.part").write_bytes(b"x" * 50)
    download([server.file()], tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_what_was_whole_but_not_yet_named_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".a.bin.part").write_bytes(CONTENT)
    download([server.file()], tmp_path)
    assert server.asked == [f"bytes={len(CONTENT)}-"]
    assert names(tmp_path) == ["a.bin"]


def test_another_file_than_the_known_one_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = CONTENT[:-1] + b"!"
    with pytest.raises(fw.InputError, match="is not the file that is known"):
        download([server.file()], tmp_path)
    assert names(tmp_path) == []


def test_a_file_that_changed_on_disk_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"damaged")
    download([server.file()], tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_an_archive_is_unpacked(server: Server, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        archive.writestr("scenes/a.txt", "hello")
    content = (tmp_path / "made.zip").read_bytes()
    server.files["/scenes.zip"] = content
    download([server.file("scenes.zip", content)], tmp_path / "out")
    assert (tmp_path / "out" / "scenes" / "a.txt").read_text() == "hello"


def test_a_file_that_is_not_there(server: Server, tmp_path: Path) -> None:
    with pytest.raises(fw.InputError, match=r"cannot fetch .*b\.bin: 404"):
        download([server.file("b.bin")], tmp_path)
    assert names(tmp_path) == []


def test_no_server(server: Server, tmp_path: Path) -> None:
    file = server.file()
    server.shutdown()
    server.server_close()
    with pytest.raises(fw.InputError, match="cannot fetch"):
        download([file], tmp_path)


def test_a_full_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, url: str, output_file: object, pooch: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads._Resuming, "__call__", full)
    with pytest.raises(fw.InputError, match="the disk is full"):
        download([server.file()], tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["../outside.txt", "/absolute/outside.txt", "link"])
def test_an_archive_stays_in_its_folder(name: str, server: Server, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "made.tar", "w") as archive:
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "../../outside.txt"
            archive.addfile(member)
        else:
            member.size = 5
            archive.addfile(member, io.BytesIO(b"hello"))
    content = (tmp_path / "made.tar").read_bytes()
    server.files["/scenes.tar"] = content
    with pytest.raises(InputError, match=r"scenes\.tar is not unpacked"):
        download([server.file("scenes.tar", content)], tmp_path / "out" / "in")
    assert sorted(each.name for each in (tmp_path / "out" / "in").iterdir()) == ["scenes.tar"]
    assert not (tmp_path / "out" / "outside.txt").exists()
