"""A real server in a process of its own, and fuzzed requests over several connections that are kept alive."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
import psutil

from fuzz.heads import request
from fuzz.inputs import valid_masks

PROGRAM = """
import sys
from lerenet.api.server import serve
from lerenet.settings import load_settings
sys.exit(serve(load_settings()))
"""
READY_WITHIN_S = 60.0
HANG_S = 30.0
MIB = 1 << 20


@dataclass
class Tally:
    """What came of many inputs."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""
    slowest_work_s: float = 0.0
    finds: list[str] = field(default_factory=list)

    def add(self, outcome: str, seconds: float, what: str) -> None:
        self.outcomes[outcome] += 1
        if outcome in ("200", "201"):  # the network has worked for it, on a CPU that others use too
            self.slowest_work_s = max(self.slowest_work_s, seconds)
        elif seconds > self.slowest_s:
            self.slowest_s, self.slowest = seconds, what


@contextmanager
def server(
    folder: Path, weights: Path, key: str | None = None, **settings: str
) -> Iterator[tuple[str, psutil.Process]]:
    """Serves a tiny network; its address and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    fields = {"port": str(port), "data_dir": str(folder / "data"), "weights": str(weights), "device": "cpu"}
    fields |= {"threads": "1", "log_level": "warning", "max_classes": "20", **settings}
    environment = {**os.environ, **{f"LERENET_{name.upper()}": value for name, value in fields.items()}}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stderr=log, stdout=log)
        try:
            _wait(f"http://127.0.0.1:{port}", process)
            _register(f"http://127.0.0.1:{port}", key)
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _register(address: str, key: str | None) -> None:
    """A class to look for."""
    pair = [("images", valid_masks()[1]), ("masks", valid_masks()[0])]
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    httpx.put(f"{address}/support/scratches", files=pair, headers=headers, timeout=60).raise_for_status()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{address}/readyz").status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("the server did not become ready")


async def fuzz_http(
    port: int, seed: str, first: int, count: int, n_connections: int, tally: Tally, key: str | None = None
) -> None:
    """Sends requests number `first` up to `first + count`; each is made of the seed and its number alone."""
    numbers = iter(range(first, first + count))
    await asyncio.gather(*(_connection(port, seed, numbers, tally, key) for _ in range(n_connections)))


async def _connection(port: int, seed: str, numbers: Iterator[int], tally: Tally, key: str | None) -> None:
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for number in numbers:
        data = request(Random(f"{seed}/{number}"), key)
        if streams is None:
            streams = await asyncio.open_connection("127.0.0.1", port)
        begun = time.perf_counter()
        try:
            outcome, is_kept = await asyncio.wait_for(_exchange(*streams, data), HANG_S)
        except TimeoutError:  # before OSError, of which it is one
            outcome, is_kept = "hang", False
        except (OSError, asyncio.IncompleteReadError):
            outcome, is_kept = "closed", False
        tally.add(outcome, time.perf_counter() - begun, f"{seed}/{number}")
        if outcome in ("500", "hang"):
            tally.finds.append(f"{outcome}: {seed}/{number}")
        if not is_kept:
            streams[1].close()
            streams = None
    if streams is not None:
        streams[1].close()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> tuple[str, bool]:
    """The status, and whether the connection may be used again; `unfinished` when the request's end never came."""
    with suppress(OSError):  # an answer may come, and the connection be closed, before all is sent
        writer.write(data)
        await writer.drain()
    is_whole = data.count(b"HTTP/1.1\r\n", 0, 4_096) == 1
    try:
        # whoever says that more is to come than does is waited for; that is no hang of the service
        status = await asyncio.wait_for(reader.readline(), 0.3 if not _is_complete(data) else HANG_S)
    except TimeoutError:
        if _is_complete(data):
            raise
        return "unfinished", False
    length, is_kept = 0, is_whole and _is_complete(data)
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        elif name.lower() == b"connection" and b"close" in value:
            is_kept = False
    code = status.split(b" ")[1].decode() if status.startswith(b"HTTP/1.1 ") else "closed"
    if code == "closed" or data.startswith(b"HEAD") or code == "100":
        return code, False
    await reader.readexactly(length)
    return code, is_kept


def _is_complete(data: bytes) -> bool:
    """Whether the head says truly how long the body is, so that an answer must come."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")[1:]
    lengths = [line for line in lines if line.startswith(b"content-length")]
    if not end or any(word in head.lower() for word in (b"transfer-encoding", b"expect", b"upgrade", b"connection")):
        return False
    return lengths == ([b"content-length: %d" % len(body)] if body else [])
