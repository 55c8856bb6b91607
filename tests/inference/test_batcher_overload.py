"""Four times more work than the device can do, in simulated time: what is accepted, and whether `Retry-After` is true.

Everything happens on one thread in a fixed order: the device, while a batch "runs", lets the callers come whose time
falls into it, each at their own time of a hand-set clock.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from lerenet.errors import DeadlineExceeded, QueueFull
from lerenet.inference.batcher import Batcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

PATIENCE_S = 60.0

OFFSET_S, PER_JOB_S = 0.02, 0.01
MAX_BATCH = 8
CAPACITY = MAX_BATCH / (OFFSET_S + MAX_BATCH * PER_JOB_S)
"""Jobs in a second at most."""


class Simulation:
    """Callers at random times, and the device that serves them.

    Args:
        rate: Callers in a second.
        until: When the last of them comes, in seconds.
        pace: Factor on the device's time, by the time of the clock.
    """

    def __init__(
        self, *, rate: float, until: float, max_queue: int, deadline_s: float, pace: Callable[[float], float]
    ) -> None:
        self.now = 0.0
        self._pace = pace
        self._deadline_s = deadline_s
        draw = random.Random(0)
        self._arrivals: list[float] = []
        time = 0.0
        while (time := time + draw.expovariate(rate)) < until:
            self._arrivals.append(time)
        self._arrivals.reverse()
        self.done_at: dict[Future[int], float] = {}
        self.n_late = 0
        self.refusals: list[tuple[float, float, Future[int] | None]] = []
        self._last_accepted: Future[int] | None = None
        self._over = threading.Event()
        self._batcher = Batcher[int, int](
            self._run,
            weigh=lambda job: 1,
            max_batch=MAX_BATCH,
            max_batch_weight=1_000,
            max_queue=max_queue,
            max_queue_weight=10_000,
            clock=lambda: self.now,
        )

    def play(self) -> None:
        """Runs it to its end."""
        self.now = self._arrivals[-1]
        self._arrive()
        assert self._over.wait(PATIENCE_S)
        self._batcher.close(PATIENCE_S)

    def _run(self, jobs: list[int]) -> list[int]:
        end = self.now + self._pace(self.now) * (OFFSET_S + PER_JOB_S * len(jobs))
        while self._arrivals and self._arrivals[-1] <= end:
            self.now = self._arrivals[-1]
            self._arrive()
        if not self._arrivals:
            self._over.set()
        self.now = end
        return jobs

    def _arrive(self) -> None:
        arrival = self._arrivals.pop()
        try:
            future = self._batcher.submit(0, deadline=arrival + self._deadline_s)
        except QueueFull as refusal:
            self.refusals.append((arrival, refusal.retry_after_s or 0.0, self._last_accepted))
            return
        self._last_accepted = future
        future.add_done_callback(self._note)

    def _note(self, future: Future[int]) -> None:
        if isinstance(future.exception(), DeadlineExceeded):
            self.n_late += 1
        self.done_at[future] = self.now


def steady(now: float) -> float:
    return 1.0


def slower_from_half(now: float) -> float:
    return 1.0 if now < 30.0 else 1.8


@pytest.mark.parametrize(("pace", "max_queue"), [(steady, 64), (steady, 256), (slower_from_half, 64)])
def test_retry_after_is_right_within_a_factor_of_two_at_four_times_the_capacity(
    pace: Callable[[float], float], max_queue: int
) -> None:
    simulation = Simulation(rate=4 * CAPACITY, until=60.0, max_queue=max_queue, deadline_s=30.0, pace=pace)

    simulation.play()

    told_and_true = [
        (told_s, simulation.done_at[last] - at) for at, told_s, last in simulation.refusals if last and at > 5.0
    ]
    assert len(told_and_true) > 0.6 * 4 * CAPACITY * 55.0
    is_right = [true_s / 2 <= told_s <= 2 * true_s for told_s, true_s in told_and_true]
    assert sum(is_right) >= 0.999 * len(is_right)


@pytest.mark.parametrize("deadline_s", [30.0, 1.0])
def test_overload_costs_no_goodput(deadline_s: float) -> None:
    simulation = Simulation(rate=4 * CAPACITY, until=60.0, max_queue=128, deadline_s=deadline_s, pace=steady)

    simulation.play()

    n_served = sum(done_at <= 60.0 for done_at in simulation.done_at.values()) - simulation.n_late
    assert n_served >= 0.95 * 60.0 * CAPACITY


def test_accepted_work_is_done_in_time_where_the_queue_is_longer_than_the_deadline() -> None:
    simulation = Simulation(rate=4 * CAPACITY, until=60.0, max_queue=4_096, deadline_s=1.0, pace=steady)

    simulation.play()

    assert simulation.n_late <= 0.02 * len(simulation.done_at)
