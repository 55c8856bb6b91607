"""The next batch is prepared while one runs; what is dropped meanwhile costs no device time; encoders hold it up."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest

from inference.batchers import PATIENCE_S, BatcherBench, Clock
from lerenet.errors import DeadlineExceeded, Draining, QueueFull
from lerenet.inference.batcher import Batcher
from lerenet.inference.outstanding import Outstanding

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_S = 2.0
PREPARE_S = 0.5


class Device:
    """Takes `BATCH_S` a batch and `PREPARE_S` to prepare one, by a hand-set clock.

    Once `hold` has been called, a batch that runs waits at the gate with its time not yet passed.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.prepared: list[list[int]] = []
        self.prepared_by: list[str] = []
        self.is_staged = threading.Event()
        self.ran: list[list[int]] = []

    def hold(self) -> None:
        self.entered.clear()
        self.gate.clear()

    def prepare(self, jobs: list[int]) -> list[int]:
        self.clock.now += PREPARE_S
        self.prepared.append(jobs)
        self.prepared_by.append(threading.current_thread().name)
        if self.prepared_by[-1] == "lerenet-staging":
            self.is_staged.set()
        if -2 in jobs:
            raise ValueError("unreadable")
        return jobs

    def run(self, prepared: list[int]) -> list[int]:
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        self.ran.append(prepared)
        self.clock.now += BATCH_S
        if len(prepared) > 2:
            raise MemoryError("no room")
        if -1 in prepared:
            raise ValueError("poison")
        return prepared


class Bench(BatcherBench):
    """Batchers of one device."""

    def __init__(self) -> None:
        super().__init__()
        self.device = Device(self.clock)
        self._closers.append(self.device.gate.set)

    def build(self, **changes: Any) -> Batcher[int, Any]:
        run = changes.pop("run", self.device.run)
        return self.open(run, **({"prepare": self.device.prepare, "weigh": lambda job: 1} | changes))

    def learned(self, n_batches: int = 5, **changes: Any) -> Batcher[int, Any]:
        """A batcher that knows its device: so many batches of one job have been timed."""
        batcher = self.build(**changes)
        for job in range(n_batches):
            assert batcher.submit(job).result(PATIENCE_S) == job
        batcher.call(lambda: None).result(PATIENCE_S)  # the device thread is done with the last of them
        return batcher

    def occupied(self, **changes: Any) -> Batcher[int, Any]:
        """The same with one more batch on the device, at the gate, all but done by the forecast."""
        batcher = self.learned(**changes)
        self.device.hold()
        batcher.submit(9)
        assert self.device.entered.wait(PATIENCE_S)
        self.clock.now += BATCH_S + PREPARE_S
        self.device.is_staged.clear()
        return batcher


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def answer_of(future: Future[Any]) -> Any:
    error = future.exception(PATIENCE_S)
    return type(error) if error else future.result(0)


def test_next_batch_is_prepared_while_one_runs(bench: Bench) -> None:
    batcher = bench.occupied()
    job = batcher.submit(20)
    assert bench.device.is_staged.wait(PATIENCE_S)  # with the gate shut: the device is still at the batch before
    assert batcher.depth == 1
    bench.device.gate.set()
    assert answer_of(job) == 20
    assert bench.device.prepared.count([20]) == 1


def test_one_batch_is_staged_and_no_more(bench: Bench) -> None:
    batcher = bench.occupied()
    batcher.submit(20)
    assert bench.device.is_staged.wait(PATIENCE_S)
    n_prepared = len(bench.device.prepared)
    late_comers = [batcher.submit(21), batcher.submit(22)]
    assert len(bench.device.prepared) == n_prepared
    bench.device.gate.set()
    assert [answer_of(each) for each in late_comers] == [21, 22]
    assert bench.device.ran[-1] == [21, 22]


def test_staging_waits_until_the_device_is_nearly_free_and_takes_all_that_came_until_then(bench: Bench) -> None:
    batcher = bench.learned()
    bench.device.hold()
    batcher.submit(9)
    assert bench.device.entered.wait(PATIENCE_S)  # all of its forecast is still to come
    jobs = [batcher.submit(20), batcher.submit(21)]
    bench.device.gate.set()
    assert [answer_of(each) for each in jobs] == [20, 21]
    assert bench.device.ran[-1] == [20, 21]


def test_job_cancelled_after_preparing_never_runs(bench: Bench) -> None:
    batcher = bench.occupied()
    kept, dropped = batcher.submit_all([20, 21])
    assert bench.device.is_staged.wait(PATIENCE_S)
    assert dropped.cancel()
    bench.device.gate.set()
    assert answer_of(kept) == 20
    assert bench.device.ran[-1] == [20]


def test_batch_of_cancelled_jobs_only_never_runs(bench: Bench) -> None:
    batcher = bench.occupied()
    dropped = batcher.submit(20)
    assert bench.device.is_staged.wait(PATIENCE_S)
    dropped.cancel()
    bench.device.gate.set()
    assert answer_of(batcher.submit(30)) == 30
    assert [20] not in bench.device.ran


