"""Raw requests to a running server, as no browser sends them."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finewave.viz.server.access import POLICY
from tests.viz.browser.conftest import TOKENS, running
from tests.viz.views import write_view


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running(write_view(tmp_path_factory.mktemp("files"))["result"]) as address:
        yield int(address.split(":")[2].strip("/"))


def token(port: int) -> str:
    return TOKENS[f"127.0.0.1:{port}"]


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return bool(end and length) and len(body) >= int(length[1])


def raw(port: int, data: bytes, seconds: float = 10.0, half: bool = False, one: bool = False) -> bytes:
    """Send bytes and return what comes back; ``half``: say that no more will come; ``one``: one answer is all."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(data)
        if half:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
                if answer.startswith(b"HTTP/1.1 101") or (one and is_whole(answer)):
                    break
        except (ConnectionResetError, TimeoutError):
            pass
        return answer


def ask(port: int, path: str, method: str = "GET", host: str | None = None, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{port}'}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    # a refused WebSocket keeps its connection, as its `Connection: Upgrade` says
    return raw(port, "\r\n".join([*lines, "", ""]).encode("latin-1") + body, one=True)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


SOCKET = {
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec_WebSocket_Protocol": "bokeh, made.up",
}


def test_only_those_with_the_token_see_the_page(port: int) -> None:
    assert status(ask(port, "/")) == 403
    assert status(ask(port, "/?token=")) == 403
    assert status(ask(port, "/?token=wrong")) == 403
    assert status(ask(port, "/", Cookie=f"finewave-{port}=wrong")) == 403
    answer = ask(port, f"/?token={token(port)}")
    assert status(answer) == 200
    assert f"Set-Cookie: finewave-{port}={token(port)}; Path=/; HttpOnly; SameSite=Strict".encode() in answer
    assert status(ask(port, "/", Cookie=f"finewave-{port}={token(port)}")) == 200
    assert status(ask(port, "/saves/nothing")) == 403
    assert status(ask(port, "/page/page.js")) == 200
    assert status(ask(port, "/static/js/bokeh.min.js")) == 200


def test_the_page_says_what_it_waits_for(port: int) -> None:
    page = ask(port, f"/?token={token(port)}").decode()
    assert '<p id="loading" class="cover" role="status">Reading result.tif …</p>' in page
    assert '<output id="band-name" for="band">550 nm</output>' in page  # before any script runs
    assert 'aria-busy="true"' in page


def test_headers_bound_the_page(port: int) -> None:
    for path in (f"/?token={token(port)}", "/", "/page/page.js", "/nothing", "/static/js/bokeh.min.js"):
        head = ask(port, path).split(b"\r\n\r\n")[0].decode()
        assert f"Content-Security-Policy: {POLICY}" in head
        assert "X-Content-Type-Options: nosniff" in head
        assert "access-control" not in head.lower()
    assert "unsafe-eval" not in POLICY
    assert "script-src 'self';" in POLICY


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example",
        "evil@127.0.0.1",
        "[::ffff:1]",
        "a b",
        "127.1",
        "localhost.",
        "127.0.0.1.:{port}",
        "localhost:evil",
        "localhost:{port}:80",
        "localhost:",
        "[::1",
        "[::1]evil",
        "[127.0.0.1]",
        "localhost/evil.example",
        "localhost#@evil.example",
        "localhost, evil.example",
        "2130706433",
        "0x7f.1",
        "0.0.0.0",
        "\xe9localhost",
    ],
)
def test_another_name_is_refused(port: int, host: str) -> None:
    known = f"?token={token(port)}"
    assert status(ask(port, f"/{known}", host=host.format(port=port))) in (400, 403)
    assert status(ask(port, "/page/page.js", host=host.format(port=port))) in (400, 403)
    own = {**SOCKET, "Origin": f"http://{host.format(port=port)}"}
    assert status(ask(port, f"/ws{known}", host=host.format(port=port), **own)) in (400, 403)
    assert status(raw(port, b"GET / HTTP/1.0\r\n\r\n", half=True)) in (0, 400, 403)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "LOCALHOST:9", "[::1]:9", "[::1]"])
