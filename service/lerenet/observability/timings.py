"""Where a request's time went, by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

Stage = Literal["read", "decode", "queue", "device", "encode"]
STAGES: tuple[Stage, ...] = get_args(Stage)

_current: ContextVar[Timings | None] = ContextVar("lerenet_timings", default=None)


class Timings:
    """Stage durations of one request; of what runs side by side, the longest counts."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._seconds: dict[Stage, float] = {}

    def note(self, stage: Stage, seconds: float) -> None:
        """Keeps the longest duration seen for a stage."""
        self._seconds[stage] = max(seconds, self._seconds.get(stage, 0.0))

    @property
    def stages(self) -> Mapping[str, float]:
        """Seconds by stage, in the order of the pipeline."""
        return {stage: self._seconds[stage] for stage in STAGES if stage in self._seconds}

    @property
    def total_s(self) -> float:
        """Seconds since the request began."""
        return time.perf_counter() - self._started

    def server_timing(self) -> str:
        """Value of a `Server-Timing` header, in milliseconds."""
        entries = [*self.stages.items(), ("total", self.total_s)]
        return ", ".join(f"{name};dur={1000 * seconds:.1f}" for name, seconds in entries)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes these the timings that `note_stage` and `timed_stage` write to below."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


def note_stage(stage: Stage, seconds: float) -> None:
    """Adds a duration to the current request, if there is one."""
    timings = _current.get()
    if timings is not None:
        timings.note(stage, seconds)


@contextmanager
def timed_stage(stage: Stage) -> Iterator[None]:
    """Times a block as one stage of the current request."""
    started = time.perf_counter()
    try:
        yield
    finally:
        note_stage(stage, time.perf_counter() - started)
