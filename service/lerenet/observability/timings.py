"""Where a request's time went, by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, get_args

from lerenet.observability.tracing import record_span

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

Stage = Literal["read", "decode", "queue", "device", "encode"]
STAGES: tuple[Stage, ...] = get_args(Stage)

_current: ContextVar[Timings | None] = ContextVar("lerenet_timings", default=None)


class Timings:
    """Stage durations of one request; of what runs side by side, the longest counts.

    Args:
        tracer: Makes a span of every stage where the request is traced.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer
        self._started = time.perf_counter()
        self._seconds: dict[Stage, float] = {}

    def note(self, stage: Stage, seconds: float, ended: float | None = None) -> None:
        """Keeps the longest duration seen for a stage.

        Args:
            stage: What was done.
            seconds: For how long.
            ended: Monotonic time of its end, in seconds; None: now.
        """
        self._seconds[stage] = max(seconds, self._seconds.get(stage, 0.0))
        if self._tracer is not None:
            record_span(self._tracer, f"lerenet.{stage}", seconds, ended)

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


def note_stage(stage: Stage, seconds: float, ended: float | None = None) -> None:
    """Adds a duration to the current request, if there is one; arguments as for `Timings.note`."""
    timings = _current.get()
    if timings is not None:
        timings.note(stage, seconds, ended)


@contextmanager
def timed_stage(stage: Stage) -> Iterator[None]:
    """Times a block as one stage of the current request."""
    started = time.perf_counter()
    try:
        yield
    finally:
        note_stage(stage, time.perf_counter() - started)
