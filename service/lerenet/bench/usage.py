"""What a process and its children use: CPU seconds and memory."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from types import TracebackType

_POLL_S = 0.2


class Usage:
    """Watches a process tree while its context is open.

    Args:
        pid: Of its root.

    Attributes:
        cpu_s: CPU seconds, user and system, spent in the context; set at its end.
        peak_rss_bytes: Most memory held at once, as seen some times a second.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="lerenet-usage", daemon=True)
        self.cpu_s = 0.0
        self.peak_rss_bytes = 0

    def __enter__(self) -> Self:
        self._before_s = self._spent_s()
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._watcher.join()
        self.cpu_s = self._spent_s() - self._before_s

    def _tree(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]

    def _spent_s(self) -> float:
        total = 0.0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def _watch(self) -> None:
        while True:
            held = 0
            for process in self._tree():
                with contextlib.suppress(psutil.NoSuchProcess):
                    held += process.memory_info().rss
            self.peak_rss_bytes = max(self.peak_rss_bytes, held)
            if self._ended.wait(_POLL_S):
                return
