"""A service with edges in processes of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

TESTS = Path(__file__).parents[1]
WITHIN_S = 120.0


class ServiceWithEdges:
    """Runs while its context is open.

    Args:
        folder: For its registry and its log.
        module: Started as `python -m`.
        settings: Without their prefix.
    """

    def __init__(self, folder: Path, module: str = "edge.levels", **settings: object) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.headers: dict[str, str] = {}
        self.log_file = folder / "service.log"
        fields = {
            "PORT": self.port,
            "DATA_DIR": folder / "data",
            "HTTP_PROCESSES": 2,
            "DEVICE": "cpu",
            "THREADS": 1,
            "STALL_S": 300,  # whatever else this machine does
            **settings,
        }
        self._module = module
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "service")]),
            **{f"LERENET_{name.upper()}": str(value) for name, value in fields.items()},
        }

    def __enter__(self) -> Self:
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self._module], env=self._environment, stderr=log, stdout=log
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left = self.descendants()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.wait_until_gone(left)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        until = time.monotonic() + WITHIN_S
        while True:
            try:
                if self.get("/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < until, self.log
            assert self.process.poll() is None, self.log
            time.sleep(0.05)
        self.wait_for_edges()

    def wait_for_edges(self, n: int = 2) -> None:
        """Waits until so many say that they are there."""
        self.wait_for_sample("http_processes", n)

    def sample(self, name: str) -> float:
        """A number of the metrics, by its name and labels; 0 where there is none yet."""
        lines = (line.rpartition(" ") for line in self.get("/metrics").text.splitlines())
        return next((float(value) for shown, _, value in lines if shown == f"lerenet_{name}"), 0.0)

    def wait_for_sample(self, name: str, value: float) -> None:
        """Waits until the metrics show a number."""
        until = time.monotonic() + WITHIN_S
        while (shown := self.sample(name)) != value:
            assert time.monotonic() < until, f"{name} is {shown}: {self.log}"
            time.sleep(0.05)

    def wait_until_refused(self) -> None:
        """Waits until nobody listens on the port."""
        until = time.monotonic() + WITHIN_S
        with suppress(ConnectionRefusedError):
            while True:
                socket.create_connection(("127.0.0.1", self.port), timeout=WITHIN_S).close()
                assert time.monotonic() < until, self.log
                time.sleep(0.02)

    def wait_for_log(self, text: str) -> None:
        """Waits until the log has it."""
        until = time.monotonic() + WITHIN_S
        while text not in self.log:
            assert time.monotonic() < until, self.log
            time.sleep(0.05)

    def get(self, path: str) -> httpx.Response:
        """An answer, over a connection of its own."""
        return httpx.get(f"{self.url}{path}", headers=self.headers, timeout=WITHIN_S, verify=False)

    def descendants(self) -> list[int]:
        """Process ids of its edges."""
        children = Path(f"/proc/{self.process.pid}/task")
        try:
            tasks = [each / "children" for each in children.iterdir()]
            return [int(pid) for each in tasks for pid in each.read_text().split()]
        except FileNotFoundError:
            return []

    def edge_of(self, client_port: int) -> int | None:
        """Process id of the edge that holds a connection, by the client's port; None while it waits to be accepted."""
        ends = f"0100007F:{self.port:04X} 0100007F:{client_port:04X}"
        with Path("/proc/net/tcp").open() as table:
            inodes = {line.split()[9] for line in table if f" {ends} " in line}
        names = {f"socket:[{inode}]" for inode in inodes}
        return next((pid for pid in self.descendants() if not names.isdisjoint(_open_files(pid))), None)

    def connection_to(self, pid: int) -> socket.socket:
        """A connection that one of the edges has accepted."""
        until = time.monotonic() + WITHIN_S
        while True:
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=WITHIN_S)
            while (holder := self.edge_of(connection.getsockname()[1])) is None:
                assert time.monotonic() < until, self.log
                time.sleep(0.01)
            if holder == pid:
                return connection
            connection.close()
            assert time.monotonic() < until, f"always another edge than {pid}"

    @staticmethod
    def wait_until_gone(pids: list[int]) -> None:
        until = time.monotonic() + WITHIN_S
        while left := [pid for pid in pids if _is_running(pid)]:
            assert time.monotonic() < until, f"still there: {left}"
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


def _open_files(pid: int) -> set[str]:
    links = Path(f"/proc/{pid}/fd")
    found = set()
    for each in os.listdir(links) if links.exists() else ():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(links / each))
    return found


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
