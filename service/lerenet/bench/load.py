"""A client in a process of its own: posts frames as raw bodies, and writes down what came back and when.

    python -m lerenet.bench.load --url URL --frames DIR --concurrency 16 --seconds 20 --pid PID --json OUT

It knows nothing of what it talks to: any server that takes an image as the body of a POST can be measured by it. With
`--concurrency` a fixed number of callers each send their next frame when the last answer has come. With `--rate`
frames are sent so many times a second whatever comes back, as a camera does.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from lerenet.bench.answers import Answer, summarise
from lerenet.bench.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

TIMEOUT_S = 60.0


async def send(
    client: httpx.AsyncClient, url: str, frame: bytes, content_type: str, form: str = "", document: str = ""
) -> Answer:
    """Posts one frame; a failed connection is an answer with status 0.

    Args:
        client: Sends it.
        url: Where to.
        frame: Image file.
        content_type: Of the frame.
        form: Name of a field: the frame goes as a file of a form, not as the body.
        document: Likewise of a JSON object's member, for servers that take nothing else: in base64.
    """
    sent_s = time.monotonic()
    try:
        if form:
            response = await client.post(url, files={form: ("frame", frame, content_type)})
        elif document:
            response = await client.post(url, json={document: base64.b64encode(frame).decode()})
        else:
            response = await client.post(url, content=frame, headers={"content-type": content_type})
    except httpx.HTTPError:
        return Answer(sent_s, time.monotonic(), 0)
    asked = response.headers.get("retry-after")
    return Answer(sent_s, time.monotonic(), response.status_code, None if asked is None else float(asked))


async def closed_loop(post: Callable[[int], Awaitable[Answer]], n_callers: int, end_s: float) -> list[Answer]:
    """So many callers, each sending when its last answer has come.

    Args:
        post: Sends the frame of a number.
        n_callers: At least 1.
        end_s: Time of `time.monotonic` after which nothing is sent.
    """
    answers: list[Answer] = []

    async def call(first: int) -> None:
        number = first
        while time.monotonic() < end_s:
            answers.append(await post(number))
            number += n_callers

    await asyncio.gather(*(call(first) for first in range(n_callers)))
    return answers


async def open_loop(post: Callable[[int], Awaitable[Answer]], rate: float, end_s: float) -> list[Answer]:
    """So many frames a second, whatever comes back; arguments as of `closed_loop`."""
    sent: list[asyncio.Future[Answer]] = []
    start_s = time.monotonic()
    while (due_s := start_s + len(sent) / rate) < end_s:
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        sent.append(asyncio.ensure_future(post(len(sent))))
    return list(await asyncio.gather(*sent))


async def probe(client: httpx.AsyncClient, url: str, end_s: float, every_s: float = 0.1) -> list[Answer]:
    """Asks a liveness route now and then, beside the load."""
    answers: list[Answer] = []
    while time.monotonic() < end_s:
        sent_s = time.monotonic()
        with contextlib.suppress(httpx.HTTPError):
            response = await client.get(url)
            answers.append(Answer(sent_s, time.monotonic(), response.status_code))
        await asyncio.sleep(every_s)
    return answers


async def _run(options: argparse.Namespace, frames: Sequence[bytes]) -> tuple[list[Answer], list[Answer], float, float]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=TIMEOUT_S) as client, httpx.AsyncClient() as prober:

        async def post(number: int) -> Answer:
            frame = frames[number % len(frames)]
            return await send(client, options.url, frame, options.content_type, options.form, options.document)

        await closed_loop(post, options.concurrency, time.monotonic() + options.warmup)
        start_s = time.monotonic()  # the last answers of the warm-up may have taken their time
        end_s = start_s + options.seconds
        loop = open_loop(post, options.rate, end_s) if options.rate else closed_loop(post, options.concurrency, end_s)
        with contextlib.ExitStack() as watched:
            usage = watched.enter_context(Usage(options.pid)) if options.pid else None
            probes = probe(prober, options.probe, end_s) if options.probe else _nothing()
            answers, alive = await asyncio.gather(loop, probes)
        options.usage = usage
        return answers, alive, start_s, end_s


async def _nothing() -> list[Answer]:
    return []


def _document(
    options: argparse.Namespace, answers: Sequence[Answer], alive: Sequence[Answer], start_s: float, end_s: float
) -> dict[str, object]:
    # what was sent before the end and answered after it has cost the server as well
    last_s = max([end_s, *(answer.answered_s for answer in answers)])
    figures = summarise(answers, start_s, end_s)
    document: dict[str, object] = asdict(figures)
    n_answered = sum(answer.status == 200 for answer in answers)
    document |= {"n_answered": n_answered, "drained_s": last_s - end_s}
    if options.usage is not None:
        cpu_s = options.usage.cpu_s
        document |= {"cpu_s": cpu_s, "cpu_s_per_frame": cpu_s / n_answered if n_answered else None}
        document |= {"peak_rss_bytes": options.usage.peak_rss_bytes}
    if alive:
        document |= {"probe": asdict(summarise(alive, start_s, last_s + 1))}
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
    document = json.dumps(_document(options, *asyncio.run(_run(options, frames))), indent=2)
    if options.json is None:
        print(document)
    else:
        options.json.write_text(document + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
