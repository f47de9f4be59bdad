"""The server of ``finewave view``: one page per browser tab, by default for this machine only."""

from __future__ import annotations

import errno
import gc
import logging
import secrets
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finewave.errors import InputError
from finewave.extras import importing
from finewave.viz.scene_pair import ScenePair, half_widths_beside, half_widths_of, open_scene_pair
from finewave.viz.server.jobs import LOOK_ONLY
from finewave.warnings import FinewaveWarning

if TYPE_CHECKING:
    from types import FrameType

    from bokeh.document import Document
    from tornado.ioloop import IOLoop

    from finewave.viz.server.jobs import Jobs
    from finewave.viz.server.spectral_plot.library import LibrarySpectrum
    from finewave.viz.server.viewer_session import ViewerSession

LOCAL = "127.0.0.1"
USUAL_PORT = 5006
_PRIVATE = (LOCAL, "localhost", "::1")
_FORGET_MS = 10_000  # after which a page that has not reconnected is closed
_PATIENCE = 1.0  # seconds for each thread to end


def serve(
    result: str | Path | None = None,
    input: str | Path | None = None,
    reference: str | Path | None = None,
    *,
    half_width: str | Path | None = None,
    library: tuple[Path, ...] = (),
    host: str = LOCAL,
    port: int | None = None,
    models: tuple[str, ...] = (),
    ready: Callable[[str], Any] = lambda address: None,
) -> bool:
    """Show images in a browser until the user interrupts.

    Parameters
    ----------
    result, input, reference : str or Path, optional
        See `open_scene_pair`. Without a result the page asks for a file.
    half_width : str or Path, optional
        Half-widths of the result's errors; by default those that ``finewave predict --uncertainty`` has written beside
        it.
    library : tuple of pathlib.Path
        Measured spectra to compare with, see `finewave.viz.server.spectral_plot.library.read_library`.
    host : str
        Address to listen on; by default reachable from this machine only.
    port : int, optional
        0 for any that is free; by default 5006, or any if that is in use.
    models : tuple of str
        User's weights to offer for uploads, besides bundled ones.
    ready : callable
        Called with the address of the page, and the token in it, when it can be opened.

    Returns
    -------
    bool
        Whether all work has ended; False if a network is still busy with a tile.

    Raises
    ------
    InputError
        Files cannot be opened or do not match, the port is in use, or Bokeh is missing.
    """
    with importing("view", "the viewer"):
        from bokeh.server.server import BaseServer
    from bokeh.application import Application
    from bokeh.application.handlers.function import FunctionHandler
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop

    from finewave.viz.server.access import EVERYWHERE, Access
    from finewave.viz.server.handlers import patterns
    from finewave.viz.server.jobs import Jobs
    from finewave.viz.server.offered_models import offered_models
    from finewave.viz.server.spectral_plot.library import read_library

    view = _opened(result, input, reference, half_width)
    entries = tuple(read_library(library))
    anywhere = host in EVERYWHERE
    if host not in _PRIVATE:
        warnings.warn(
            f"listening on {host or 'all addresses'}: whoever has the address with its token can see the images and "
            "run models, and it goes over the network unencrypted; --host 127.0.0.1 is for you alone",
            FinewaveWarning,
            stacklevel=2,
        )
    _quiet()
    with tempfile.TemporaryDirectory(prefix="finewave-view-", ignore_cleanup_errors=True) as folder:
        offered = offered_models(models)
        jobs = Jobs(Path(folder), {name: each.source for name, each in offered.items()})
        site = Site(view, jobs, {name: each.label for name, each in offered.items()}, entries)
        sockets, port = _bind(host, port)
        token, secret = secrets.token_urlsafe(24), secrets.token_bytes(32)
        tornado = _server_class()(
            {"/": Application(FunctionHandler(site.fill))},
            access=Access(host, port, token),
            secret=secret,
            secret_key=secret,
            sign_sessions=True,
            include_headers=[],
            include_cookies=[],
            extra_websocket_origins=["*"],  # `Access` checks more
            extra_patterns=patterns(jobs, site.downloads, site.add_spectra),
            check_unused_sessions_milliseconds=_FORGET_MS // 2,
            unused_session_lifetime_milliseconds=_FORGET_MS,
            websocket_max_message_size_bytes=2**20,
        )
        http = HTTPServer(
            tornado, max_header_size=2**14, max_body_size=2**16, idle_connection_timeout=60, body_timeout=60
        )
        http.add_sockets(sockets)
        server = BaseServer(IOLoop.current(), tornado, http)
        try:
            _stop_by_signals(server.io_loop)
            server.start()
            name = LOCAL if anywhere else f"[{host}]" if ":" in host else host
            ready(f"http://{name}:{port}/?token={token}")
            with _quick_collections():
                server.io_loop.start()
        except KeyboardInterrupt:
            pass
        finally:
            with suppress(Exception):
                server.stop()
            ended = site.end(_PATIENCE)
    return ended


