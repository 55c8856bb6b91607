"""What the device thread is at, and since when it has given no sign of life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from lerenet.inference.waiting import Entry


class InFlight:
    """The work that runs now. `start` and `rest` belong to the device thread; the rest may be read from any.

    Args:
        stall_s: Work without a `beat` for longer than this many seconds makes `stalled` true.
        clock: Monotonic seconds.

    Attributes:
        futures: Of the work that runs.
    """

    def __init__(self, stall_s: float, clock: Callable[[], float]) -> None:
        self._stall_s = stall_s
        self._clock = clock
        self._busy_since: float | None = None
        self.futures: list[Future[Any]] = []

    def start(self, entries: Sequence[Entry[Any, Any]]) -> list[Entry[Any, Any]]:
        """Those of the entries that nobody has cancelled; they run from now on."""
        started = [entry for entry in entries if entry.future.set_running_or_notify_cancel()]
        self.futures = [entry.future for entry in started]
        self._busy_since = self._clock() if started else None
        return started

    def rest(self) -> None:
        """Nothing runs."""
        self._busy_since = None
        self.futures = []

    def beat(self) -> None:
        """What runs gets on: `stalled` counts from here."""
        if self._busy_since is not None:
            self._busy_since = self._clock()

    @property
    def stalled(self) -> bool:
        """Whether what runs has given no sign of life for too long."""
        busy_since = self._busy_since
        return busy_since is not None and self._clock() - busy_since > self._stall_s
