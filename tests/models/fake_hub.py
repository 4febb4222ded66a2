"""A model hub on this machine that speaks as much of the hub's language as fetching needs, and misbehaves."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PAGE = b"<!doctype html><html><body>Please log in to the network of Hotel Miramar.</body></html>"


@dataclass
class FakeHub:
    """What is on the hub, and how it behaves.

    Attributes:
        files: Content by path; paths ending in ``.safetensors`` are large files to it.
        address: Where it listens.
        cut: Bytes after which the connection breaks, once a file for each entry.
        served: Content it really sends, where that is not what it announces.
        slow: Seconds before a file comes.
        asked: ``(path, range)`` of each request.
    """

    files: dict[str, bytes]
    commit: str = COMMIT
    address: str = ""
    cut: dict[str, list[int]] = field(default_factory=dict)
    served: dict[str, bytes] = field(default_factory=dict)
    page: bool = False
    slow: float = 0.0
    asked: list[tuple[str, str]] = field(default_factory=list)

    def about(self) -> dict[str, object]:
        """The answer of the model API, with sizes and hashes."""
        siblings = []
        for name, data in self.files.items():
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entry: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": git}
            if name.endswith(".safetensors"):
                sha256 = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        return {"_id": "1", "id": "someone/thing", "sha": self.commit, "siblings": siblings, "tags": []}

    def requests(self, name: str) -> list[str]:
        """Ranges of the requests for one file."""
        return [asked for path, asked in self.asked if path.endswith(f"/{name}")]


@contextmanager
def fake_hub(files: dict[str, bytes]) -> Iterator[FakeHub]:
    """Listens on a port of its own until the end."""
    hub = FakeHub(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            path = self.path.partition("?")[0]
            hub.asked.append((path, asked))
            found = re.fullmatch(r"/someone/thing/resolve/(\w+)/(.+)", path)
            if hub.page:
                self.answer(200, PAGE, "text/html")
            elif path.startswith("/api/models/someone/thing"):
                self.answer(200, json.dumps(hub.about()).encode(), "application/json")
            elif found and found[2] in hub.files:
                threading.Event().wait(hub.slow)
                self.send_file(found[2], asked)
            else:
                self.answer(404, b"{}", "application/json", {"X-Error-Code": "RepoNotFound"})

        def answer(self, code: int, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
            self.send_response(code)
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(body)),
                **(more or {}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def send_file(self, name: str, asked: str) -> None:
            data = hub.served.get(name, hub.files[name])
            start = int(re.findall(r"\d+", asked)[0]) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(data) - start))
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            breaks = hub.cut.get(name)
            if breaks:
                self.wfile.write(data[start : breaks.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(data[start:])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign,assignment]
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