def _opened(
    result: str | Path | None,
    input: str | Path | None,
    reference: str | Path | None,
    half_width: str | Path | None,
) -> ScenePair | None:
    """Return the view of the command line, with half-widths that lie beside the result."""
    if result is None:
        given = {"input": input, "reference": reference, "uncertainty": half_width}
        for option, value in given.items():
            if value is not None:
                raise InputError(f"--{option} belongs to a result: finewave view RESULT --{option} {value}")
        return None
    if half_width is not None:
        return open_scene_pair(result, input, reference, half_width=half_width)
    beside = half_widths_beside(Path(result))
    view = open_scene_pair(result, input, reference)
    if beside is not None:
        try:
            view.half_width = half_widths_of(beside, view.result)
        except InputError as error:
            warnings.warn(f"half-widths are not shown: {error}", FinewaveWarning, stacklevel=3)
    return view


@contextmanager
def _quick_collections() -> Iterator[None]:
    """Have the garbage collector look at what pages make only, not at all that was loaded before them.

    Bokeh collects twice for every page that is gone. Each took a fifth of a second for libraries that stay anyway, in
    which no page was answered: pages came sooner than they were freed, and their memory piled up.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _server_class() -> type:
    """Return Bokeh's application behind `Access`."""
    from bokeh.server.tornado import BokehTornado

    from finewave.viz.server.access import Gated

    class Guarded(Gated, BokehTornado):
        """Bokeh's pages behind access control."""

    return Guarded