def test_job_that_gets_late_after_preparing_never_runs(bench: Bench) -> None:
    batcher = bench.occupied()
    late = batcher.submit(20, deadline=bench.clock.now + 60.0)
    assert bench.device.is_staged.wait(PATIENCE_S)
    bench.clock.now += 61.0
    bench.device.gate.set()
    assert answer_of(late) is DeadlineExceeded
    assert [20] not in bench.device.ran


def test_job_that_cannot_be_done_in_time_by_the_fit_never_runs(bench: Bench) -> None:
    batcher = bench.learned()
    hopeless = batcher.submit(20, deadline=bench.clock.now + 0.5 * BATCH_S)
    assert answer_of(hopeless) is DeadlineExceeded
    assert [20] not in bench.device.ran


def test_job_that_can_just_be_done_in_time_by_the_fit_runs(bench: Bench) -> None:
    batcher = bench.learned()
    assert answer_of(batcher.submit(20, deadline=bench.clock.now + 1.5 * (BATCH_S + PREPARE_S))) == 20


def test_old_fit_drops_nobody(bench: Bench) -> None:
    batcher = bench.learned()
    bench.clock.now += 60.0
    assert answer_of(batcher.submit(20, deadline=bench.clock.now + 0.5 * BATCH_S)) == 20


def test_fit_of_few_batches_drops_nobody(bench: Bench) -> None:
    batcher = bench.learned(n_batches=2)
    assert answer_of(batcher.submit(20, deadline=bench.clock.now + 0.5 * BATCH_S)) == 20


def test_work_that_would_be_done_too_late_is_refused_at_the_door(bench: Bench) -> None:
    batcher = bench.occupied(max_batch=1)
    batcher.submit(20)
    with pytest.raises(QueueFull, match="past its deadline") as refusal:
        batcher.submit(21, deadline=bench.clock.now + 1.2 * BATCH_S)
    assert refusal.value.retry_after_s == pytest.approx(BATCH_S + PREPARE_S, rel=0.5)
    bench.device.gate.set()


def test_staged_batch_too_large_for_memory_runs_in_halves(bench: Bench) -> None:
    batcher = bench.occupied()
    jobs = batcher.submit_all([20, 21, 22, 23])
    assert bench.device.is_staged.wait(PATIENCE_S)
    bench.device.gate.set()
    assert [answer_of(each) for each in jobs] == [20, 21, 22, 23]
    assert bench.device.ran[-3:] == [[20, 21, 22, 23], [20, 21], [22, 23]]


@pytest.mark.parametrize("poison", [-1, -2])
def test_poison_in_a_staged_batch_fails_alone(bench: Bench, poison: int) -> None:
    """-1 spoils the run, -2 the preparation, also that ahead of time."""
    batcher = bench.occupied()
    jobs = batcher.submit_all([20, poison])
    assert bench.device.is_staged.wait(PATIENCE_S)
    bench.device.gate.set()
    assert [answer_of(each) for each in jobs] == [20, ValueError]


def test_batch_prepared_in_no_time_is_left_to_the_device_thread(bench: Bench) -> None:
    by: list[str] = []

    def prepare(jobs: list[int]) -> list[int]:
        by.append(threading.current_thread().name)
        return jobs

    batcher = bench.occupied(prepare=prepare)
    job = batcher.submit(20)
    bench.device.gate.set()
    assert answer_of(job) == 20
    assert set(by) == {"lerenet-device"}


def test_close_answers_a_staged_batch_too(bench: Bench) -> None:
    batcher = bench.occupied()
    staged = batcher.submit(20)
    assert bench.device.is_staged.wait(PATIENCE_S)
    batcher.close(drain_s=0.0)
    assert answer_of(staged) is Draining


class Maps:
    """A result that can be let go."""


def test_device_rests_while_its_results_pile_up_and_goes_on_when_one_is_let_go(bench: Bench) -> None:
    outstanding = Outstanding(2)
    order: list[str] = []

    def run(jobs: list[int]) -> list[Maps]:
        order.append(f"ran {jobs[0]}")
        results = [Maps() for _ in jobs]
        for each in results:
            outstanding.watch(each, 1)
        return results

    batcher = bench.build(
        run=run, prepare=list, outstanding=outstanding, weigh_result=lambda job: 1, max_batch=1, max_queue=16
    )
    held = [batcher.submit(1).result(PATIENCE_S), batcher.submit(2).result(PATIENCE_S)]
    third = batcher.submit(3)
    batcher.call(lambda: order.append("call")).result(PATIENCE_S)  # calls make no maps, and go on
    assert order == ["ran 1", "ran 2", "call"]
    order.append("let go")
    held.pop()
    third.result(PATIENCE_S)
    assert order == ["ran 1", "ran 2", "call", "let go", "ran 3"]


def test_batch_makes_no_more_results_than_there_is_room_for(bench: Bench) -> None:
    sizes: list[int] = []
    gate = threading.Event()

    def run(jobs: list[int]) -> list[int]:
        sizes.append(len(jobs))
        assert gate.wait(PATIENCE_S)
        return jobs

    batcher = bench.build(run=run, prepare=list, outstanding=Outstanding(3), weigh_result=lambda job: 1)
    first = batcher.submit(0)
    jobs = batcher.submit_all([1, 2, 3, 4])
    gate.set()
    assert [answer_of(each) for each in [first, *jobs]] == [0, 1, 2, 3, 4]
    assert max(sizes) <= 3
