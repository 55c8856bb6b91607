"""The other end of `zygote`: processes by order, and their ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROGRAM = Path(__file__).with_name("zygote.py")


class Zygote:
    """Forks what is ordered. A context manager; what still runs at its end is killed."""

    def __enter__(self) -> Self:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROGRAM.parents[1]), *sys.path])}
        command = [sys.executable, str(PROGRAM)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._running: set[int] = set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in tuple(self._running):
            self.end(pid, signal.SIGKILL)
        self._process.communicate()

    def start(self, **order: Any) -> int:
        """Process id of what was ordered."""
        pid = self._ask(order)
        self._running.add(pid)
        return pid

    def end(self, pid: int, number: signal.Signals) -> int:
        """Exit status after a signal; negative for one that a signal ended."""
        os.kill(pid, number)
        self._running.discard(pid)
        return self._ask({"wait": pid})

    def _ask(self, order: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())