def test_a_tunnel_has_another_port(port: int, host: str) -> None:
    assert status(ask(port, f"/?token={token(port)}", host=host)) == 200


def test_sockets_open_for_own_pages_only(port: int) -> None:
    known, own = f"/ws?token={token(port)}", f"http://127.0.0.1:{port}"
    assert status(ask(port, known, **SOCKET)) == 403
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", f"http://localhost:{port}"):
        assert status(ask(port, known, **SOCKET, Origin=origin)) == 403
    assert status(ask(port, "/ws", **SOCKET, Origin=own)) == 403
    assert status(ask(port, known, **SOCKET, Origin=own)) == 403  # a session that the server has not made
    for offered in ("", "bokeh", "bokeh, e30", "bokeh, e30.e30", "bokeh, \xff.\xff", "other, a.b", "bokeh, a, b"):
        assert status(ask(port, known, **{**SOCKET, "Sec_WebSocket_Protocol": offered}, Origin=own)) in (400, 403)


def test_a_session_does_not_open_for_another_page(port: int) -> None:
    """Even with the token and a session that the server has made."""
    page = ask(port, f"/?token={token(port)}").decode()
    session = re.search(r'"token":"([\w.-]+)"', page) or re.search(r"[\w-]{40,}\.[\w-]{20,}", page)
    assert session is not None
    key = session[session.re.groups]
    known, own = f"/ws?token={token(port)}", f"http://127.0.0.1:{port}"
    offered = {**SOCKET, "Connection": "Upgrade", "Sec_WebSocket_Protocol": f"bokeh, {key}"}
    others = (
        "http://evil.example",
        "null",
        "file://",
        "file:///tmp/a.html",
        f"http://127.0.0.1:{port + 1}",
        "",
        own + "/",
    )
    for origin in (*others, f"{own}, http://evil.example", own.upper(), f"http://127.0.0.1:{port}.evil.example"):
        assert status(ask(port, known, **offered, Origin=origin)) == 403, origin
    assert status(ask(port, known, **offered)) == 403
    assert status(ask(port, known, **offered, Origin=own)) == 101


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_pages_cannot_send(port: int, method: str) -> None:
    known = f"?token={token(port)}&name=a.png&model=jssunet-photo-x4"
    for path in (f"/upload{known}", f"/jobs/a{known}"):
        assert status(ask(port, path, method, body=b"x")) == 403
        assert status(ask(port, path, method, body=b"x", X_Finewave="1", Origin="http://evil.example")) == 403
        for origin in ("null", "file://", "", f"http://localhost:{port}", f"https://127.0.0.1:{port}"):
            assert status(ask(port, path, method, body=b"x", X_Finewave="1", Origin=origin)) == 403


