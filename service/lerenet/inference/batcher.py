"""One thread that owns the device, and the batches it makes of what waits. Knows neither torch nor HTTP.

    submit ──> line of jobs ──> next batch, prepared on the staging thread ──┐
                                                                             ├──> device thread ──> futures
    call ────> line of calls ────────────────────────────────────────────────┘

Greedy: a batch takes whatever waits, up to its limits, and never waits for company. While one batch runs, the next is
taken and prepared as late as the live fit of both times allows, so that it still takes nearly all that arrives
meanwhile; a batch whose preparation is quicker than waking a thread is prepared by the device thread itself. Every
accepted job ends, by a result, an exception, its deadline or its cancellation, whatever happens to the threads.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lerenet.errors import DeviceFailed, LERENetError
from lerenet.inference import refusals
from lerenet.inference.agenda import Agenda
from lerenet.inference.attempts import Batch, BatchReport, BatchRunner, FaultRules, answer_error
from lerenet.inference.in_flight import InFlight
from lerenet.inference.outstanding import Outstanding
from lerenet.inference.staging import StagingThread
from lerenet.inference.waiting import Entry, Job, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from lerenet.inference.waiting import WaitingLine

Value = TypeVar("Value")


class Batcher(Generic[Job, Result]):
    """Runs jobs in batches on one daemon thread, which starts at once and ends with `close`.

    Args:
        run: Turns what `prepare` made into as many results as there were jobs, in order. On the device thread only.
        prepare: The host's part of a batch. On any thread, but never for two batches at once.
        weigh: Cost of a job, in the unit of the two weight limits.
        weigh_result: What a job's result will weigh, in the unit of `outstanding`.
        max_batch: Jobs in a batch.
        max_batch_weight: Weight of a batch; a heavier job runs alone.
        max_queue: Jobs that may wait, and likewise calls. An empty queue accepts anything.
        max_queue_weight: Weight that may wait.
        outstanding: Results not yet let go; a batch starts when there is room for its own. The batcher listens to it.
        stall_s: A batch or call without a `beat` for longer than this many seconds makes `stalled` true.
        is_out_of_memory: Whether an error means that the batch was too large: it is halved and tried again.
        is_fatal: Whether an error means that the device is lost.
        free_memory: Called on the device thread after memory ran out, before the halves run.
        on_death: Called once, on the device thread, with the error that ended it, after every future has been answered.
        on_batch: Called on the device thread after each successful batch; must not raise.
        clock: Monotonic seconds; deadlines are times of this clock.
    """

    def __init__(
        self,
        run: Callable[[Any], Sequence[Result]],
        *,
        prepare: Callable[[list[Job]], Any] = list,
        weigh: Callable[[Job], int],
        weigh_result: Callable[[Job], int] = lambda job: 0,
        max_batch: int,
        max_batch_weight: int,
        max_queue: int,
        max_queue_weight: int,
        outstanding: Outstanding | None = None,
        stall_s: float = 30.0,
        is_out_of_memory: Callable[[BaseException], bool] = lambda error: isinstance(error, MemoryError),
        is_fatal: Callable[[BaseException], bool] = lambda error: isinstance(error, DeviceFailed),
        free_memory: Callable[[], None] = lambda: None,
        on_death: Callable[[BaseException], None] = lambda error: None,
        on_batch: Callable[[BatchReport], None] = lambda report: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        rules = FaultRules(is_out_of_memory, is_fatal, free_memory)
        self._runner = BatchRunner[Job, Result](
            run, prepare=prepare, max_weight=max_batch_weight, rules=rules, on_batch=on_batch, clock=clock
        )
        self._weigh = weigh
        self._weigh_result = weigh_result
        self._outstanding = outstanding or Outstanding(math.inf)
        self._agenda = Agenda[Job, Result](
            self._runner,
            max_batch=max_batch,
            max_queue=max_queue,
            max_queue_weight=max_queue_weight,
            max_result_weight=self._outstanding.limit,
            clock=clock,
        )
        self._on_death = on_death
        self._clock = clock
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._outstanding.listener = self._wake
        self._in_flight = InFlight(stall_s, clock)
        self._closing = False
        self._death: BaseException | None = None
        self._staging = StagingThread(self._agenda, self._runner, lock, self._changed)
        self._thread = threading.Thread(target=self._live, name="lerenet-device", daemon=True)
        self._thread.start()

    # -- for callers, from any thread

    def submit(self, job: Job, *, deadline: float | None = None) -> Future[Result]:
        """Queues one job; see `submit_all`."""
        return self.submit_all([job], deadline=deadline)[0]

    def submit_all(self, jobs: Sequence[Job], *, deadline: float | None = None) -> list[Future[Result]]:
        """Queues jobs, all of them or none. Cancelling a future before its batch starts drops the job.

        Args:
            jobs: What to run.
            deadline: Time of the clock, in seconds. A job that has not started by then, or that by the forecast would
                not be done by then, is dropped with `DeadlineExceeded`. None: never.

        Raises:
            QueueFull: The line has no room, or by the forecast takes past the deadline; `retry_after_s` is when it
                should have drained.
            Draining: `close` has been called.
            DeviceFailed: The device thread is dead.
        """
        now = self._clock()
        entries = [Entry[Job, Result](job, self._weigh(job), deadline, now, self._weigh_result(job)) for job in jobs]
        self._admit(self._agenda.jobs, entries)
        return [entry.future for entry in entries]

    def check_room(self, deadline: float) -> None:
        """Refuses as `submit_all` would refuse the smallest job with this deadline, before any work goes into it."""
        smallest = [Entry[Any, Any](None, 0, deadline, self._clock())]
        with self._changed:
            self._refuse_when_ending()
            self._agenda.refuse_when_full(self._agenda.jobs, smallest)

    def call(self, fn: Callable[[], Value], *, deadline: float | None = None) -> Future[Value]:
        """Runs `fn` on the device thread between two batches. Refuses and drops as `submit_all` does."""
        entry = Entry[Any, Value](fn, 0, deadline, self._clock())
        self._admit(self._agenda.calls, [entry])
        return entry.future

    def beat(self) -> None:
        """Says, from inside a long batch or call, that it gets on: `stalled` counts from here."""
        self._in_flight.beat()

    def abandon(self, error: BaseException) -> None:
        """Gives up a device that hangs: refuses new work, and answers all who wait with DeviceFailed."""
        with self._changed:
            self._death = self._death or error
        self._fail_all(refusals.device_failed(self._death))

    def close(self, drain_s: float = 0.0) -> None:
        """Refuses new work, gives the old `drain_s` seconds to finish, then answers what is left with `Draining`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(drain_s)
        self._fail_all(refusals.stopped())

    def __enter__(self) -> Batcher[Job, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- state, readable from any thread

    @property
    def depth(self) -> int:
        """Jobs and calls that wait."""
        return self._agenda.depth

    @property
    def alive(self) -> bool:
        """Whether the device thread runs."""
        return self._death is None and self._thread.is_alive()

    @property
    def stalled(self) -> bool:
        """Whether what runs now has given no sign of life for more than `stall_s`."""
        return self._in_flight.stalled

    @property
    def retry_after_s(self) -> float:
        """Forecast of the time until all jobs that wait or run are done, in seconds."""
        with self._changed:
            return self._agenda.retry_after_s

    # -- admission

    def _admit(self, line: WaitingLine[Any, Any], entries: Sequence[Entry[Any, Any]]) -> None:
        late: list[Entry[Any, Any]] = []
        try:
            with self._changed:
                self._refuse_when_ending()
                # also with room to spare: what nobody waits for holds its image until it is swept
                late = line.sweep(self._clock())
                self._agenda.refuse_when_full(line, entries)
                line.join(entries)
                self._changed.notify()
                self._staging.rouse()
        finally:
            self._answer_late(late)  # outside the lock: answering runs the callers' callbacks

    def _refuse_when_ending(self) -> None:
        if self._death is not None:
            raise refusals.device_failed(self._death)
        if self._closing:
            raise refusals.stopping()

    # -- the device thread

    def _live(self) -> None:
        try:
            while self._wait_for_work():
                self._answer_late(self._sweep())
                self._run_next_call()
                self._run_next_batch()
        except BaseException as error:  # whatever ends this thread, nobody may be left waiting
            self._die(error)
        finally:
            self._staging.close()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(
                lambda: self._agenda.calls or self._may_start() or (self._closing and not self._agenda.depth)
            )
            return self._agenda.depth > 0

    def _may_start(self) -> bool:
        if self._staging.is_preparing or not self._agenda.n_jobs:
            return False
        return self._outstanding.has_room(self._agenda.next_result_weight)

    def _sweep(self) -> list[Entry[Any, Any]]:
        with self._changed:
            return [*self._agenda.calls.sweep(self._clock()), *self._agenda.jobs.sweep(self._clock())]

    def _run_next_call(self) -> None:
        with self._changed:
            started = self._in_flight.start(self._agenda.calls.take(1, 0))
        for entry in started:
            self._runner.run_call(entry)
        self._rest()

    def _run_next_batch(self) -> None:
        batch, late = self._next_batch()
        self._answer_late(late)
        if batch.entries:
            self._runner.run_batch(batch)
        self._rest()

    def _next_batch(self) -> tuple[Batch[Job, Result], list[Entry[Job, Result]]]:
        """The batch that starts now, and who has been dropped from it; empty when there is no room for results."""
        with self._changed:
            if not self._may_start():
                return Batch([]), []
            batch = self._agenda.staged or self._agenda.take(self._outstanding.room)
            self._agenda.staged = None
            late = self._agenda.drop_unwanted(batch)
            batch.entries = self._in_flight.start(batch.entries)
            if batch.entries:
                self._agenda.running = (self._clock(), batch.weight)
                self._staging.rouse()
        return batch, late

    def _rest(self) -> None:
        self._agenda.running = None
        self._in_flight.rest()

    # -- endings

    def _answer_late(self, entries: Iterable[Entry[Any, Any]]) -> None:
        for entry in entries:
            waited_s = self._clock() - entry.queued_at
            answer_error(entry.future, refusals.too_late(waited_s, self.retry_after_s))

    def _die(self, error: BaseException) -> None:
        with self._changed:
            self._death = error
        self._fail_all(refusals.device_failed(error))
        self._on_death(error)

    def _fail_all(self, error: LERENetError) -> None:
        with self._changed:
            futures = [*self._in_flight.futures, *(entry.future for entry in self._agenda.clear())]
        for future in futures:
            answer_error(future, error)
