from __future__ import annotations

import io
import json
import re
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

import finewave as fw
from finewave.errors import InputError
from finewave.viz.server import handlers, jobs
from finewave.viz.server.access import Access, Gated
from finewave.viz.server.jobs import LOOK_ONLY, BusyError, Job, Jobs
from finewave.viz.server.offered_models import offered_models
from finewave.viz.server.spectral_plot.library import LibrarySpectrum
from finewave.viz.server.transfer.downloads import Downloads

TOKEN = "of-this-test"
OWN = {"X-Finewave": "1"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model that needs no compiling: 3 bands to 5, scale 2."""
    from finewave.zoo.model import Model

    net = fw.create_model("ssfin", scale=2, hs_bands=5, features=12, blocks=2, reduction=3)
    return Model(net).save(tmp_path_factory.mktemp("weights") / "quick", sensor="nikon-d5100")


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    iio.imwrite(path, np.random.default_rng(8).integers(0, 256, (20, 24, 3), dtype=np.uint8))
    return path


@pytest.fixture
def store(tmp_path: Path, weights: Path) -> Iterator[Jobs]:
    (tmp_path / "uploads").mkdir()
    store = Jobs(tmp_path / "uploads", {"quick": str(weights)})
    yield store
    assert store.end(30.0)


def submitted(store: Jobs, source: Path, name: str | None = None) -> Job:
    path = store.place_for(name or source.name)
    path.write_bytes(source.read_bytes())
    return store.submit(path, "quick")


def finished(job: Job) -> Job:
    end = time.monotonic() + 60
    while job.state in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.02)
    return job


def test_an_upload_goes_through_its_model(store: Jobs, photograph: Path, weights: Path) -> None:
    job = finished(submitted(store, photograph))
    assert (job.state, job.message) == ("done", "")
    assert (job.done, job.total) == (1, 1)
    assert any("photograph" in note for note in job.notes)
    with pytest.warns(fw.FinewaveWarning, match="nikon"):
        expected = fw.super_resolve(fw.open_scene(photograph), fw.load_model(weights))
    np.testing.assert_allclose(fw.open_scene(job.result).values, expected.values, atol=1e-5)


def test_an_upload_may_be_looked_at_only(store: Jobs, photograph: Path) -> None:
    path = store.place_for(photograph.name)
    path.write_bytes(photograph.read_bytes())
    job = finished(store.submit(path, store.model_named(LOOK_ONLY)))
    assert (job.state, job.message, job.total) == ("done", "", 0)
    assert job.result == job.scene
    np.testing.assert_array_equal(fw.open_scene(job.result).values, fw.open_scene(photograph).values)


@pytest.mark.parametrize("name", ["../../etc/photo.png", "C:\\x\\photo.png", "/photo.png", "photo.PNG"])
def test_names_lead_nowhere_else(name: str, store: Jobs) -> None:
    path = store.place_for(name)
    assert path.parent.parent == store.folder
    assert path.name == "photo.png"


@pytest.mark.parametrize("name", ["", "notes.txt", "scene.vrt", "scene.hdr", "png", "run.py"])
def test_other_kinds_of_files_are_refused(name: str, store: Jobs) -> None:
    with pytest.raises(InputError, match="the page takes"):
        store.place_for(name)
    assert list(store.folder.iterdir()) == []


def test_archives_are_not_unpacked(store: Jobs) -> None:
    """Neither by their names nor under another: none leads out of its folder, into itself, or fills the disk."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../out.tif", bytes(2**24))
        link = zipfile.ZipInfo("link.tif")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("inner.zip", packed.getvalue())
    for name in ("a.zip", "a.tif.zip", "a.zarr.zip", "a.SAFE.zip", "a.tar.gz", "a.kmz", "a.npz"):
        with pytest.raises(InputError, match="the page takes"):
            store.place_for(name)
    for name in ("a.tif", "a.png", "a.jpg", "a.nc", "a.h5", "a.mat"):
        path = store.place_for(name)
        path.write_bytes(packed.getvalue())
        with pytest.raises(InputError, match="by its first bytes"):
            store.submit(path, "quick")
        store.drop(path)
    path = store.place_for("a.mat")
    path.write_bytes(b"MATLAB".ljust(124) + b"\0\1IM" + packed.getvalue())  # an archive may have anything in front
    assert finished(store.submit(path, "quick")).state == "failed"
    assert [each for each in path.parent.rglob("*") if each.is_file()] == [path]


