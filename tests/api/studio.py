"""A Label Studio as far as a backend sees it: files behind a token, on a port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "legacy-token"


@dataclass
class Studio:
    """Attributes:
    url: Of its front page.
    files: By path.
    redirects: From path to address.
    asked: Path and authorization of each request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def answer(self, path: str, authorization: str | None) -> tuple[int, bytes, dict[str, str]]:
        self.asked.append((path, authorization))
        if path in self.redirects:
            return 302, b"", {"Location": self.redirects[path]}
        if authorization != f"Token {TOKEN}":
            return 401, b"", {}
        return (200, self.files[path], {}) if path in self.files else (404, b"", {})


@contextmanager
def running_studio() -> Iterator[Studio]:
    studio = Studio()

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = studio.answer(self.path, self.headers["Authorization"])
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    studio.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield studio
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
