"""HTTP requests by Python: existence and metadata of a file, its first bytes, or a small file."""

from __future__ import annotations

import base64
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from finewave.errors import InputError
from finewave.io.network import location
from finewave.io.network.location import Remote

_BEGINNING = 1024
_PIECE = 2**16
_OF_URLS = "%/?:@!$&'()*+,;=[]"
"""Not escaped, like letters and digits: what is escaped already stays as it is."""
_WHY = {
    401: "it needs a user and password (401)",
    403: "access is denied (403); a signed link may have expired",
    404: "there is no such file (404)",
    410: "it is no longer there (410)",
    416: "it is empty (416)",
    429: "the server asks for fewer requests (429); try again later",
}


@dataclass(frozen=True)
class HttpMetadata:
    """HTTP metadata of a file.

    Attributes
    ----------
    beginning : bytes
        Its first bytes, a thousand at most.
    size : int or None
        Size in bytes, if stated.
    ranges : bool
        Whether range requests are supported.
    stamp : str
        Identifier that changes with the file, if the server provides one.
    """

    beginning: bytes
    size: int | None
    ranges: bool
    stamp: str


def look_at(remote: Remote) -> HttpMetadata:
    """Ask for the first bytes of a file.

    Raises
    ------
    InputError
        It cannot be reached; the message has the URL without secrets.
    """
    with _opened(remote, {"Range": f"bytes=0-{_BEGINNING - 1}"}) as answer:
        headers = answer.headers
        beginning = _piece(remote, answer, _BEGINNING)
        ranges = answer.status == 206
        total = (headers.get("Content-Range") or "").rpartition("/")[2] if ranges else headers.get("Content-Length")
        size = int(total) if total and total.isdigit() else None
        stamp = " ".join(str(headers.get(name, "")) for name in ("ETag", "Last-Modified"))
    return HttpMetadata(beginning, size, ranges, f"{size} {stamp}")


def fetched(remote: Remote, most: int) -> bytes:
    """Return a complete file up to a maximum size.

    Raises
    ------
    InputError
        It cannot be reached, is larger, takes longer than ten requests may, or does not arrive whole.
    """
    deadline = time.monotonic() + 10 * location.REQUEST_SECONDS
    content = bytearray()
    with _opened(remote, {}) as answer:
        while piece := _piece(remote, answer):
            content += piece
            if len(content) > most:
                raise InputError(f"cannot read {remote}: it has more than {most / 2**20:.0f} MB; download it first")
            if time.monotonic() > deadline:
                raise InputError(f"cannot read {remote}: the server is too slow; download it first")
        stated = answer.headers.get("Content-Length") or ""
    if stated.isdigit() and len(content) < int(stated):
        raise InputError(
            f"cannot read {remote}: the connection ended after {len(content)} of {stated} bytes; try again"
        )
    return bytes(content)


def _piece(remote: Remote, answer: Any, size: int = _PIECE) -> bytes:
    try:
        return answer.read(size)
    except (OSError, HTTPException) as error:
        raise InputError(f"cannot read {remote}: {_trouble(error)}") from error


def _opened(remote: Remote, headers: dict[str, str]) -> Any:
    parts = urlsplit(remote.url)
    user, separator, host = parts.netloc.rpartition("@")
    path, query = (quote(each, safe=_OF_URLS) for each in (parts.path or "/", parts.query))
    request = urllib.request.Request(urlunsplit((parts.scheme, host, path, query, "")), headers=headers)
    if separator:  # not for the server of a redirection, which may be another one
        word = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {word}")
    try:
        # remote_of passes only http and https
        return urllib.request.urlopen(request, timeout=location.CONNECT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        why = _WHY.get(error.code, f"the server answers {error.code}")
        raise InputError(f"cannot read {remote}: {why}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise InputError(f"cannot read {remote}: {_trouble(error)}") from error


def _trouble(error: BaseException) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"the server did not answer within {location.CONNECT_SECONDS} s"
    if isinstance(reason, socket.gaierror):
        return "its host is not known; check the name and the network"
    if isinstance(reason, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(reason, ssl.SSLError):
        return "the certificate of its server is not trusted"
    if isinstance(reason, OSError):
        return f"the connection failed ({reason.strerror or type(reason).__name__})"
    return f"the answer cannot be used ({type(reason).__name__})"
