"""A Hugging Face hub on the loopback interface: the few routes that `pull` uses, and ways to misbehave."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """What the hub has and did. `files` maps repo -> path -> bytes; `sent` counts body bytes by path."""

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)  # paths kept in LFS: their sha256 is listed
    gated: set[str] = field(default_factory=set)
    gated_bodies: set[str] = field(default_factory=set)  # repositories that list their files to everybody
    token: str = ""  # what opens a gated repository
    corrupt: set[str] = field(default_factory=set)  # paths whose body has one wrong byte
    cut_after: dict[str, list[int]] = field(default_factory=dict)  # path -> for each request, bytes before it hangs up
    ignore_range: bool = False
    status: int = 200
    on_bytes: Callable[[str, int], None] | None = None
    requests: list[tuple[str, str, str | None, str | None]] = field(default_factory=list)  # method, path, range, auth
    sent: dict[str, int] = field(default_factory=dict)
    url: str = ""

    def bodies(self) -> list[tuple[str, str | None]]:
        """(path, range) of each request for a file's bytes."""
        return [(path, ranged) for method, path, ranged, _ in self.requests if method == "GET" and "/resolve/" in path]


@contextmanager
def serve(hub: FakeHub) -> Iterator[FakeHub]:
    """Answer on a free port until the block ends."""

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def blob_id(data: bytes) -> str:
    """What git calls the content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """The two routes."""
        path = unquote(urlsplit(self.path).path)
        auth = self.headers.get("Authorization")
        self.hub.requests.append(("GET", path, self.headers.get("Range"), auth))
        if self.hub.status != 200:
            self._answer(self.hub.status, b"{}")
            return
        listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
        resolved = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = listing or resolved
        if match is None or match[1] not in self.hub.files:
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif (
            match[1] in (self.hub.gated if listing else self.hub.gated | self.hub.gated_bodies)
            and auth != f"Bearer {self.hub.token}"
        ):
            self._answer(401, b"{}", {"X-Error-Code": "GatedRepo"})
        elif listing and listing[2] not in (None, "main", COMMIT):
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif listing:
            self._answer(200, json.dumps(self._info(listing[1])).encode(), {"Content-Type": "application/json"})
        elif resolved:
            self._file(resolved[3], self.hub.files[resolved[1]].get(resolved[3]))

    def _info(self, repo: str) -> dict[str, Any]:
        siblings = []
        for name, data in self.hub.files[repo].items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": blob_id(data)}
            if name in self.hub.large:
                entry["lfs"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 134}
            siblings.append(entry)
        return {
            "id": repo,
            "modelId": repo,
            "sha": COMMIT,
            "siblings": siblings,
            "tags": [],
            "gated": "auto" if repo in self.hub.gated_bodies else False,
        }

    def _file(self, name: str, data: bytes | None) -> None:
        if data is None:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        if name in self.hub.corrupt:
            data = data[:-1] + bytes([data[-1] ^ 1])
        begin, status, headers = 0, 200, {}
        ranged = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if ranged and not self.hub.ignore_range:
            begin, status = int(ranged[1]), 206
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        body = data[begin:]
        cuts = self.hub.cut_after.get(name)
        cut = cuts.pop(0) if cuts else len(body)
        self.send_response(status)
        for key, text in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, text)
        self.end_headers()
        for at in range(0, min(cut, len(body)), 4096):
            piece = body[at : min(at + 4096, cut)]
            try:
                self.wfile.write(piece)
            except OSError:
                self.close_connection = True
                return
            self.hub.sent[name] = self.hub.sent.get(name, 0) + len(piece)
            if self.hub.on_bytes:
                self.hub.on_bytes(name, at + len(piece))
        if cut < len(body):
            self.close_connection = True

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, text in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, text)
        self.end_headers()
        self.wfile.write(body)
