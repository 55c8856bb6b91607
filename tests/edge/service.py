"""A service with edges in processes of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

TESTS = Path(__file__).parents[1]
WITHIN_S = 60.0


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
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log_file = folder / "service.log"
        fields = {
            "PORT": port,
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
                if httpx.get(f"{self.url}/readyz", timeout=WITHIN_S).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < until, self.log
            assert self.process.poll() is None, self.log
            time.sleep(0.05)
        self.wait_for_edges()

    def wait_for_edges(self, n: int = 2) -> None:
        """Waits until so many say that they are there."""
        until = time.monotonic() + WITHIN_S
        while f"lerenet_http_processes {float(n)}" not in httpx.get(f"{self.url}/metrics", timeout=WITHIN_S).text:
            assert time.monotonic() < until, self.log
            time.sleep(0.05)

    def descendants(self) -> list[int]:
        """Process ids of its edges."""
        children = Path(f"/proc/{self.process.pid}/task")
        try:
            tasks = [each / "children" for each in children.iterdir()]
            return [int(pid) for each in tasks for pid in each.read_text().split()]
        except FileNotFoundError:
            return []

    @staticmethod
    def wait_until_gone(pids: list[int]) -> None:
        until = time.monotonic() + WITHIN_S
        while left := [pid for pid in pids if _is_running(pid)]:
            assert time.monotonic() < until, f"still there: {left}"
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
