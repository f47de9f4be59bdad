"""Queue of uploaded files that are processed by a model one after the other, in a temporary folder."""

from __future__ import annotations

import os
import queue
import secrets
import shutil
import threading
import time
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finewave.errors import InputError, unknown_name
from finewave.text.plain_text import one_line
from finewave.viz.server.transfer.receive import receive
from finewave.warnings import FinewaveWarning

LARGEST_UPLOAD = 64 * 2**20
"""Maximum size of an upload in bytes."""
LARGEST_SIDE = 1024
"""Maximum rows and columns of an uploaded image; `finewave predict` has no such limit."""
LONGEST_UPLOAD_S = 600.0
"""Maximum duration of an upload in seconds."""
MOST_WAITING = 8
"""Maximum number of uploads in transfer, waiting or running."""
MOST_KEPT = 20
"""Maximum number of stored results; the oldest one that no page shows is removed first."""
MOST_BYTES = 4 * 2**30
"""Maximum disk space of stored uploads and results, in bytes."""
LOOK_ONLY = "-"
"""In place of a model: the upload is only shown."""
LONGEST_S = 900.0
"""Maximum computing time of a model in seconds."""
_SIGNATURES = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".nc": (b"CDF", b"\x89HDF\r\n\x1a\n"),
    ".h5": (b"\x89HDF\r\n\x1a\n",),
    ".mat": (b"MATLAB",),
}
"""Accepted file signatures. GDAL would open formats that refer to other files of this machine under any name."""


class BusyError(InputError):
    """The queue is full."""


class Cancelled(Exception):  # noqa: N818 - no error: the user wants it
    """The job was cancelled."""


@dataclass
class Job:
    """One upload.

    Attributes
    ----------
    key : str
        Random key, used in addresses.
    source : pathlib.Path
        The uploaded file.
    model : str
    state : {"waiting", "running", "done", "failed", "cancelled"}
    doing : str
        What a running job is at, for the page.
    done, total : int
        Tiles.
    message : str
        Why it failed.
    notes : list of str
        Warnings.
    result : pathlib.Path
        The file that is made.
    page : str
        Key of the page that has sent it.
    shown : int
        Number of pages that show it.
    """

    key: str
    source: Path
    model: str
    state: str = "waiting"
    doing: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    notes: list[str] = field(default_factory=list)
    started: float = 0.0
    cancelled: bool = False
    page: str = ""
    shown: int = 0

    @property
    def scene(self) -> Path:
        """The upload converted to finewave's own file format."""
        return self.source.parent / "scene" / f"{self.source.stem}.tif"

    @property
    def result(self) -> Path:
        """The file that is made; the scene itself if no model was chosen."""
        if self.model == LOOK_ONLY:
            return self.scene
        return self.source.with_name(f"{self.source.stem}-{Path(self.model).name}.tif")

    def facts(self, ahead: int = 0) -> dict[str, Any]:
        """Return the status for the page; ``ahead`` uploads are processed first."""
        seconds = round(time.monotonic() - self.started, 1) if self.state == "running" else 0.0
        return {
            "state": self.state,
            "doing": self.doing,
            "done": self.done,
            "total": self.total,
            "message": self.message,
            "notes": self.notes,
            "seconds": seconds,
            "ahead": ahead,
        }


