"""A stand-in for the Hugging Face Hub on 127.0.0.1: as much of its protocol as pushing and loading a model needs.

Repositories live in memory. A commit is a set of files by name; its number is the sha1 of them. Weights go the way of
large files (git LFS), all else within the commit, as on the real Hub.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_for_tests"


@dataclass
class Repository:
    """Commits by number, and branches and tags by name."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, bytes], branch: str = "main", message: str = "") -> str:
        """Add files to a branch and return the number of the commit."""
        tree = {**self.commits.get(self.refs.get(branch, ""), {}), **files}
        number = hashlib.sha1(repr(sorted(tree.items())).encode() + str(len(self.commits)).encode()).hexdigest()
        self.commits[number], self.refs[branch] = tree, number
        self.messages.append(message)
        return number

    def number_of(self, revision: str) -> str | None:
        """Return the commit that a branch, tag or number names."""
        return self.refs.get(revision, revision if revision in self.commits else None)


class Hub:
    """The server's state, and what tests look at."""

    def __init__(self) -> None:
        self.url = ""
        self.repositories: dict[str, Repository] = {}
        self.large_files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.failing: int | None = None  # a status with which everything is answered


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(self._read)

    def do_HEAD(self) -> None:
        self._answer(self._read)

    def do_POST(self) -> None:
        self._answer(self._write)

    def do_PUT(self) -> None:
        self._answer(self._write)

    def _answer(self, method: Any) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append(f"{self.command} {self.path}")
        if self.hub.failing is not None:
            self._send(self.hub.failing, {"error": "out of order"})
        else:
            method([unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")])

    def _send(self, status: int, content: Any, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _authorised(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repository(self, name: str) -> Repository | None:
        """Return a repository; send that it is not there if it is not, or is none of the asker's business."""
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not self._authorised()):
            self._send(401, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            return None
        return repository

    def _read(self, parts: list[str]) -> None:
        if len(parts) < 4:
            self._send(404, {"error": "Not found"})
            return
        if parts[:2] == ["api", "models"]:
            repository = self._repository("/".join(parts[2:4]))
            kind, *rest = parts[4:] or ["revision", "main"]
            revision = "/".join(rest) or "main"
        else:
            repository = self._repository("/".join(parts[:2]))
            kind, revision, *path = parts[2:]
        if repository is None:
            return
        number = repository.number_of(revision)
        if number is None:
            self._send(404, {"error": "Invalid rev id"}, X_Error_Code="RevisionNotFound")
            return
        files = repository.commits[number]
        if kind == "revision":
            siblings = [{"rfilename": name} for name in files]
            self._send(200, {"id": "x", "modelId": "x", "sha": number, "siblings": siblings, "private": False})
        elif kind == "tree":
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in files.items()
            ]
            self._send(200, entries)
        elif kind == "resolve" and "/".join(path) in files:
            content = files["/".join(path)]
            etag = hashlib.sha256(content).hexdigest()
            self._send(200, content, ETag=f'"{etag}"', X_Repo_Commit=number)
        else:
            self._send(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")

    def _write(self, parts: list[str]) -> None:
        if parts[0] == "large-files":  # where the batch below sends them; signed addresses need no token
            self.hub.large_files[parts[1]] = self.body
            self._send(200, {})
        elif parts == ["api", "validate-yaml"]:
            self._send(200, {"errors": [], "warnings": []})
        elif not self._authorised():
            self._send(401, {"error": "Invalid username or password."})
        elif parts == ["api", "repos", "create"]:
            asked = json.loads(self.body)
            name = f"{asked['organization']}/{asked['name']}"
            status = 409 if name in self.hub.repositories else 200
            private = asked.get("visibility") == "private" or bool(asked.get("private"))
            repository = self.hub.repositories.setdefault(name, Repository(private))
            if status == 200:
                repository.commit({".gitattributes": b""})
            self._send(status, {"url": f"{self.hub.url}/{name}", "id": name})
        elif parts[-3:] == ["lfs", "objects", "batch"]:
            objects = [
                {**each, "actions": {"upload": {"href": f"{self.hub.url}/large-files/{each['oid']}"}}}
                for each in json.loads(self.body)["objects"]
            ]
            self._send(200, {"transfer": "basic", "objects": objects})
        else:
            repository = self._repository("/".join(parts[2:4]))
            if repository is not None:
                self._write_repository(repository, "/".join(parts[2:4]), parts[4], "/".join(parts[5:]))

    def _write_repository(self, repository: Repository, name: str, kind: str, revision: str) -> None:
        if kind == "branch":
            exists = revision in repository.refs
            repository.refs.setdefault(revision, repository.refs["main"])
            self._send(409 if exists else 200, {})
        elif kind == "preupload":
            files = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for each in json.loads(self.body)["files"]
            ]
            self._send(200, {"files": files})
        elif kind == "commit" and revision in repository.refs:
            files, message = {}, ""
            for line in self.body.splitlines():
                operation = json.loads(line)
                value = operation["value"]
                if operation["key"] == "header":
                    message = value["summary"]
                elif operation["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif operation["key"] == "lfsFile":
                    files[value["path"]] = self.hub.large_files[value["oid"]]
            number = repository.commit(files, revision, message)
            self._send(200, {"commitUrl": f"{self.hub.url}/{name}/commit/{number}", "commitOid": number})
        else:
            self._send(404, {"error": "Invalid rev id"}, X_Error_Code="RevisionNotFound")


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Serve until the end of the block."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
