"""A receiver of OTLP over HTTP that keeps what it is sent, byte for byte."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self


class Post(NamedTuple):
    """One request: its path (`/v1/traces`, `/v1/logs`), content type, body without compression, and when it came."""

    path: str
    content_type: str
    body: bytes
    at_ms: int


class Sink:
    """An HTTP server on a free loopback port; it takes everything."""

    def __init__(self) -> None:
        self._posts: list[Post] = []
        posts, lock = self._posts, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                kind = self.headers["Content-Type"]
                with lock:
                    posts.append(Post(self.path, kind, body, time.time_ns() // 1_000_000))
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name for it
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """What exporters call the endpoint: without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def posts(self) -> list[Post]:
        """All requests so far, in their order."""
        return list(self._posts)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