def test_a_file_that_points_to_others_is_refused(store: Jobs) -> None:
    """GDAL reads a virtual raster under any name, and with it any file of this machine."""
    path = store.place_for("scene.tif")
    path.write_text("<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>")
    with pytest.raises(InputError, match="first bytes"):
        store.submit(path, "quick")


def test_what_a_model_cannot_use_is_said(store: Jobs, photograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = photograph.with_name("broken.png")
    broken.write_bytes(photograph.read_bytes()[:200])
    job = finished(submitted(store, broken))
    assert job.state == "failed"
    assert "broken.png" in job.message
    monkeypatch.setattr(jobs, "LARGEST_SIDE", 23)
    job = finished(submitted(store, photograph))
    assert job.state == "failed"
    assert "24 x 20 pixels; the page takes up to 23" in job.message


def test_what_computes_too_long_is_ended(store: Jobs, photograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LONGEST_S", -60.0)  # any time is longer
    job = finished(submitted(store, photograph))
    assert job.state == "failed"
    assert "it takes longer than -1 minutes: use finewave predict" in job.message


def test_scans_without_end_are_not_decoded(store: Jobs, photograph: Path) -> None:
    picture = photograph.with_suffix(".jpg")
    Image.open(photograph).convert("RGB").save(picture, progressive=True)
    content = picture.read_bytes()
    last = content.rindex(b"\xff\xda")
    picture.write_bytes(content[:last] + content[last:-2] * 600 + b"\xff\xd9")
    job = finished(submitted(store, picture))
    assert job.state == "failed"
    assert "scans, more than 500" in job.message


def test_a_waiting_upload_can_be_taken_back(store: Jobs, photograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(Jobs, "_do", lambda self, job: go.wait(30))
    first, second = submitted(store, photograph), submitted(store, photograph)
    store.cancel(second)
    go.set()
    assert finished(first).state == "done"
    assert second.state == "cancelled"


def test_models_on_offer(weights: Path, tmp_path: Path) -> None:
    offered = offered_models((str(weights),))
    assert offered["quick"].source == str(weights)
    photo = offered["jssunet-photo-x4"]
    assert photo.source == "jssunet-photo-x4"
    assert re.fullmatch(
        r"jssunet-photo-x4: from an sRGB photograph; 4 × finer; 31 bands, 400–700 nm; [\d.]+ dB on cave/val",
        photo.label,
    )
    assert "sentinel2a (10 bands); same pixels" in offered["sentinel2-enmap"].label
    with pytest.raises(InputError):
        offered_models((str(tmp_path / "nothing"),))


Added = list[tuple[list[str], str, str]]


@pytest.fixture
def added() -> Added:
    """Names of the spectra, file and page of what was dropped."""
    return []


@pytest.fixture
def server(store: Jobs, added: Added) -> Iterator[str]:
    """The handlers behind a server of Tornado's, in a thread."""
    import asyncio

    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets
    from tornado.web import Application

    started: Any = threading.Event()
    found: dict[str, Any] = {}

    class Guarded(Gated, Application):
        pass

    async def add(entries: list[LibrarySpectrum], name: str, page: str) -> None:
        if any(each.name == "no bands" for each in entries):
            raise InputError("no wavelengths")
        added.append(([each.name for each in entries], name, page))

    async def run() -> None:
        sockets = bind_sockets(0, "127.0.0.1")
        port = sockets[0].getsockname()[1]
        patterns = handlers.patterns(store, Downloads(), add)
        http = HTTPServer(Guarded(patterns, access=Access("127.0.0.1", port, TOKEN)))
        http.add_sockets(sockets)
        found.update(port=port, stop=asyncio.Event(), loop=asyncio.get_running_loop())
        started.set()
        await found["stop"].wait()
        http.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(20)
    yield f"http://127.0.0.1:{found['port']}"
    found["loop"].call_soon_threadsafe(found["stop"].set)
    thread.join(20)


def ask(address: str, data: bytes | None = None, method: str | None = None, **headers: str) -> tuple[int, Any]:
    address += f"{'&' if '?' in address else '?'}token={TOKEN}"
    request = Request(address, data, {name.replace("_", "-"): text for name, text in headers.items()}, method=method)
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def test_upload_progress_and_result_over_http(server: str, photograph: Path) -> None:
    status, body = ask(f"{server}/upload?name=photo.png&model=quick", photograph.read_bytes(), **OWN)
    assert status == 200
    key = json.loads(body)["key"]
    end = time.monotonic() + 60
    while (facts := json.loads(ask(f"{server}/jobs/{key}")[1]))["state"] != "done":
        assert facts["state"] in ("waiting", "running")
        assert time.monotonic() < end
        time.sleep(0.05)
    status, tiff = ask(f"{server}/results/{key}")
    assert status == 200
    assert tiff.startswith((b"II", b"MM"))
    assert ask(f"{server}/results/another")[0] == 404
    assert ask(f"{server}/jobs/another")[0] == 404


def test_other_pages_cannot_use_the_server(server: str, photograph: Path) -> None:
    upload, data = f"{server}/upload?name=photo.png&model=quick", photograph.read_bytes()
    assert ask(upload, data)[0] == 403  # what any page may send without asking
    assert ask(upload, data, Origin="http://example.org", **OWN)[0] == 403
    assert ask(upload, data, Host="example.org", **OWN)[0] == 403  # a name that was made to lead here
    assert ask(f"{server}/jobs/any", Host="example.org")[0] == 403
    assert ask(f"{server}/jobs/any", method="DELETE")[0] == 403


def test_refusals_over_http(server: str, store: Jobs, photograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = photograph.read_bytes()
    for query, body, words in (
        ("name=photo.png&model=other", data, "unknown model"),
        ("name=photo.exe&model=quick", data, "the page takes"),
        ("name=photo.png&model=quick", b"", "empty"),
        ("name=photo.tif&model=quick", data, "not a .tif file"),
    ):
        status, answer = ask(f"{server}/upload?{query}", body, **OWN)
        assert status == 400
        assert words in json.loads(answer)["message"]
    monkeypatch.setattr(handlers, "LARGEST_UPLOAD", 100)
    status, answer = ask(f"{server}/upload?name=photo.png&model=quick", data, **OWN)
    assert status == 400
    assert "larger than" in json.loads(answer)["message"]
    assert store.jobs == {}
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


def envi_library(order: str = "0") -> tuple[bytes, bytes]:
    """Return header and values of two spectra over three wavelengths."""
    header = (
        f"ENVI\nsamples = 3\nlines = 2\nbands = 1\ndata type = 4\nbyte order = {order}\nwavelength units = Nanometers\n"
        "wavelength = {450, 550, 650}\nspectra names = {one, two}\n"
    )
    return header.encode(), np.arange(1, 7, dtype="<f4").tobytes()


def test_spectral_libraries_over_http(server: str, store: Jobs, added: Added) -> None:
    header, values = envi_library()
    for name, length, body, count in (
        ("../lab.SLI", len(header), header + values, 2),
        ("asd.txt", 0, b"Wavelength\tleaf.asd\n350\t0.1\n351\t0.2\n352\t0.3\n", 1),
    ):
        status, answer = ask(f"{server}/library?name={name}&header={length}", body, X_Finewave="page")
        assert status == 200, answer
        assert json.loads(answer) == {"spectra": count}
    assert added == [(["one", "two"], "lab.sli", "page"), (["leaf.asd"], "asd.txt", "page")]
    assert list(store.folder.iterdir()) == []


def test_a_page_that_leaves_while_its_library_is_read_is_no_error(
    server: str, store: Jobs, added: Added, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    leaves, is_read = threading.Event(), threading.Event()

    def read(path: Path) -> list[LibrarySpectrum]:
        is_read.set()
        assert leaves.wait(20)
        return []

    monkeypatch.setattr(handlers, "receive_spectra", read)
    monkeypatch.setattr(handlers.LibraryHandler, "on_connection_close", lambda self: leaves.set())
    host = server.removeprefix("http://")
    connection = HTTPConnection(host, timeout=20)
    connection.request("POST", f"/library?name=a.csv&token={TOKEN}", b"400 1\n500 1\n", {"X-Finewave": "page"})
    assert is_read.wait(20)
    connection.close()
    assert leaves.wait(20)
    end = time.monotonic() + 20
    while not added and time.monotonic() < end:
        time.sleep(0.01)
    assert added == [([], "a.csv", "page")]
    assert ask(f"{server}/jobs/another")[0] == 404  # the answer that nobody waits for is over
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert list(store.folder.iterdir()) == []


def test_refused_libraries_over_http(
    server: str, store: Jobs, added: Added, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.txt").write_text("400 0.1\n500 0.2\n600 0.3\n")
    elsewhere = f"name,column,row,spectrum\na,1,1,{tmp_path / 'secret.txt'}\n".encode()
    header, values = envi_library()
    for query, body, words in (
        ("name=lab.exe", b"1", "the page takes .asc, .csv, .sli, .txt"),
        ("name=lab.sli", values, "drop lab.hdr together with it"),
        ("name=lab.sli&header=-1", values, "not a number"),
        (f"name=lab.sli&header={len(header)}", header + values[:-1], "has 23 bytes; its header speaks of 2 spectra"),
        ("name=lab.csv", elsewhere, "finewave view --library lab.csv"),
        ("name=lab.csv", b"<html>", "lab.csv does not hold rows of a wavelength"),
        ("name=lab.csv", b"", "empty"),
        ("name=lab.csv", b"wavelength,no bands\n400,1\n500,1\n600,1\n", "no wavelengths"),
    ):
        status, answer = ask(f"{server}/library?{query}", body, **OWN)
        assert status == 400, query
        message = json.loads(answer)["message"]
        assert words in message
        assert str(store.folder) not in message
    assert ask(f"{server}/library?name=a.csv", b"400 1\n500 1\n")[0] == 403  # of another page
    monkeypatch.setattr(handlers, "LARGEST_UPLOAD", 4)
    status, answer = ask(f"{server}/library?name=lab.csv", b"400 1\n500 1\n", **OWN)
    assert status == 400
    assert "larger than" in json.loads(answer)["message"]
    assert added == []
    assert list(store.folder.iterdir()) == []


def test_uploads_that_end_their_reader_or_lead_elsewhere(store: Jobs, tmp_path: Path) -> None:
    """The server goes on, and no byte of another file is shown."""
    import h5py

    secret = tmp_path / "secret.raw"
    np.ones(3 * 16 * 16, np.float32).tofile(secret)
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file.create_dataset("cube", (3, 16, 16), np.float32, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    job = finished(submitted(store, tmp_path / "outside.h5"))
    assert job.state == "failed"
    assert "outside.h5 does not hold its own values" in job.message
    assert str(tmp_path) not in job.message.replace(str(secret), "")
    assert not job.scene.exists()
    bomb = tmp_path / "bomb.png"
    header = b"\0\0\x75\x30\0\0\x75\x30\x08\x02\0\0\0"  # 30,000 x 30,000 pixels
    chunk = b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    bomb.write_bytes(start + b"\0\0\0\0IEND\xaeB\x60\x82")
    job = finished(submitted(store, bomb))
    assert job.state == "failed"
    assert "bomb.png" in job.message


def test_no_more_uploads_than_may_wait(store: Jobs, photograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(Jobs, "_do", lambda self, job: go.wait(30))
    monkeypatch.setattr(jobs, "MOST_WAITING", 3)
    first, second, third = (submitted(store, photograph) for _ in range(3))
    assert [store.ahead(each) for each in (second, third)] == [1, 2]
    with pytest.raises(BusyError, match="3 uploads wait already"):
        store.place_for("photo.png")
    go.set()
    assert [finished(each).state for each in (first, second, third)] == ["done"] * 3
    store.drop(store.place_for("photo.png"))
    assert len(list(store.folder.iterdir())) == 3


def test_old_uploads_go_unless_they_are_looked_at(
    store: Jobs, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[str] = []
    store.forgotten = gone.append
    monkeypatch.setattr(Jobs, "_do", lambda self, job: None)
    monkeypatch.setattr(jobs, "MOST_KEPT", 2)
    first, second = (finished(submitted(store, photograph)) for _ in range(2))
    first.shown = 1
    third = finished(submitted(store, photograph))
    assert gone == [second.key]
    assert set(store.jobs) == {first.key, third.key}
    assert not second.source.exists()
    assert first.source.exists()


def test_what_a_page_asked_for_ends_with_it(store: Jobs, photograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(Jobs, "_do", lambda self, job: go.wait(30))
    path, other = store.place_for("a.png"), store.place_for("b.png")
    for each in (path, other):
        each.write_bytes(photograph.read_bytes())
    running = store.submit(path, "quick", "one page")
    waiting = store.submit(other, "quick", "one page")
    store.leave("another page")
    assert not running.cancelled
    store.leave("one page")
    go.set()
    assert running.cancelled
    assert waiting.state == "cancelled"