class Jobs:
    """Process uploads in a thread, one at a time, as a network uses all cores.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the files, with a subfolder for each job.
    models : dict of str to str
        Selectable models by name, with the argument of `finewave.load_model`.
    forgotten : callable
        Called with the key of a removed upload.
    """

    def __init__(
        self, folder: Path, models: dict[str, str], forgotten: Callable[[str], Any] = lambda key: None
    ) -> None:
        self.folder, self.models, self.forgotten = folder, models, forgotten
        self.jobs: dict[str, Job] = {}
        self._coming: set[Path] = set()
        self._queue: queue.Queue[Job | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def place_for(self, name: str, suffixes: Collection[str] = tuple(_SIGNATURES)) -> Path:
        """Return the path for an upload called ``name``, with one of the accepted suffixes.

        Raises
        ------
        BusyError
            The queue is full.
        InputError
            The file type is not accepted.
        """
        unfinished = [job for job in self.jobs.values() if job.state in ("waiting", "running")]
        if len(unfinished) + len(self._coming) >= MOST_WAITING:
            raise BusyError(f"{MOST_WAITING} uploads wait already: try again when one is done, or finewave predict")
        self._make_room()
        plain = one_line(Path(name.replace("\\", "/")).name)
        suffix = Path(plain).suffix.lower()
        if suffix not in suffixes:
            raise InputError(f"{plain or 'the file'}: the page takes {', '.join(sorted(suffixes))}")
        stem = "".join(c if c.isalnum() or c in "-_ ." else "_" for c in Path(plain).stem).strip(" .")[:80]
        stem = stem.encode()[:120].decode(errors="ignore") or "upload"  # names of files are counted in bytes
        folder = self.folder / secrets.token_urlsafe(9)
        folder.mkdir()
        path = folder / f"{stem}{suffix}"
        self._coming.add(path)
        return path

    def drop(self, path: Path) -> None:
        """Forget an upload that does not become a job."""
        self._coming.discard(path)
        shutil.rmtree(path.parent, ignore_errors=True)

    def leave(self, page: str) -> None:
        """Cancel the jobs of a closed page."""
        for job in self.jobs.values():
            if job.page == page:
                self.cancel(job)

    def ahead(self, job: Job) -> int:
        """Return the number of uploads before a waiting one."""
        if job.state != "waiting":
            return 0
        jobs = list(self.jobs.values())
        return sum(each.state in ("waiting", "running") for each in jobs[: jobs.index(job)])

    def _make_room(self) -> None:
        """Remove the oldest uploads that no page shows while limits are exceeded."""
        old = [job for job in self.jobs.values() if job.state not in ("waiting", "running") and not job.shown]
        sizes = {key: _bytes_in(job.source.parent) for key, job in self.jobs.items()}
        for job in old:
            if len(self.jobs) < MOST_KEPT and sum(sizes.values()) < MOST_BYTES:
                return
            del self.jobs[job.key], sizes[job.key]
            self.forgotten(job.key)
            shutil.rmtree(job.source.parent, ignore_errors=True)

    def model_named(self, name: str) -> str:
        """Return a model's name, or `LOOK_ONLY`, if it is selectable, otherwise raise `InputError`."""
        if name != LOOK_ONLY and name not in self.models:
            raise unknown_name("model", name, self.models)
        return name

    def submit(self, path: Path, model: str, page: str = "") -> Job:
        """Accept a page's uploaded file, written to the path from `place_for`.

        Raises
        ------
        InputError
            Its signature does not match its type.
        """
        with path.open("rb") as file:
            start = file.read(16)
        if not start.startswith(_SIGNATURES[path.suffix]):
            raise InputError(f"{path.name} is not a {path.suffix} file, by its first bytes")
        job = Job(path.parent.name, path, model, page=page)
        self._coming.discard(path)
        self.jobs[job.key] = job
        self._queue.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        return job

    def cancel(self, job: Job) -> None:
        """Stop a job at its next tile, unless it has ended."""
        if job.state in ("waiting", "running"):
            job.cancelled = True
        if job.state == "waiting":
            job.state = "cancelled"

    def end(self, seconds: float) -> bool:
        """Stop at the next tile and accept no more jobs; return whether it stopped in time."""
        for job in self.jobs.values():
            self.cancel(job)
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            if job is None:
                return
            if job.cancelled:
                continue
            job.state, job.started = "running", time.monotonic()
            try:
                self._do(job)
                job.state = "done"
            except Cancelled:
                job.state = "cancelled"
            except InputError as error:
                job.state, job.message = "failed", str(error)
            except Exception as error:  # shown by the page; the server continues
                job.state, job.message = "failed", f"unexpected {type(error).__name__}: {error}"

    def _do(self, job: Job) -> None:
        def progress(done: int, total: int) -> None:
            job.doing, job.done, job.total = "computing", done, total
            if done == total:
                job.doing = "writing the result"
            if job.cancelled:
                raise Cancelled
            if time.monotonic() - job.started > LONGEST_S:
                raise InputError(f"it takes longer than {LONGEST_S / 60:.0f} minutes: use finewave predict")

        job.doing = "reading the file"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FinewaveWarning)
            try:
                job.scene.parent.mkdir(exist_ok=True)
                assumed = receive(job.source, job.scene, LARGEST_SIDE, lambda: job.cancelled)
            except InputError:
                if job.cancelled:
                    raise Cancelled from None
                raise
            if job.model != LOOK_ONLY:
                from finewave.inference.predict import predict_file

                job.doing = "loading the model"
                predict_file(job.scene, job.result, self.models[job.model], progress=progress)
        messages = [str(each.message) for each in caught if issubclass(each.category, FinewaveWarning)]
        messages = [each.replace(f"{job.scene.parent}{os.sep}", "") for each in messages]
        job.notes = list(dict.fromkeys([*assumed, *messages]))


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
