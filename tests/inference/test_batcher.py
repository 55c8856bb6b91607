"""The batcher against fakes, one per behaviour. Gates and a hand-set clock stand in for time."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import TYPE_CHECKING, Any

import pytest

from inference.batchers import PATIENCE_S, BatcherBench
from lerenet.errors import DeadlineExceeded, DeviceFailed, Draining, QueueFull, Unavailable
from lerenet.inference.batcher import Batcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lerenet.inference.attempts import BatchReport


class Echo:
    """Gives each job back, and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, jobs: list[int]) -> list[int]:
        self.batches.append(jobs)
        return jobs


class Slow(Echo):
    """Runs its first batch only when the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.started = threading.Event()
        self.gate = threading.Event()

    def __call__(self, jobs: list[int]) -> list[int]:
        self.started.set()
        assert self.gate.wait(PATIENCE_S)
        return super().__call__(jobs)


class Gated(Slow):
    """Echoes behind a gate, but hands the jobs to `behaviour` first."""

    def __init__(self, behaviour: Callable[[list[int]], list[int]]) -> None:
        super().__init__()
        self.behaviour = behaviour

    def __call__(self, jobs: list[int]) -> list[int]:
        return self.behaviour(super().__call__(jobs))


def failing(jobs: list[int]) -> list[int]:
    if -1 in jobs:
        raise ValueError("poison")
    return jobs


def wrong_count(jobs: list[int]) -> list[int]:
    return jobs[1:] if -1 in jobs else jobs


def out_of_memory(jobs: list[int]) -> list[int]:
    if len(jobs) > 2 or -1 in jobs:
        raise MemoryError("no room")
    return jobs


def fatal(jobs: list[int]) -> list[int]:
    raise DeviceFailed("the device fell off the bus")


def thread_death(jobs: list[int]) -> list[int]:
    raise SystemExit(3)


class Bench(BatcherBench):
    """Opens the gates of slow runs before their batchers are closed."""

    def build(self, run: Callable[[list[int]], list[int]], **changes: Any) -> Batcher[int, int]:
        if isinstance(run, Slow):
            self._closers.append(run.gate.set)
        return self.open(run, **changes)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def occupy(batcher: Batcher[int, int], run: Slow) -> Future[int]:
    """Lets the device thread hang in a first batch of its own, so that what follows forms one batch."""
    first = batcher.submit(1)
    assert run.started.wait(PATIENCE_S)
    return first


def answers(futures: list[Future[int]]) -> list[Any]:
    """Result of each future, or the type of its error."""
    wait_for(futures, PATIENCE_S)
    return [type(f.exception(0)) if f.exception(0) else f.result(0) for f in futures]


def test_job_comes_back_with_its_result(bench: Bench) -> None:
    assert bench.build(Echo()).submit(7).result(PATIENCE_S) == 7


def test_jobs_that_wait_share_a_batch(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run)
    first = occupy(batcher, run)
    futures = [batcher.submit(n) for n in (2, 3, 4)]
    run.gate.set()
    assert answers([first, *futures]) == [1, 2, 3, 4]
    assert run.batches == [[1], [2, 3, 4]]


def test_batch_respects_its_count(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run, max_batch=2)
    occupy(batcher, run)
    futures = batcher.submit_all([2, 3, 4])
    run.gate.set()
    answers(futures)
    assert run.batches[1:] == [[2, 3], [4]]


def test_batch_respects_its_weight(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run, max_batch_weight=10)
    occupy(batcher, run)
    futures = batcher.submit_all([4, 5, 6, 40, 1])
    run.gate.set()
    assert answers(futures) == [4, 5, 6, 40, 1]
    assert run.batches[1:] == [[4, 5], [6], [40], [1]]


def test_full_queue_refuses_by_count(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run, max_queue=2)
    occupy(batcher, run)
    batcher.submit_all([2, 3])
    with pytest.raises(QueueFull, match="holds 2") as refusal:
        batcher.submit(4)
    assert refusal.value.retry_after_s is not None
    assert refusal.value.retry_after_s > 0


def test_full_queue_refuses_by_weight(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run, max_queue_weight=10)
    occupy(batcher, run)
    batcher.submit(9)
    with pytest.raises(QueueFull):
        batcher.submit(2)


def test_refused_group_leaves_no_job_behind(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run, max_queue=3)
    occupy(batcher, run)
    batcher.submit(2)
    with pytest.raises(QueueFull):
        batcher.submit_all([3, 4, 5])
    assert batcher.depth == 1


def test_cancelled_jobs_make_room_in_a_full_queue(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run, max_queue=1)
    occupy(batcher, run)
    batcher.submit(2).cancel()
    kept = batcher.submit(3)
    run.gate.set()
    assert answers([kept]) == [3]


def test_cancelled_jobs_are_let_go_when_the_next_one_joins(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run, max_queue=9)
    occupy(batcher, run)
    batcher.submit(2).cancel()
    batcher.submit(3)
    assert batcher.depth == 1
    run.gate.set()


def test_retry_after_grows_with_the_line_once_batches_have_been_timed(bench: Bench) -> None:
    run = Slow()

    def timed(jobs: list[int]) -> list[int]:
        bench.clock.now += 2.0
        return run(jobs)

    run.gate.set()
    batcher = bench.build(timed, max_batch=1)
    assert batcher.submit(1).result(PATIENCE_S) == 1
    run.gate.clear()
    run.started.clear()
    occupy(batcher, run)
    batcher.submit_all([1, 1, 1])
    assert batcher.retry_after_s == pytest.approx(6.0)
    run.gate.set()


def test_cancelled_job_never_runs(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run)
    occupy(batcher, run)
    dropped, kept = batcher.submit_all([2, 3])
    assert dropped.cancel()
    run.gate.set()
    answers([kept])
    assert run.batches == [[1], [3]]


def test_late_job_never_runs(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run)
    occupy(batcher, run)
    late = batcher.submit(2, deadline=bench.clock.now + 1.0)
    kept = batcher.submit(3, deadline=bench.clock.now + 9.0)
    bench.clock.now += 5.0
    run.gate.set()
    assert answers([late, kept]) == [DeadlineExceeded, 3]
    assert run.batches == [[1], [3]]


def test_poison_job_fails_alone(bench: Bench) -> None:
    run = Gated(failing)
    batcher = bench.build(run)
    occupy(batcher, run)
    futures = batcher.submit_all([2, -1, 3])
    run.gate.set()
    assert answers(futures) == [2, ValueError, 3]


def test_batch_after_a_failure_works(bench: Bench) -> None:
    batcher = bench.build(failing)
    assert answers([batcher.submit(-1)]) == [ValueError]
    assert answers([batcher.submit(5)]) == [5]


def test_wrong_count_fails_the_job_that_causes_it(bench: Bench) -> None:
    run = Gated(wrong_count)
    batcher = bench.build(run)
    occupy(batcher, run)
    futures = batcher.submit_all([2, -1, 3])
    run.gate.set()
    assert answers(futures) == [2, RuntimeError, 3]


def test_batch_too_large_for_memory_runs_in_halves(bench: Bench) -> None:
    run = Gated(out_of_memory)
    freed = []
    batcher = bench.build(run, free_memory=lambda: freed.append(len(run.batches)))
    occupy(batcher, run)
    futures = batcher.submit_all([2, 3, 4, 5])
    run.gate.set()
    assert answers(futures) == [2, 3, 4, 5]
    assert run.batches[1:] == [[2, 3, 4, 5], [2, 3], [4, 5]]
    assert freed == [2]


def test_batches_stay_smaller_after_memory_ran_out(bench: Bench) -> None:
    run = Gated(out_of_memory)
    batcher = bench.build(run)
    occupy(batcher, run)
    futures = batcher.submit_all([1, 1, 1, 1])
    run.gate.set()
    answers(futures)
    run.gate.clear()
    run.started.clear()
    occupy(batcher, run)
    futures = batcher.submit_all([1, 1, 1, 1])
    run.gate.set()
    answers(futures)
    assert [len(batch) for batch in run.batches[-2:]] == [2, 2]


def test_job_too_large_for_memory_may_be_retried_later(bench: Bench) -> None:
    batcher = bench.build(out_of_memory)
    with pytest.raises(Unavailable, match="memory") as failure:
        batcher.submit(-1).result(PATIENCE_S)
    assert failure.value.retry_after_s is not None
    assert answers([batcher.submit(5)]) == [5]


def test_failed_attempt_is_let_go_before_the_next() -> None:
    """The traceback of a failed attempt would keep its tensors while the halves ask for room."""
    held: list[bool] = []

    class Tensor:
        alive = 0

        def __init__(self) -> None:
            Tensor.alive += 1

        def __del__(self) -> None:
            Tensor.alive -= 1

    def run(jobs: list[int]) -> list[int]:
        held.append(Tensor.alive > 0)
        tensor = Tensor()
        if len(jobs) > 1:
            raise MemoryError(f"no room for {len(jobs)} beside {tensor}")
        return jobs

    slow = Gated(run)
    bench = Bench()
    batcher = bench.build(slow)
    occupy(batcher, slow)
    futures = batcher.submit_all([2, 3])
    slow.gate.set()
    assert answers(futures) == [2, 3]
    assert held == [False] * 4
    bench.close()


@pytest.mark.parametrize("behaviour", [fatal, thread_death])
def test_death_of_the_device_answers_everybody(bench: Bench, behaviour: Callable[[list[int]], list[int]]) -> None:
    run = Gated(behaviour)
    deaths: list[BaseException] = []
    dead = threading.Event()

    def on_death(error: BaseException) -> None:
        deaths.append(error)
        dead.set()

    batcher = bench.build(run, on_death=on_death)
    futures: list[Future[Any]] = [occupy(batcher, run), *batcher.submit_all([2, 3]), batcher.call(lambda: 4)]
    run.gate.set()
    assert answers(futures) == [DeviceFailed] * 4
    assert dead.wait(PATIENCE_S)
    assert len(deaths) == 1
    assert not batcher.alive
    with pytest.raises(DeviceFailed):
        batcher.submit(5)


def test_fatal_error_in_a_call_ends_the_device(bench: Bench) -> None:
    batcher = bench.build(Echo())
    assert answers([batcher.call(lambda: fatal([])[0])]) == [DeviceFailed]
    with pytest.raises(DeviceFailed):
        batcher.call(lambda: 1)


def test_call_runs_on_the_device_thread(bench: Bench) -> None:
    batcher = bench.build(lambda jobs: [threading.get_ident() for _ in jobs])
    device_thread = batcher.submit(1).result(PATIENCE_S)
    assert batcher.call(threading.get_ident).result(PATIENCE_S) == device_thread
    assert device_thread != threading.get_ident()


def test_call_comes_before_the_next_batch(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run, max_batch=1)
    occupy(batcher, run)
    futures = batcher.submit_all([2, 3])
    call = batcher.call(lambda: len(run.batches))
    run.gate.set()
    answers(futures)
    assert call.result(PATIENCE_S) == 1


def test_batch_comes_between_two_calls(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run)
    occupy(batcher, run)
    batcher.submit(2)
    calls = [batcher.call(lambda: len(run.batches)) for _ in range(2)]
    run.gate.set()
    assert answers(calls) == [1, 2]


def test_failing_call_fails_its_own_future_only(bench: Bench) -> None:
    batcher = bench.build(Echo())
    assert answers([batcher.call(lambda: failing([-1])[0]), batcher.submit(3)]) == [ValueError, 3]


def test_call_without_memory_frees_some(bench: Bench) -> None:
    freed = threading.Event()
    batcher = bench.build(Echo(), free_memory=freed.set)
    with pytest.raises(Unavailable, match="memory"):
        batcher.call(lambda: out_of_memory([-1])).result(PATIENCE_S)
    assert freed.wait(PATIENCE_S)


def test_close_finishes_accepted_work(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run)
    futures = [occupy(batcher, run), *batcher.submit_all([2, 3])]
    threading.Timer(0.05, run.gate.set).start()
    batcher.close(drain_s=PATIENCE_S)
    assert answers(futures) == [1, 2, 3]


def test_close_answers_what_a_hanging_device_does_not(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run)
    futures = [occupy(batcher, run), batcher.submit(2)]
    batcher.close(drain_s=0.0)
    assert answers(futures) == [Draining, Draining]
    run.gate.set()


def test_closed_batcher_refuses_new_work(bench: Bench) -> None:
    batcher = bench.build(Echo())
    batcher.close(drain_s=PATIENCE_S)
    with pytest.raises(Draining):
        batcher.submit(1)
    assert not batcher.alive


def test_batcher_closes_with_its_context(bench: Bench) -> None:
    with bench.build(Echo()) as batcher:
        assert batcher.alive
    with pytest.raises(Draining):
        batcher.submit(1)


def test_long_batch_shows_as_stalled(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run, stall_s=30.0)
    first = occupy(batcher, run)
    assert not batcher.stalled
    bench.clock.now += 31.0
    assert batcher.stalled
    run.gate.set()
    first.result(PATIENCE_S)
    batcher.call(lambda: None).result(PATIENCE_S)
    bench.clock.now += 31.0
    batcher.close(drain_s=PATIENCE_S)
    assert not batcher.stalled


def test_long_batch_that_gets_on_is_not_stalled(bench: Bench) -> None:
    run = Slow()
    batcher = bench.build(run, stall_s=30.0)
    occupy(batcher, run)
    bench.clock.now += 25.0
    batcher.beat()
    bench.clock.now += 25.0
    assert not batcher.stalled
    bench.clock.now += 6.0
    assert batcher.stalled


def test_beat_of_an_idle_device_starts_no_stall(bench: Bench) -> None:
    batcher = bench.build(Echo())
    batcher.beat()
    bench.clock.now += 99.0
    assert not batcher.stalled


def test_report_tells_the_size_of_a_batch(bench: Bench) -> None:
    run = Slow()
    reports: list[BatchReport] = []
    batcher = bench.build(run, on_batch=reports.append)
    occupy(batcher, run)
    futures = batcher.submit_all([2, 3])
    bench.clock.now += 1.5
    run.gate.set()
    answers(futures)
    assert (reports[1].n_jobs, reports[1].weight, reports[1].waits_s) == (2, 5, (1.5, 1.5))


def test_many_callers_each_get_their_own_answer(bench: Bench) -> None:
    batcher = bench.build(Echo(), max_queue=10_000, max_queue_weight=10_000_000)
    futures: dict[int, Future[int]] = {}

    def submit(start: int) -> None:
        for n in range(start, start + 200):
            futures[n] = batcher.submit(n)

    threads = [threading.Thread(target=submit, args=(start,)) for start in range(0, 1600, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert all(future.result(PATIENCE_S) == n for n, future in futures.items())
    assert len(futures) == 1600


def test_batcher_loads_no_torch() -> None:
    code = "import sys, lerenet.inference.batcher; sys.exit('torch' in sys.modules or 'fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