class Site:
    """The views available to pages: that of the command line, and those of uploads.

    Parameters
    ----------
    view : ScenePair or None
        None: the first page asks for a file.
    jobs : Jobs
    models : dict of str to str
        Names of the models that uploads may go through, with what a user should know to choose.
    library : tuple of LibrarySpectrum
        Spectra to compare with.
    """

    def __init__(
        self, view: ScenePair | None, jobs: Jobs, models: dict[str, str], library: tuple[LibrarySpectrum, ...] = ()
    ) -> None:
        from finewave.viz.server.transfer.downloads import Downloads
        from finewave.viz.server.transfer.library_store import LibraryStore

        self.view, self.jobs, self.models, self.library = view, jobs, models, LibraryStore(library)
        self.downloads = Downloads()
        self._uploads: dict[str, ScenePair] = {}
        self._pages: dict[str, ViewerSession] = {}
        jobs.forgotten = self._forget
        if view is not None:
            self.library.on_bands(view.result.wavelengths)  # before the first page: large libraries take seconds

    def end(self, seconds: float) -> bool:
        """Stop all work; return whether it stopped in time."""
        pages = [page.end(seconds) for page in self._pages.values()]
        return all([*pages, self.jobs.end(seconds)])

    def fill(self, document: Document) -> None:
        """Create a page in a new document, in the state given by its address."""
        from finewave.viz.server.jobs import LARGEST_SIDE, LARGEST_UPLOAD
        from finewave.viz.server.start_page import fill_start_page
        from finewave.viz.server.state import state_from_query
        from finewave.viz.server.viewer_session import ViewerSession

        context: Any = document.session_context
        arguments = context.request.arguments if context is not None and context.request is not None else {}
        query = {name: values[0].decode("utf-8", "replace") for name, values in arguments.items() if values}
        scene = query.get("scene", "")
        view = self._view(scene)
        uploaded = view is not self.view
        job = self.jobs.jobs[scene] if uploaded else None
        facts = {
            "scene": scene if uploaded else "",
            "notes": job.notes if job is not None else [],
            "has_result": job is not None and job.model != LOOK_ONLY,
            "gone": bool(scene) and not uploaded,
            "models": self.models,
            "limit_bytes": LARGEST_UPLOAD,
            "limit_side": LARGEST_SIDE,
            "theme": query.get("theme", "auto"),
            "page": secrets.token_urlsafe(9),
        }
        if view is None:
            fill_start_page(document, facts, partial(self.jobs.leave, facts["page"]))
            return
        page = ViewerSession(
            document,
            view,
            state_from_query(query, view),
            facts,
            self.downloads,
            self.library.on_bands(view.result.wavelengths),
            partial(self._left, facts),
        )
        self._pages[facts["page"]] = page
        if uploaded:
            self.jobs.jobs[scene].shown += 1

    async def add_spectra(self, entries: list[LibrarySpectrum], name: str, key: str) -> None:
        """Keep the spectra of a dropped file for all pages, and plot them on the one that has sent it.

        Raises
        ------
        InputError
            They are too many, or the page's image has no wavelengths.
        """
        from tornado.ioloop import IOLoop

        page = self._pages.get(key)
        centres = None if page is None else page.view.result.wavelengths
        if page is not None and centres is None:
            raise InputError(f"{page.view.result.title} has no wavelengths: no spectrum can be plotted beside its own")
        self.library.add(entries, name)
        if page is None:  # that asks for a file: they are there when an image is
            return
        library = await IOLoop.current().run_in_executor(None, self.library.on_bands, centres)
        if library is not None:
            page.use_library(library, self.library.positions(entries))

    def _left(self, facts: dict[str, Any], page: ViewerSession) -> None:
        """Handle a closed page."""
        self._pages.pop(facts["page"], None)
        self.jobs.leave(facts["page"])
        job = self.jobs.jobs.get(facts["scene"])
        if job is not None:
            job.shown -= 1

    def _forget(self, key: str) -> None:
        """Close the files of an upload."""
        view = self._uploads.pop(key, None)
        if view is not None:
            view.close()

    def _view(self, key: str) -> ScenePair | None:
        """Return the view of a finished upload, otherwise the first view."""
        job = self.jobs.jobs.get(key)
        if job is None or job.state != "done":
            return self.view
        if key not in self._uploads:
            if job.model == LOOK_ONLY:
                self._uploads[key] = open_scene_pair(job.scene)
                self._uploads[key].result.title = job.source.name
            else:
                self._uploads[key] = open_scene_pair(job.result, job.scene)
                self._uploads[key].layers["input"].title = job.source.name
        return self._uploads[key]


def _bind(host: str, port: int | None) -> tuple[list[Any], int]:
    """Return listening sockets and their port."""
    from bokeh.server.util import bind_sockets

    ports = [USUAL_PORT, 0] if port is None else [port]
    for number in ports:
        try:
            sockets, bound = bind_sockets(host or None, number)
            return list(sockets), int(bound)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and number != ports[-1]:
                continue
            if error.errno == errno.EADDRINUSE:
                raise InputError(f"port {number} is in use; choose another with --port (0 for any)") from error
            if error.errno in (errno.EACCES, errno.EPERM):
                raise InputError(f"port {number} is reserved; choose one above 1023 with --port") from error
            raise InputError(f"cannot listen on {host}: {error.strerror or error}") from error
    raise AssertionError  # the last one is bound or raises an error


def _stop_by_signals(loop: IOLoop) -> None:
    """Let Ctrl-C end the server, and remove uploads however it ends.

    The first Ctrl-C asks the loop to stop, as an interrupt during garbage collection would be lost. The second one
    interrupts.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    numbers = (signal.SIGINT, signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.default_int_handler)
        loop.asyncio_loop.call_soon_threadsafe(loop.stop)  # type: ignore[attr-defined]  # of Tornado's usual loop

    for each in numbers:
        signal.signal(each, stop)


def _quiet() -> None:
    """Keep the servers' own log lines off the terminal; errors stay."""
    for name in ("bokeh", "tornado.access", "tornado.application"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # messages of a closing page are no error, and an invalid message ends only its own socket
    logging.getLogger("bokeh.server.protocol_handler").setLevel(logging.CRITICAL)
