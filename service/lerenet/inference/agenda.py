"""What waits for the device, what is staged and what runs, and how long all of it will take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic

from lerenet.inference import refusals
from lerenet.inference.attempts import Batch, BatchRunner
from lerenet.inference.waiting import Entry, Job, Result, WaitingLine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TRUSTED_S = 5.0
"""A forecast drops work for as long after the last batch, in seconds: a wrong one must not do so for ever."""

TRUSTED_BATCHES = 5
"""Batches that a forecast must rest on before work is refused or dropped by it."""

ADMISSION_MARGIN = 1.1
"""Work is admitted when this many times its forecast is left: what is admitted and then dropped was asked in vain."""

HEAD_START = 2.0
"""The next batch is prepared this many times its forecast before the device is free."""

LEAST_HEAD_START_S = 1e-3

WORTHWHILE_S = 3e-4
"""Preparing for less than this, in seconds, costs no more than waking another thread for it would."""


class Agenda(Generic[Job, Result]):
    """The work of one device. Not thread-safe: its owner holds a lock.

    Args:
        runner: Whose fits of batch time are used.
        max_batch: Jobs in a batch.
        max_queue: Jobs that may wait, and likewise calls.
        max_queue_weight: Weight that may wait.
        max_result_weight: Weight of the results of one batch.
        clock: Monotonic seconds.

    Attributes:
        jobs: Those that wait.
        calls: Those that wait.
        staged: The batch after the one that runs, prepared or being prepared.
        running: When the batch on the device began, in seconds of the clock, and its weight.
    """

    def __init__(
        self,
        runner: BatchRunner[Job, Result],
        *,
        max_batch: int,
        max_queue: int,
        max_queue_weight: int,
        max_result_weight: float,
        clock: Callable[[], float],
    ) -> None:
        self._runner = runner
        self._max_batch = max_batch
        self._max_result_weight = max_result_weight
        self._clock = clock
        self.jobs = WaitingLine[Job, Result](max_jobs=max_queue, max_weight=max_queue_weight)
        self.calls = WaitingLine[Any, Any](max_jobs=max_queue, max_weight=0)
        self.staged: Batch[Job, Result] | None = None
        self.running: tuple[float, int] | None = None

    @property
    def depth(self) -> int:
        """Jobs and calls that have not started."""
        return self.n_jobs + len(self.calls)

    @property
    def n_jobs(self) -> int:
        """Jobs that have not started."""
        return len(self.jobs) + (0 if self.staged is None else len(self.staged.entries))

    @property
    def next_result_weight(self) -> int:
        """What the results of the next batch weigh at least; there must be one."""
        return self.jobs.head_result_weight if self.staged is None else self.staged.result_weight

    def take(self, room: float = math.inf) -> Batch[Job, Result]:
        """The next batch, out of the line, with at most `room` for its results, or a single job."""
        return Batch(self.jobs.take(self._max_batch, self._runner.max_weight, min(room, self._max_result_weight)))

    def drop_unwanted(self, batch: Batch[Job, Result]) -> list[Entry[Job, Result]]:
        """Takes out of a batch, before it starts, who was cancelled or cannot be served in time; gives back the latter.

        What had been prepared for them is let go; the rest is prepared again.
        """
        done_at = self._clock() + self._trusted_s(batch.weight)
        late = [entry for entry in batch.entries if entry.is_late(done_at) and not entry.future.cancelled()]
        kept = [entry for entry in batch.entries if not (entry.is_late(done_at) or entry.future.cancelled())]
        if len(kept) < len(batch.entries):
            batch.entries, batch.prepared = kept, None
        return late

    def drained_in_s(self, more: Sequence[Entry[Job, Result]] = ()) -> float | None:
        """When every job is done, `more` included, in seconds from now; None while no batch has been timed."""
        weight = self.jobs.weight + sum(entry.weight for entry in more)
        weight += 0 if self.staged is None else self.staged.weight
        n_jobs = self.n_jobs + len(more)
        n_batches = max(n_jobs / self._max_batch, weight / self._runner.max_weight, 1.0)
        waiting_s = self._runner.forecast.seconds(weight, math.ceil(n_batches))
        return None if waiting_s is None else (self._device_free_in_s() or 0.0) + waiting_s

    @property
    def retry_after_s(self) -> float:
        """When all that waits should be done, in seconds from now."""
        seconds = self.drained_in_s()
        return refusals.UNKNOWN_RETRY_S if seconds is None else seconds

    def refuse_when_full(self, line: WaitingLine[Any, Any], entries: Sequence[Entry[Any, Any]]) -> None:
        """Refuses what would join a line when there is no room, and jobs that would not be done by their deadline.

        Raises:
            QueueFull: Says which, and when to ask again.
        """
        if not line.has_room(entries):
            raise refusals.line_full(len(line), len(entries), self.retry_after_s)
        done_in_s = self._misses(entries) if line is self.jobs else None
        if done_in_s is not None:
            raise refusals.hopeless(self.n_jobs, done_in_s, self.retry_after_s)

    def _misses(self, entries: Sequence[Entry[Job, Result]]) -> float | None:
        """When `entries` would be done, in seconds from now, if that is past a deadline of theirs; else None.

        With nobody in front it is left to the device: a forecast never held against the truth would refuse for ever.
        """
        deadline = min((entry.deadline for entry in entries if entry.deadline is not None), default=math.inf)
        done_in_s = self.drained_in_s(entries) if self.n_jobs and self._is_founded else None
        return None if done_in_s is None or self._clock() + ADMISSION_MARGIN * done_in_s <= deadline else done_in_s

    def staging_due_in_s(self) -> float | None:
        """When to take and prepare the next batch, in seconds from now.

        None where the device thread had better do it itself: nothing runs or waits, a batch is staged already, it takes
        next to no time, or nothing is known of the times.
        """
        free_in_s = self._device_free_in_s()
        needed_s = self._runner.preparation.seconds(round(min(self.jobs.weight, self._runner.max_weight)))
        if not len(self.jobs) or self.staged is not None or free_in_s is None or needed_s is None:
            return None
        if needed_s < WORTHWHILE_S:
            return None
        return max(0.0, free_in_s - max(HEAD_START * needed_s, LEAST_HEAD_START_S))

    def clear(self) -> list[Entry[Any, Any]]:
        """Removes and gives back whatever has not started."""
        staged, self.staged = self.staged, None
        return [*self.calls.clear(), *([] if staged is None else staged.entries), *self.jobs.clear()]

    def _device_free_in_s(self) -> float | None:
        if self.running is None:
            return None
        began, weight = self.running
        seconds = self._runner.forecast.seconds(weight)
        return None if seconds is None else max(0.0, began + seconds - self._clock())

    def _trusted_s(self, weight: int) -> float:
        """Forecast of a batch that a job may be refused by: one that has lately been held against the truth."""
        last_batch_at = self._runner.last_batch_at
        if not self._is_founded or last_batch_at is None or self._clock() - last_batch_at > TRUSTED_S:
            return 0.0
        return self._runner.forecast.seconds(weight) or 0.0

    @property
    def _is_founded(self) -> bool:
        return len(self._runner.forecast) >= TRUSTED_BATCHES
