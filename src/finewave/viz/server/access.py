"""Access control of the viewer's server, checked before any handler sees a request."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import Application, OutputTransform, RequestHandler

if TYPE_CHECKING:
    from tornado.httputil import HTTPMessageDelegate

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy: only the page's own scripts. Inline styles are allowed, as Bokeh needs them."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
EVERYWHERE = ("", "0.0.0.0", "::")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?", re.IGNORECASE | re.ASCII)
_CODE = re.compile(r"/(static/js|page)/[\w.-]+|/favicon\.ico")
"""Paths of static files, which need no token."""
_DATA = re.compile(r"/|/ws|/upload|/library|/(jobs|results|saves)/[\w-]+")


class Access:
    """The rules of one server.

    Parameters
    ----------
    host : str
        Address that the server listens on.
    port : int
    token : str
        Token in the printed address; later sent as a cookie.
    """

    def __init__(self, host: str, port: int, token: str) -> None:
        self.token, self.cookie = token, f"finewave-{port}"
        self._anywhere = host in EVERYWHERE
        own = {socket.gethostname(), socket.getfqdn()} if self._anywhere else {host}
        self._names = {name.lower() for name in (*own, *_LOOPBACK)}

    def refusal(self, request: HTTPServerRequest) -> tuple[int, str] | None:
        """Return status and reason of a refusal; None if the request is allowed."""
        host = request.headers.get("Host", "")
        if not self._is_ours(host):
            return 403, "this server is not known by that name"
        if not (_CODE.fullmatch(request.path) or _DATA.fullmatch(request.path)):
            return 404, "there is nothing here"
        origin = request.headers.get("Origin")
        is_socket = request.path == "/ws"
        # browsers send the origin; requests from pages of other sites are refused
        if origin != f"http://{host}" and (is_socket or origin is not None):
            return 403, "the request comes from another page"
        if _CODE.fullmatch(request.path):
            return None
        if not self.is_known(request):
            return 403, "open the address that finewave view has printed, with its token"
        if any(name.startswith("bokeh-") for name in request.arguments) or "Bokeh-Session-Id" in request.headers:
            return 400, "sessions are made by the server"
        if request.path not in ("/", "/ws") and request.method != "GET" and not request.headers.get("X-Finewave"):
            return 403, "the request does not come from the page"
        return None

    def is_known(self, request: HTTPServerRequest) -> bool:
        """Whether a request carries the token, in its address or as a cookie."""
        tokens = [value.decode("latin-1") for value in request.query_arguments.get("token", [])]
        cookie = request.cookies.get(self.cookie)
        if cookie is not None:
            tokens.append(cookie.value)
        return any(hmac.compare_digest(each.encode(), self.token.encode()) for each in tokens)

    def _is_ours(self, host: str) -> bool:
        """Return whether a ``Host`` header names this server; protects against DNS rebinding.

        The port is ignored: a tunnel to this machine may use another one.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if not _HOST.fullmatch(host):
            return False
        if name in self._names:
            return True
        if not self._anywhere:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class Gated(Application):
    """Mixin for Tornado applications that applies `Access`.

    Parameters
    ----------
    access : Access
    secret : bytes
        Signs Bokeh's sessions: a socket opens only for a page that this server has made.
    """

    def __init__(self, *arguments: Any, access: Access, secret: bytes = b"", **settings: Any) -> None:
        self.access, self._secret = access, secret
        super().__init__(*arguments, **settings)
        self.add_transform(partial(_Headers, access))  # type: ignore[arg-type]  # called as a class would be

    def find_handler(  # type: ignore[override]  # its own type is private to tornado
        self, request: HTTPServerRequest, **arguments: Any
    ) -> HTTPMessageDelegate:
        """Return the handler of a request, which may be a refusal."""
        refusal = self.access.refusal(request)
        if refusal is None and request.path == "/ws" and not self._is_session(request):
            refusal = 403, "that is not a session of this server"
        if refusal is not None:
            status, words = refusal
            return self.get_handler_delegate(request, Refused, {"status": status, "words": words})
        return super().find_handler(request, **arguments)

    def _is_session(self, request: HTTPServerRequest) -> bool:
        from bokeh.util.token import check_token_signature

        offered = [part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        if len(offered) != 2 or offered[0] != "bokeh":
            return False
        try:
            return check_token_signature(offered[1], secret_key=self._secret, signed=True)
        except (ValueError, KeyError, TypeError):  # it is not a token at all
            return False


class Refused(RequestHandler):
    """Handler that answers with a refusal of one line."""

    def initialize(self, status: int, words: str) -> None:
        """Store the refusal."""
        self.status, self.words = status, words

    def prepare(self) -> None:
        """Answer before the method is dispatched."""
        self.set_status(self.status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"finewave: {self.words}\n")


class _Headers(OutputTransform):
    """Adds security headers to every response, and the cookie if the token is valid."""

    def __init__(self, access: Access, request: HTTPServerRequest) -> None:
        self._access, self._request = access, request

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        for name in [name for name in headers if name.lower().startswith("access-control-") or name == "Server"]:
            del headers[name]
        headers.update(HEADERS)
        if not _CODE.fullmatch(self._request.path):
            headers["Cache-Control"] = "no-store"
        if status_code == 200 and "token" in self._request.query_arguments and self._access.is_known(self._request):
            value = f"{self._access.cookie}={self._access.token}; Path=/; HttpOnly; SameSite=Strict"
            headers.add("Set-Cookie", value)
        return status_code, headers, chunk
