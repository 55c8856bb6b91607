"""What tests of the batcher share: a hand-set clock, and batchers that are closed at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lerenet.inference.batcher import Batcher

PATIENCE_S = 10.0
"""How long a test waits before it calls a future lost; never slept through."""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class BatcherBench:
    """Batchers with small defaults on one clock, all closed at the end of the test."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._closers: list[Callable[[], None]] = []

    def open(self, run: Callable[[Any], Any], **changes: Any) -> Batcher[int, Any]:
        settings: dict[str, Any] = {
            "weigh": abs,
            "max_batch": 8,
            "max_batch_weight": 1000,
            "max_queue": 16,
            "max_queue_weight": 1000,
            "clock": self.clock,
        }
        batcher = Batcher[int, Any](run, **(settings | changes))
        self._closers.append(batcher.close)
        return batcher

    def close(self) -> None:
        for closer in self._closers:
            closer()