@pytest.mark.parametrize(
    "path",
    [
        "/page/../server.py",
        "/page/%2e%2e/server.py",
        "/page/..%2fserver.py",
        "/page//etc/passwd",
        "/page/%00",
        "/static/js/../../__init__.py",
        "/static/../../server.py",
        "/static/extensions/../../etc/passwd",
        "/results/../../etc/passwd",
        "/results/..%2f..%2fetc%2fpasswd",
        "/saves/../../etc/passwd",
        "/saves/..%2f..%2fetc%2fpasswd",
        "/saves/nothing",
        "/jobs/%2e%2e",
        "//etc/passwd",
        "/page/....//server.py",
        "/page/%252e%252e/server.py",
        "/page/..\\server.py",
        "/page/page.js/",
        "/page/page.js%00.png",
        "/page/",
        "/page/.",
        "/static/js/",
        "/./page/../upload/..",
        "/%2f%2fevil.example/..",
        "/;/upload",
        "/results/a/../../jobs",
        "/autoload.js",
        "/metadata",
    ],
)
def test_paths_lead_nowhere_else(port: int, path: str) -> None:
    answer = ask(port, f"{path}?token={token(port)}")
    assert 400 <= status(answer) < 500
    assert b"import" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    "data",
    [
        b"GET /?token=T&bokeh-session-id=x HTTP/1.1\r\nHost: H\r\n\r\n",
        b"GET /?token=T&bokeh-token=%ff HTTP/1.1\r\nHost: H\r\n\r\n",
        b"GET /?token=%ff%fe HTTP/1.1\r\nHost: H\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: H\r\nCookie: \xff=\xff; =; finewave\r\n\r\n",
        b"POST /upload?token=T HTTP/1.1\r\nHost: H\r\nX-Finewave: 1\r\nContent-Length: many\r\n\r\n",
        b"POST /upload?token=T HTTP/1.1\r\nHost: H\r\nX-Finewave: 1\r\nContent-Length: -1\r\n\r\n",
        b"POST /upload?token=T&name=%00%ff.png&model=%ff HTTP/1.1\r\nHost: H\r\nX-Finewave: 1\r\n\r\n",
        b"POST /upload?token=T&model=jssunet-photo-x4&name=" + b"%F0%9F%98%80" * 80
        + b".png HTTP/1.1\r\nHost: H\r\nX-Finewave: 1\r\nContent-Length: 1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: H\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST /upload?token=T HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nHost: H\r\nHost: evil.example\r\n\r\n",
        b"GET http://evil.example/?token=T HTTP/1.1\r\nHost: H\r\n\r\n",
        b"GET /?" + b"a" * 20000 + b" HTTP/1.1\r\nHost: H\r\n\r\n",
        b"GET http://H/?token=T HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: H\r\nhost: H\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: H\r\n\r\n",
        b"GET  /?token=T  HTTP/1.1\r\nHost: H\r\n\r\n",
        b"BREW /?token=T HTTP/1.1\r\nHost: H\r\n\r\n",
        b"CONNECT evil.example:80 HTTP/1.1\r\nHost: H\r\n\r\n",
        b"TRACE /?token=T HTTP/1.1\r\nHost: H\r\n\r\n",
        b"GET /?token=T HTTP/1.1\r\nHost: H\r\nX: a\x00b\r\n\r\n",
        b"GET /?token=T HTTP/1.1\r\nHost: H\r\nX : a\r\n\r\n",
        b"GET /?token=T HTTP/1.1\r\n Host: H\r\n\r\n",
        b"GET /jobs/a?token=T HTTP/1.1\r\nHost: H\r\nRange: bytes=0-,0-,0-,5-1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: H\r\n" + b"X: a\r\n" * 4000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: H\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: H\r\nCookie: " + b"a=b; " * 3000 + b"\r\n\r\n",
        b"POST /upload?token=T HTTP/1.1\r\nHost: H\r\nX-Finewave: 1\r\n"
        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        b"POST /upload?token=T HTTP/1.1\r\nHost: H\r\nX-Finewave: 1\r\nContent-Length: +1\r\n\r\nx",
        b"POST /upload?token=T HTTP/1.1\r\nHost: H\r\nX-Finewave: 1\r\nContent-Length: 0x1\r\n\r\nx",
        b"POST /upload?token=T HTTP/1.1\r\nHost: H\r\nX-Finewave: 1\r\n"
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /upload?token=T HTTP/1.1\r\nHost: H\r\nX-Finewave: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
        b"POST /upload?token=T HTTP/1.1\r\nHost: H\r\nX-Finewave: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"f" * 5000 + b"\r\nx",
        b"POST /upload?token=T HTTP/1.1\r\nHost: H\r\nX-Finewave: 1\r\nContent-Encoding: gzip\r\n"
        b"Content-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\xff\xff\xff\xff\r\n\r\n",
    ],
)  # fmt: skip
def test_malformed_requests_are_no_fault_of_the_server(port: int, data: bytes) -> None:
    data = data.replace(b"=T", f"={token(port)}".encode()).replace(b"Host: H", f"Host: 127.0.0.1:{port}".encode())
    answer = raw(port, data, half=True)
    assert status(answer) < 500
    assert status(answer) != 200


