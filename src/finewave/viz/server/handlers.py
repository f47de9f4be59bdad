"""Request handlers besides Bokeh's: static files, uploads, progress, results, and files to save."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tornado.ioloop import IOLoop
from tornado.web import HTTPError, RequestHandler, StaticFileHandler, stream_request_body

from finewave.errors import InputError
from finewave.viz.server.jobs import LARGEST_UPLOAD, LONGEST_UPLOAD_S, BusyError, Job, Jobs
from finewave.viz.server.spectral_plot.library import LibrarySpectrum
from finewave.viz.server.transfer.downloads import Downloads
from finewave.viz.server.transfer.receive_spectra import SUFFIXES, receive_spectra

AddSpectra = Callable[[list[LibrarySpectrum], str, str], Awaitable[None]]
"""Adds the spectra of a file, by its name, for a page, by its key; raises `InputError` if they cannot be shown."""
_CHUNK = 2**20


_SILENCE_S = 60.0
"""Timeout in seconds of a sender that sends nothing."""


class _Asked(RequestHandler):
    """A request that `finewave.viz.server.access.Access` has let in."""

    def initialize(self, jobs: Jobs) -> None:
        self.jobs = jobs

    def job_named(self, key: str) -> Job:
        """Return a job or answer with 404."""
        job = self.jobs.jobs.get(key)
        if job is None:
            raise HTTPError(404)
        return job

    def refuse(self, error: InputError) -> None:
        """Answer with an error that the user can correct."""
        self.set_status(429 if isinstance(error, BusyError) else 400)
        self.finish({"message": str(error)})


class _Received(_Asked, ABC):
    """A request whose body is a file, written while it is received."""

    @abstractmethod
    def place(self) -> Path:
        """Return where the file goes; raise `InputError` if it is not allowed."""

    @abstractmethod
    async def accept(self, path: Path) -> dict[str, Any]:
        """Use the complete file and return the answer; raise `InputError` if it cannot be used."""

    def prepare(self) -> None:
        """Open a file for the upload, if it is allowed."""
        self.file: Any = None
        self.path: Path | None = None
        self.size = 0
        self.refused: InputError | None = None
        self.silence: Any = None
        try:
            announced = self.request.headers.get("Content-Length", "")
            if announced.isascii() and announced.isdigit() and int(announced[:30]) > LARGEST_UPLOAD:
                raise _too_large()
            self.path = self.place()
            self.file = self.path.open("wb")
        except InputError as error:
            self.refused = error
        # a refused upload is still read to its end: browsers do not read the answer before
        connection: Any = self.request.connection  # of HTTP/1
        connection.set_max_body_size(2**33)
        connection.set_body_timeout(LONGEST_UPLOAD_S)
        self._listen()

    def data_received(self, chunk: bytes) -> None:
        """Write a chunk."""
        self._listen()
        if self.refused is not None:
            return
        self.size += len(chunk)
        if self.size > LARGEST_UPLOAD:
            self.refused = _too_large()
            return
        self.file.write(chunk)

    async def post(self) -> None:
        """Use the complete file."""
        self._close()
        if self.refused is None and self.size == 0:
            self.refused = InputError("the file is empty")
        if self.refused is None:
            assert self.path is not None  # it was opened
            try:
                answer = await self.accept(self.path)
            except InputError as error:
                self.refused = error
            else:
                self.finish(answer)  # not awaited: whoever has left meanwhile is no error
                return
        self._forget()
        self.refuse(self.refused)

    def on_connection_close(self) -> None:
        """Remove a partial upload."""
        self._close()
        self._forget()

    def _listen(self) -> None:
        """Restart the timeout for the next chunk."""
        loop = IOLoop.current()
        if self.silence is not None:
            loop.remove_timeout(self.silence)
        connection: Any = self.request.connection
        self.silence = loop.call_later(_SILENCE_S, connection.close)

    def _close(self) -> None:
        if self.silence is not None:
            IOLoop.current().remove_timeout(self.silence)
            self.silence = None
        if self.file is not None:
            self.file.close()
            self.file = None

    def _forget(self) -> None:
        if self.path is not None:
            self.jobs.drop(self.path)


@stream_request_body
class UploadHandler(_Received):
    """``POST /upload?name=...&model=...``: an image as the body."""

    def place(self) -> Path:
        """Return a path for the image."""
        self.model = self.jobs.model_named(self.get_query_argument("model"))
        return self.jobs.place_for(self.get_query_argument("name"))

    async def accept(self, path: Path) -> dict[str, Any]:
        """Submit the image."""
        page = self.request.headers.get("X-Finewave", "")
        return {"key": self.jobs.submit(path, self.model, page).key}


@stream_request_body
class LibraryHandler(_Received):
    """``POST /library?name=...&header=N``: a spectral library, after its header of N bytes if it has one."""

    def initialize(self, jobs: Jobs, add: AddSpectra) -> None:  # type: ignore[override]  # one argument more
        """Store what adds spectra."""
        super().initialize(jobs)
        self.add = add

    def place(self) -> Path:
        """Return a path for the library."""
        name, header = self.get_query_argument("name"), self.get_query_argument("header", "0")
        if not (header.isascii() and header.isdigit() and len(header) < 9):
            raise InputError("the length of the header is not a number")
        self.header = int(header)
        path = self.jobs.place_for(name, SUFFIXES)
        if path.suffix == ".sli" and self.header == 0:
            self.jobs.drop(path)
            raise InputError(f"{path.name} has no header; drop {path.stem}.hdr together with it")
        return path

    async def accept(self, path: Path) -> dict[str, Any]:
        """Read the spectra in a process of their own, and show them on the page that has sent them."""
        if self.header:
            content = path.read_bytes()
            path.with_suffix(".hdr").write_bytes(content[: self.header])
            path.write_bytes(content[self.header :])
        try:
            found = await IOLoop.current().run_in_executor(None, receive_spectra, path)
        finally:
            self.jobs.drop(path)
        await self.add(found, path.name, self.request.headers.get("X-Finewave", ""))
        return {"spectra": len(found)}


def _too_large() -> InputError:
    return InputError(f"the file is larger than {LARGEST_UPLOAD // 2**20} MB: use finewave predict")


class ProgressHandler(_Asked):
    """``GET /jobs/KEY``: progress of a job; ``DELETE``: stop it."""

    def get(self, key: str) -> None:
        """Answer with the progress."""
        job = self.job_named(key)
        self.finish(job.facts(self.jobs.ahead(job)))

    def delete(self, key: str) -> None:
        """Stop it."""
        job = self.job_named(key)
        self.jobs.cancel(job)
        self.finish(job.facts())


class ResultHandler(_Asked):
    """``GET /results/KEY``: the result file of a job."""

    async def get(self, key: str) -> None:
        """Send it in chunks."""
        job = self.job_named(key)
        if job.state != "done":
            raise HTTPError(404)
        self.set_header("Content-Type", "image/tiff")
        self.set_header("Content-Length", str(job.result.stat().st_size))
        self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(job.result.name)}")
        with job.result.open("rb") as file:
            while chunk := file.read(_CHUNK):
                self.write(chunk)
                await self.flush()


class SaveHandler(RequestHandler):
    """``GET /saves/KEY``: a file that a page has made, once."""

    def initialize(self, downloads: Downloads) -> None:
        """Store where the files are."""
        self.downloads = downloads

    def get(self, key: str) -> None:
        """Send it."""
        found = self.downloads.take(key)
        if found is None:
            raise HTTPError(404)
        self.set_header("Content-Type", found.kind)
        self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(found.name)}")
        self.finish(found.content)


def patterns(jobs: Jobs, downloads: Downloads, add: AddSpectra) -> list[Any]:
    """Return the addresses for Bokeh's server."""
    shared = {"jobs": jobs}
    return [
        (r"/page/(.*)", StaticFileHandler, {"path": str(Path(__file__).with_name("static"))}),
        (r"/upload", UploadHandler, shared),
        (r"/library", LibraryHandler, shared | {"add": add}),
        (r"/jobs/([\w-]+)", ProgressHandler, shared),
        (r"/results/([\w-]+)", ResultHandler, shared),
        (r"/saves/([\w-]+)", SaveHandler, {"downloads": downloads}),
    ]
