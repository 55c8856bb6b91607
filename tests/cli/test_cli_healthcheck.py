from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli.conftest import Run


@contextmanager
def answering(status: int, body: bytes = b"{}") -> Iterator[int]:
    """A server that gives one answer to everything; its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", ""])
def test_ready_service_is_healthy(run: Run, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with answering(200) as port:
        monkeypatch.setenv("LERENET_PORT", str(port))
        monkeypatch.setenv("LERENET_HOST", host)
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        result = run("healthcheck")
    assert (result.exit_code, result.output) == (0, "ready\n")


def test_loading_service_is_not_healthy(run: Run) -> None:
    with answering(503, b'{"detail": "the weights are loading"}') as port:
        result = run("healthcheck", "--url", f"http://127.0.0.1:{port}/")
    assert result.exit_code == 1
    assert result.stderr.endswith("/readyz: the weights are loading (503)\n")


def test_service_that_is_not_there_is_not_healthy(run: Run) -> None:
    result = run("healthcheck", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "does not answer" in result.stderr
