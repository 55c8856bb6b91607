"""The line of jobs in front of the device: bounded by count and weight, first come, first served."""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class Entry(Generic[Job, Result]):
    """A job in the line, and the future its caller waits on.

    Attributes:
        weight: What the job costs, in the unit of the batch limit (pixels, say).
        deadline: Time of the batcher's clock, in seconds, after which the job is no longer wanted; None: always wanted.
        queued_at: Time of the batcher's clock when it joined, in seconds.
        result_weight: What the result weighs until it is let go, in a unit of its own (bytes, say).
    """

    job: Job
    weight: int
    deadline: float | None
    queued_at: float
    result_weight: int = 0
    future: Future[Result] = field(default_factory=Future)

    def is_late(self, now: float) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and now >= self.deadline


class WaitingLine(Generic[Job, Result]):
    """Entries in order of arrival. Not thread-safe: its owner holds a lock.

    An empty line accepts anything, so that no job and no group of jobs is too large for ever.
    """

    def __init__(self, *, max_jobs: int, max_weight: int) -> None:
        self._max_jobs = max_jobs
        self._max_weight = max_weight
        self._entries: deque[Entry[Job, Result]] = deque()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def weight(self) -> int:
        """Total weight of the entries."""
        return self._weight

    @property
    def head_result_weight(self) -> int:
        """Weight of the result of the first entry; 0 when nobody waits."""
        return self._entries[0].result_weight if self._entries else 0

    def has_room(self, entries: Sequence[Entry[Job, Result]]) -> bool:
        """Whether all of `entries` may join."""
        if not self._entries:
            return True
        weight = self._weight + sum(entry.weight for entry in entries)
        return len(self._entries) + len(entries) <= self._max_jobs and weight <= self._max_weight

    def join(self, entries: Sequence[Entry[Job, Result]]) -> None:
        """Adds `entries` at the end, room or not."""
        self._entries.extend(entries)
        self._weight += sum(entry.weight for entry in entries)

    def take(self, max_jobs: int, max_weight: float, max_result_weight: float = math.inf) -> list[Entry[Job, Result]]:
        """Removes the head of the line: as many entries as fit the limits, and one at least when there is one."""
        taken: list[Entry[Job, Result]] = []
        weight = result_weight = 0
        while self._entries and len(taken) < max_jobs:
            weight += self._entries[0].weight
            result_weight += self._entries[0].result_weight
            if taken and (weight > max_weight or result_weight > max_result_weight):
                break
            taken.append(self._entries.popleft())
            self._weight -= taken[-1].weight
        return taken

    def sweep(self, now: float) -> list[Entry[Job, Result]]:
        """Removes cancelled and late entries, wherever they stand, and gives back the late ones."""
        if not any(e.is_late(now) or e.future.cancelled() for e in self._entries):
            return []
        late = [e for e in self._entries if e.is_late(now) and not e.future.cancelled()]
        kept = [e for e in self._entries if not (e.is_late(now) or e.future.cancelled())]
        self._refill(kept)
        return late

    def clear(self) -> list[Entry[Job, Result]]:
        """Removes and gives back every entry."""
        everything = list(self._entries)
        self._refill([])
        return everything

    def _refill(self, entries: list[Entry[Job, Result]]) -> None:
        self._entries = deque(entries)
        self._weight = sum(entry.weight for entry in entries)
