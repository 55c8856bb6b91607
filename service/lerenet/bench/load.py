"""A client in a process of its own: posts frames as raw bodies, and writes down what came back and when.

    python -m lerenet.bench.load --url URL --frames DIR --concurrency 16 --seconds 20 --pid PID --json OUT

It knows nothing of what it talks to: any server that takes an image in a POST can be measured by it. With
`--concurrency` a fixed number of callers each send their next frame when the last answer has come. With `--rate`
frames are sent so many times a second whatever comes back, as a camera does. It shares the machine with the server, so
it spends little: bodies are written once, and a request costs a tenth of what a comfortable client takes.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from lerenet.bench.answers import Answer, summarise
from lerenet.bench.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TIMEOUT_S = 60.0
MAX_UNDER_WAY = 512
"""Requests of an open loop that wait for their answers; when as many do, the next frame is late."""


@dataclass(frozen=True)
class Message:
    """A request's body, and what names its kind."""

    body: bytes
    content_type: str


def message_of(frame: bytes, content_type: str, form: str = "", document: str = "") -> Message:
    """A frame as it is sent.

    Args:
        frame: Image file.
        content_type: Of the frame.
        form: Name of a field: the frame goes as a file of a form, not as the body.
        document: Likewise of a JSON object's member, for servers that take nothing else: in base64.
    """
    if form:
        request = httpx.Request("POST", "http://any", files={form: ("frame", frame, content_type)})
    elif document:
        request = httpx.Request("POST", "http://any", json={document: base64.b64encode(frame).decode()})
    else:
        return Message(frame, content_type)
    return Message(request.read(), request.headers["content-type"])


class Callers:
    """Sends from any number of threads, each over a connection of its own that stays open.

    Args:
        url: Where to.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.netloc
        self._target = parts.path + (f"?{parts.query}" if parts.query else "") or "/"
        self._own = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Closes every connection; nobody may be sending."""
        for connection in self._all:
            connection.close()

    def send(self, message: Message | None) -> Answer:
        """Posts a message, or asks without one; a failed connection is an answer with status 0."""
        sent_s = time.monotonic()
        connection = self._connection()
        try:
            if message is None:
                connection.request("GET", self._target)
            else:
                connection.request("POST", self._target, message.body, {"content-type": message.content_type})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return Answer(sent_s, time.monotonic(), 0)
        asked = response.headers.get("retry-after")
        return Answer(sent_s, time.monotonic(), response.status, None if asked is None else float(asked))

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_S)
            self._all.append(self._own.connection)
        connection: http.client.HTTPConnection = self._own.connection
        return connection


def closed_loop(post: Callable[[int], Answer], n_callers: int, end_s: float) -> list[Answer]:
    """So many callers, each sending when its last answer has come.

    Args:
        post: Sends the frame of a number; called from many threads.
        n_callers: At least 1.
        end_s: Time of `time.monotonic` after which nothing is sent.
    """

    def call(first: int) -> list[Answer]:
        answers: list[Answer] = []
        while time.monotonic() < end_s:
            answers.append(post(first + n_callers * len(answers)))
        return answers

    with ThreadPoolExecutor(n_callers) as callers:
        return [answer for own in callers.map(call, range(n_callers)) for answer in own]


def open_loop(post: Callable[[int], Answer], rate: float, end_s: float) -> list[Answer]:
    """So many frames a second, whatever comes back; arguments as of `closed_loop`."""
    start_s, n_sent = time.monotonic(), 0
    with ThreadPoolExecutor(MAX_UNDER_WAY) as callers:
        sent = []
        while (due_s := start_s + n_sent / rate) < end_s:
            time.sleep(max(0.0, due_s - time.monotonic()))
            sent.append(callers.submit(post, n_sent))
            n_sent += 1
        return [each.result() for each in sent]


def probe(ask: Callable[[], Answer], end_s: float, every_s: float = 0.1) -> list[Answer]:
    """Asks a liveness route now and then, beside the load."""
    answers: list[Answer] = []
    while time.monotonic() < end_s:
        answers.append(ask())
        time.sleep(every_s)
    return answers


@dataclass(frozen=True)
class _Measured:
    answers: Sequence[Answer]
    alive: Sequence[Answer]
    usage: Usage | None
    start_s: float
    end_s: float


def _run(options: argparse.Namespace, messages: Sequence[Message]) -> _Measured:
    with contextlib.ExitStack() as open_now:
        callers = open_now.enter_context(contextlib.closing(Callers(options.url)))
        probers = open_now.enter_context(contextlib.closing(Callers(options.probe or options.url)))
        beside = open_now.enter_context(ThreadPoolExecutor(1))

        def post(number: int) -> Answer:
            return callers.send(messages[number % len(messages)])

        closed_loop(post, options.concurrency, time.monotonic() + options.warmup)
        start_s = time.monotonic()  # the last answers of the warm-up may have taken their time
        end_s = start_s + options.seconds
        with Usage(options.pid) if options.pid else contextlib.nullcontext() as usage:
            probes = beside.submit(probe, partial(probers.send, None), end_s) if options.probe else None
            if options.rate:
                answers = open_loop(post, options.rate, end_s)
            else:
                answers = closed_loop(post, options.concurrency, end_s)
        return _Measured(answers, [] if probes is None else probes.result(), usage, start_s, end_s)


def _document(measured: _Measured) -> dict[str, object]:
    answers, end_s = measured.answers, measured.end_s
    # what was sent before the end and answered after it has cost the server as well
    last_s = max([end_s, *(answer.answered_s for answer in answers)])
    figures = summarise(answers, measured.start_s, end_s)
    document: dict[str, object] = asdict(figures)
    n_answered = sum(answer.status == 200 for answer in answers)
    document |= {"n_answered": n_answered, "drained_s": last_s - end_s}
    if measured.usage is not None:
        cpu_s = measured.usage.cpu_s
        document |= {"cpu_s": cpu_s, "cpu_s_per_frame": cpu_s / n_answered if n_answered else None}
        document |= {"peak_rss_bytes": measured.usage.peak_rss_bytes}
    if measured.alive:
        document |= {"probe": asdict(summarise(measured.alive, measured.start_s, last_s + 1))}
    return document


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lerenet.bench.load", description="Load on any image server.")
    parser.add_argument("--url", required=True, help="where frames are posted")
    parser.add_argument("--frames", required=True, type=Path, help="folder of image files")
    parser.add_argument("--content-type", default="image/png")
    parser.add_argument("--form", default="", help="send frames as files of a form, in this field")
    parser.add_argument("--document", default="", help="send frames in base64, in this member of a JSON object")
    parser.add_argument("--concurrency", type=int, default=1, help="callers")
    parser.add_argument("--rate", type=float, default=0.0, help="frames a second, whatever comes back")
    parser.add_argument("--warmup", type=float, default=2.0, help="seconds of load before anything counts")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds that count")
    parser.add_argument("--pid", type=int, help="process whose tree's CPU seconds and memory are counted")
    parser.add_argument("--probe", help="URL asked ten times a second beside the load")
    parser.add_argument("--json", type=Path, help="file for the figures; otherwise they are printed")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the load that the arguments describe."""
    options = _options(arguments)
    frames = [path.read_bytes() for path in sorted(options.frames.iterdir()) if path.is_file()]
    if not frames:
        raise SystemExit(f"{options.frames} holds no file: put some image files there")
    messages = [message_of(frame, options.content_type, options.form, options.document) for frame in frames]
    document = json.dumps(_document(_run(options, messages)), indent=2)
    if options.json is None:
        print(document)
    else:
        options.json.write_text(document + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
