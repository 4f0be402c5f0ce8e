"""A server on this machine that speaks as much of the Hub's protocol as its client asks for.

Also files at plain URLs: the attribute `files`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class FakeHub(ThreadingHTTPServer):
    """Repositories by name and revision, each a commit and its files."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commit(self, files: dict[str, bytes]) -> str:
        return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()

    def revision(self, repository: str, name: str) -> tuple[str, dict[str, bytes]] | None:
        revisions = self.repositories.get(repository, {})
        for branch, files in revisions.items():
            commit = self.commit(files)
            if name in (branch, commit):
                return commit, files
        return None


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._get()

    def do_GET(self) -> None:
        self._get()

    def _get(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        if path in self.server.files:
            self._answer(200, self.server.files[path])
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._info(found[1], found[2] or "main")
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+).*", path):
            self._tree(found[1], found[2])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(*found.groups())
        else:
            self._answer(404)

    def _known(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if repository not in self.server.repositories:
            self._answer(404, headers={"X-Error-Code": "RepoNotFound"})
            return None
        found = self.server.revision(repository, revision)
        if found is None:
            self._answer(404, headers={"X-Error-Code": "RevisionNotFound"})
        return found

    def _info(self, repository: str, revision: str) -> None:
        if found := self._known(repository, revision):
            commit, files = found
            siblings = [{"rfilename": name} for name in files]
            self._json(
                {"_id": "1", "id": repository, "modelId": repository, "sha": commit}
                | {"siblings": siblings, "private": False, "tags": [], "downloads": 0, "likes": 0}
            )

    def _tree(self, repository: str, revision: str) -> None:
        if found := self._known(repository, revision):
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": _git_hash(data)}
                for name, data in found[1].items()
            ]
            self._json(entries)

    def _file(self, repository: str, revision: str, name: str) -> None:
        if found := self._known(repository, revision):
            commit, files = found
            if name not in files:
                self._answer(404, headers={"X-Error-Code": "EntryNotFound"})
                return
            etag = f'"{hashlib.sha256(files[name]).hexdigest()}"'
            self._answer(200, files[name], {"X-Repo-Commit": commit, "ETag": etag})

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.server.requests.append(f"POST {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = "/".join(filter(None, (wanted.get("organization"), wanted["name"])))
            if "private" in (
                wanted.get("visibility"),
                wanted.get("private") and "private",
            ) and "secret" not in self.headers.get("Authorization", ""):
                self._answer(401, b'{"error": "Invalid username or password."}')
                return
            self.server.repositories.setdefault(name, {"main": {}})
            self._json({"url": f"{self.server.url}/{name}", "name": name, "id": "1"})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/branch/(.+)", path):
            self.server.repositories[found[1]].setdefault(found[2], {})
            self._json({})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/(.+)", path):
            files = json.loads(body)["files"]
            answer = {"uploadMode": "regular", "shouldIgnore": False}
            self._json({"files": [{"path": file["path"], **answer} for file in files]})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/(.+)", path):
            self._commit(found[1], found[2], body, parse_qs(url.query))
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        else:
            self._answer(404)

    def _commit(
        self, repository: str, branch: str, body: bytes, _query: dict[str, list[str]]
    ) -> None:
        files = self.server.repositories[repository].setdefault(branch, {})
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        url = f"{self.server.url}/{repository}/commit/1"
        self._json({"commitUrl": url, "commitOid": self.server.commit(files)})

    def _json(self, document: Any) -> None:
        self._answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _answer(
        self, status: int, data: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def serving() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
