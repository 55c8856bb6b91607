"""Runs a batch so that every job in it gets its own answer: in halves when memory runs out, singly when it fails."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from lerenet.errors import LERENetError, Unavailable
from lerenet.inference.forecast import BatchForecast
from lerenet.inference.waiting import Entry, Job, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RECOVERY = 1.1
"""Growth of a batch limit that running out of memory has lowered, per batch that succeeds."""

OUT_OF_MEMORY_RETRY_S = 5.0
"""When to ask again after memory did not suffice for one job alone, in seconds."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What one successful batch was, for metrics.

    Attributes:
        n_jobs: Jobs in it.
        weight: Their total weight.
        waits_s: How long each stood in the line, in seconds.
        run_s: How long the batch ran, in seconds.
    """

    n_jobs: int
    weight: int
    waits_s: tuple[float, ...]
    run_s: float


@dataclass(eq=False)
class Batch(Generic[Job, Result]):
    """Entries that run together, and what has been prepared of them.

    Attributes:
        entries: One at least.
        prepared: What the device takes; None while it has not been made, or could not be.
    """

    entries: list[Entry[Job, Result]]
    prepared: Any = None

    @property
    def weight(self) -> int:
        """Total weight."""
        return sum(entry.weight for entry in self.entries)

    @property
    def result_weight(self) -> int:
        """Total weight of the results to come."""
        return sum(entry.result_weight for entry in self.entries)

    def handed_over(self) -> Any:
        """What has been prepared, which from now on belongs to the caller alone."""
        prepared, self.prepared = self.prepared, None
        return prepared


@dataclass(frozen=True)
class FaultRules:
    """What the device's errors mean, and what to do about them.

    Attributes:
        is_out_of_memory: Whether an error means that the batch was too large.
        is_fatal: Whether an error means that the device is lost.
        free_memory: Called after memory ran out, before the halves run.
    """

    is_out_of_memory: Callable[[BaseException], bool]
    is_fatal: Callable[[BaseException], bool]
    free_memory: Callable[[], None]


class BatchRunner(Generic[Job, Result]):
    """Answers the futures of a batch. Belongs to the device thread, but for `prepare`.

    Attributes:
        forecast: Time of a batch by weight.
        preparation: Time of preparing a batch, by weight.
        max_weight: The limit that batches should respect now: lowered when memory runs out, raised by each success.
        last_batch_at: Time of the clock when the last batch succeeded, in seconds; None before the first.
    """

    def __init__(
        self,
        run: Callable[[Any], Sequence[Result]],
        *,
        prepare: Callable[[list[Job]], Any],
        max_weight: int,
        rules: FaultRules,
        on_batch: Callable[[BatchReport], None],
        clock: Callable[[], float],
    ) -> None:
        self._run = run
        self._prepare = prepare
        self._full_weight = float(max_weight)
        self._rules = rules
        self._on_batch = on_batch
        self._clock = clock
        self.forecast = BatchForecast()
        self.preparation = BatchForecast()
        self.max_weight = self._full_weight
        self.last_batch_at: float | None = None

    def run_call(self, entry: Entry[Callable[[], Any], Any]) -> None:
        """Calls the entry's function and answers its future. A fatal error is raised, the future unanswered."""
        error = self._attempt_call(entry)
        if error is None:
            return
        if self._rules.is_fatal(error):
            raise error
        is_out_of_memory = self._rules.is_out_of_memory(error)
        self._fail(entry, error)
        del error  # its traceback holds the tensors of the call
        if is_out_of_memory:
            self._rules.free_memory()

    def prepare(self, batch: Batch[Job, Result]) -> None:
        """Does the host's part of a batch ahead of time; on any thread.

        What cannot be prepared stays as it is: it is tried again on the device thread, which tells errors apart.
        """
        with contextlib.suppress(Exception):
            batch.prepared = self._prepared(batch.entries)

    def run_batch(self, batch: Batch[Job, Result]) -> None:
        """Runs the entries and answers all their futures. A fatal error is raised, some futures unanswered."""
        entries = batch.entries
        error = self._attempt(batch)
        if error is None:
            return
        if self._rules.is_fatal(error):
            raise error
        is_out_of_memory = self._rules.is_out_of_memory(error)
        if len(entries) == 1:
            self._fail(entries[0], error)
        del error  # its traceback holds the tensors of this attempt, and the next one needs their room
        if is_out_of_memory:
            self.max_weight = max(1.0, sum(entry.weight for entry in entries) / 2)
            self._rules.free_memory()
        if len(entries) > 1:
            self._run_parts(entries, len(entries) // 2 if is_out_of_memory else 1)

    def _run_parts(self, entries: list[Entry[Job, Result]], length: int) -> None:
        for start in range(0, len(entries), length):
            self.run_batch(Batch(entries[start : start + length]))

    def _prepared(self, entries: list[Entry[Job, Result]]) -> Any:
        started = self._clock()
        prepared = self._prepare([entry.job for entry in entries])
        self.preparation.observe(sum(entry.weight for entry in entries), self._clock() - started)
        return prepared

    def _attempt_call(self, entry: Entry[Callable[[], Any], Any]) -> Exception | None:
        try:
            answer(entry.future, entry.job())
        except Exception as error:
            return error
        return None

    def _attempt(self, batch: Batch[Job, Result]) -> Exception | None:
        """Runs a batch and answers it; gives back the error instead when there is one."""
        started, entries = self._clock(), batch.entries
        try:
            prepared = batch.handed_over()
            results = self._run(self._prepared(entries) if prepared is None else prepared)
            if len(results) != len(entries):
                raise RuntimeError(f"the batch of {len(entries)} jobs came back with {len(results)} results")
        except Exception as error:
            return error
        self._note_success(entries, started)
        for entry, result in zip(entries, results, strict=True):
            answer(entry.future, result)
        return None

    def _note_success(self, entries: list[Entry[Job, Result]], started: float) -> None:
        self.last_batch_at = self._clock()
        run_s = self.last_batch_at - started
        weight = sum(entry.weight for entry in entries)
        self.forecast.observe(weight, run_s)
        self.max_weight = min(self._full_weight, self.max_weight * RECOVERY)
        self._on_batch(BatchReport(len(entries), weight, tuple(started - e.queued_at for e in entries), run_s))

    def _fail(self, entry: Entry[Any, Any], error: Exception) -> None:
        if self._rules.is_out_of_memory(error) and not isinstance(error, LERENetError):
            detail = "the device has too little free memory for this work even alone; ask again later, or send less"
            error = Unavailable(detail, retry_after_s=OUT_OF_MEMORY_RETRY_S)
        answer_error(entry.future, error)


def answer(future: Future[Any], value: object) -> None:
    """Gives a future its result, unless it has been answered or cancelled before."""
    with contextlib.suppress(InvalidStateError):
        future.set_result(value)


def answer_error(future: Future[Any], error: BaseException) -> None:
    """Gives a future its error, unless it has been answered or cancelled before."""
    with contextlib.suppress(InvalidStateError):
        future.set_exception(error)
