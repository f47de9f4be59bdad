"""What the page asks the server for beside Bokeh: its files, uploads, their progress, results."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tornado.web import HTTPError, RequestHandler, StaticFileHandler, stream_request_body

from finewave.errors import InputError
from finewave.viz.server.jobs import LARGEST_UPLOAD, Job, Jobs

_CHUNK = 2**20


class _Guarded(RequestHandler):
    """Answers only requests for this server, from its own page.

    A page of another site that is open in the same browser can send requests to this machine, too: it cannot set a
    header of its own without being asked for leave, and it cannot change the name in ``Host`` that led it here.
    """

    def initialize(self, jobs: Jobs, hosts: frozenset[str] | None) -> None:
        self.jobs, self.hosts = jobs, hosts

    def prepare(self) -> None:
        """Refuse what another page asks for."""
        if self.hosts is not None and self.request.host not in self.hosts:
            raise HTTPError(403, "another host was asked for")
        origin = self.request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.request.host:
            raise HTTPError(403, "the request comes from another page")
        if self.request.method not in ("GET", "HEAD") and self.request.headers.get("X-Finewave") != "1":
            raise HTTPError(403, "the request does not come from the page")

    def job_named(self, key: str) -> Job:
        """Return a job or answer that there is none."""
        job = self.jobs.jobs.get(key)
        if job is None:
            raise HTTPError(404)
        return job

    def refuse(self, error: InputError) -> None:
        """Answer what the user has to mend."""
        self.set_status(400)
        self.finish({"message": str(error)})


@stream_request_body
class Upload(_Guarded):
    """``POST /upload?name=...&model=...``: the file as the body, written as it comes."""

    def prepare(self) -> None:
        """Open a file for what will come, if it may come."""
        super().prepare()
        self.file: Any = None
        self.path: Path | None = None
        self.size = 0
        self.refused: InputError | None = None
        try:
            self.model = self.jobs.model_named(self.get_query_argument("model"))
            announced = int(self.request.headers.get("Content-Length", "0") or 0)
            if announced > LARGEST_UPLOAD:
                raise _too_large()
            self.path = self.jobs.place_for(self.get_query_argument("name"))
            self.file = self.path.open("wb")
        except InputError as error:
            self.refused = error
        # what is refused is read to its end all the same: a browser does not listen before it has sent all
        self.request.connection.set_max_body_size(2**40)  # type: ignore[union-attr]  # of an HTTP/1 connection

    def data_received(self, chunk: bytes) -> None:
        """Write a piece."""
        if self.refused is not None:
            return
        self.size += len(chunk)
        if self.size > LARGEST_UPLOAD:
            self.refused = _too_large()
            return
        self.file.write(chunk)

    def post(self) -> None:
        """Hand the file over, now that it is there."""
        self._close()
        if self.refused is None and self.size == 0:
            self.refused = InputError("the file is empty")
        if self.refused is None:
            assert self.path is not None  # it was opened
            try:
                self.finish({"key": self.jobs.submit(self.path, self.model).key})
                return
            except InputError as error:
                self.refused = error
        self._forget()
        self.refuse(self.refused)

    def on_connection_close(self) -> None:
        """Forget what was half sent."""
        self._close()
        self._forget()

    def _close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def _forget(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _too_large() -> InputError:
    return InputError(f"the file is larger than {LARGEST_UPLOAD // 2**20} MB: use finewave predict")


class Progress(_Guarded):
    """``GET /jobs/KEY``: how far a job is; ``DELETE``: stop it."""

    def get(self, key: str) -> None:
        """Answer how far it is."""
        self.finish(self.job_named(key).facts())

    def delete(self, key: str) -> None:
        """Stop it."""
        job = self.job_named(key)
        self.jobs.cancel(job)
        self.finish(job.facts())


class Result(_Guarded):
    """``GET /results/KEY``: the file that a job has made."""

    async def get(self, key: str) -> None:
        """Send it in pieces."""
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


def patterns(jobs: Jobs, hosts: frozenset[str] | None) -> list[Any]:
    """Return the addresses for Bokeh's server; ``hosts`` may be asked for, None for any."""
    shared = {"jobs": jobs, "hosts": hosts}
    return [
        (r"/page/(.*)", StaticFileHandler, {"path": str(Path(__file__).with_name("static"))}),
        (r"/upload", Upload, shared),
        (r"/jobs/([\w-]+)", Progress, shared),
        (r"/results/([\w-]+)", Result, shared),
    ]
