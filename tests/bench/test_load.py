"""The load client against servers that answer as they are told."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Thread

import pytest

from lerenet.bench.answers import Answer
from lerenet.bench.load import Callers, closed_loop, main, message_of, open_loop
from lerenet.bench.usage import Usage


class Echo(BaseHTTPRequestHandler):
    """Accepts the frame `good`, and is busy for any other."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        form, document = (
            b'name="images"; filename="frame"\r\nContent-Type: image/png\r\n\r\ngood\r\n',
            b'{"images":"Z29vZA=="}',
        )
        is_good = body == b"good" and self.headers["content-type"] == "image/png"
        self._answer(200 if is_good or form in body or body == document else 503)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        if status == 503:
            self.send_header("retry-after", "3")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def _post(url: str, body: bytes, **envelope: str) -> Answer:
    with contextlib.closing(Callers(url)) as callers:
        return callers.send(message_of(body, "image/png", **envelope))


def test_answer_holds_status_and_what_a_refusal_asks(url: str) -> None:
    good, busy = _post(url, b"good"), _post(url, b"bad")
    assert (good.status, good.retry_after_s) == (200, None)
    assert (busy.status, busy.retry_after_s) == (503, 3.0)
    assert good.latency_s > 0


@pytest.mark.parametrize("envelope", [{"form": "images"}, {"document": "images"}])
def test_frame_goes_as_a_file_of_a_form_or_in_a_document(url: str, envelope: dict[str, str]) -> None:
    good, busy = (_post(url, body, **envelope) for body in (b"good", b"bad"))
    assert (good.status, busy.status) == (200, 503)


def test_lost_connection_is_an_answer_with_status_0() -> None:
    assert _post("http://127.0.0.1:9/", b"good").status == 0


def test_closed_loop_keeps_so_many_requests_under_way() -> None:
    together, numbers = Barrier(3), []

    def post(number: int) -> Answer:
        numbers.append(number)
        with contextlib.suppress(BrokenBarrierError):  # breaks when the first caller has come to its end
            together.wait(timeout=0.2)
        time.sleep(0.02)
        return Answer(0.0, 1.0, 200)

    answers = closed_loop(post, 3, time.monotonic() + 1.0)
    assert len(answers) == len(numbers) == len(set(numbers)) > 3


def test_open_loop_sends_whatever_comes_back() -> None:
    all_sent = Barrier(5)  # nobody is answered before the last has been sent

    def post(number: int) -> Answer:
        all_sent.wait(timeout=10)
        return Answer(0.0, 1.0, 200)

    assert len(open_loop(post, 1000.0, time.monotonic() + 0.0045)) == 5


def test_figures_are_written_with_the_usage_of_a_process(url: str, tmp_path: Path) -> None:
    frames, out = tmp_path / "frames", tmp_path / "load.json"
    frames.mkdir()
    (frames / "1.png").write_bytes(b"good")
    (frames / "2.png").write_bytes(b"bad")
    options = ["--concurrency", "2", "--warmup", "0", "--seconds", "0.3", "--pid", str(os.getpid()), "--probe", url]
    main(["--url", url, "--frames", str(frames), *options, "--json", str(out)])
    found = json.loads(out.read_text())
    assert set(found["statuses"]) == {"200", "503"}
    assert found["cpu_s_per_frame"] == pytest.approx(found["cpu_s"] / found["n_answered"])
    assert found["peak_rss_bytes"] > 1 << 20
    assert found["probe"]["n_ok"] >= 1


def test_folder_without_frames_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no file"):
        main(["--url", "http://127.0.0.1:9/", "--frames", str(tmp_path)])


def test_usage_counts_the_time_of_the_context_alone() -> None:
    with Usage(os.getpid()) as usage:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
    assert 0.03 <= usage.cpu_s < 5