@pytest.mark.parametrize("path", ["/", "/upload", "/page/page.js"])
def test_no_request_hides_in_the_body_of_another(port: int, path: str) -> None:
    """Length and chunks that contradict each other: what follows is not read as a request of its own."""
    hidden = f"GET /?token={token(port)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    for lengths in (
        f"Content-Length: {5 + len(hidden)}\r\nTransfer-Encoding: chunked",
        f"Transfer-Encoding: chunked\r\nContent-Length: {5 + len(hidden)}",
        "Content-Length: 5\r\nTransfer-Encoding: xchunked",
        "Content-Length: 5, 5\r\nContent-Length: 4",
    ):
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Finewave: 1\r\n{lengths}\r\n\r\n0\r\n\r\n"
        answer = raw(port, head.encode() + hidden, half=True)
        assert status(answer) in (0, 400, 403, 405), answer[:200]
        assert answer.count(b"HTTP/1.1 ") <= 1


def test_idle_connections_hold_nobody_up(port: int) -> None:
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(400)]
    assert status(ask(port, f"/?token={token(port)}")) == 200
    for connection in idle:
        connection.close()
    assert status(ask(port, f"/?token={token(port)}")) == 200


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_who_sends_without_end_is_given_up(port: int) -> None:
    """A head byte by byte, a body byte by byte, and none at all: each is closed, by the server's limit of a minute."""
    known = f"?token={token(port)}"
    head = f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Finewave: 1\r\n"
    begun = {
        "head": f"GET /{known}{head}X: ",
        "page": f"POST /{known}{head}Content-Length: 60000\r\n\r\n",
        "job": f"DELETE /jobs/a{known}{head}Content-Length: 60000\r\n\r\n",
        "nothing": "",
    }
    open_still = {name: socket.create_connection(("127.0.0.1", port)) for name in begun}
    for name, connection in open_still.items():
        connection.sendall(begun[name].encode())
        connection.setblocking(False)
    for _ in range(200):
        for name, connection in list(open_still.items()):
            try:
                if name != "nothing":
                    connection.send(b"a")
                ended = connection.recv(65536) == b""
            except BlockingIOError:
                continue
            except OSError:
                ended = True
            if ended:
                open_still.pop(name).close()
        if not open_still:
            break
        time.sleep(1)
    assert not open_still
    assert status(ask(port, f"/{known}")) == 200


NAMES = ["left", "mode", "rgb", "band", "at", "pick", "theme", "scene", "swipe", "stretch", "map"]
ODD = [b"nan", b"inf,inf,inf", b"1e308", b"-1,-1,1e8,1e8", b"0,0,0,0"]
VALUE = st.one_of(st.binary(max_size=12), st.sampled_from(ODD))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUE), max_size=4))
def test_no_address_makes_the_server_stumble(port: int, query: list[tuple[str, bytes]]) -> None:
    parts = [f"{name}={''.join(f'%{byte:02x}' for byte in value)}" for name, value in query]
    assert status(ask(port, f"/?token={token(port)}&{'&'.join(parts)}")) == 200


def test_a_client_that_stalls_holds_nobody_up(port: int) -> None:
    stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
    for number, connection in enumerate(stalled):
        head = f"POST /upload?token={token(port)}&name=a.png&model=jssunet-photo-x4 HTTP/1.1\r\n"
        connection.sendall(head.encode()[: 40 + number] if number % 2 else head.encode() + b"Host: 127.0.0.1\r\n")
    assert status(ask(port, f"/?token={token(port)}")) == 200
    for connection in stalled:
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):  # neither answered nor closed: the page did not wait for them
            connection.recv(1)
        connection.close()


def test_it_listens_on_this_machine_alone(port: int) -> None:
    tables = [table for name in ("tcp", "tcp6") if (table := Path("/proc/net") / name).exists()]
    lines = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    listening = [fields[1] for fields in lines if fields[3] == "0A"]
    ours = [address for address in listening if int(address.split(":")[1], 16) == port]
    assert ours == ["0100007F:" + f"{port:04X}"] or not tables
