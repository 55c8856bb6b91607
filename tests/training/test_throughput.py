"""What a run says of its own speed."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from lerenet.training.episodes import Batch
from lerenet.training.throughput import Throughput


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_throughput_counts_queries_and_the_wait_for_plates_but_not_for_the_first() -> None:
    clock = Clock()

    def made() -> Iterator[Batch]:
        for seconds in (100.0, 1.0, 2.0):
            clock.now += seconds
            yield Batch(torch.zeros(2, 5, 3, 8, 8), torch.zeros(2, 5, 8, 8), made_s=0.5)

    throughput = Throughput(clock)
    for _ in throughput.timed(made()):
        clock.now += 9.0
    assert throughput.describe() == (
        "1.0 queries a second; steps alone 1.1, plates alone 20.0 per worker; 10% of the time waiting for plates"
    )


def test_throughput_of_a_run_without_a_step_divides_by_nothing() -> None:
    assert Throughput(Clock()).describe() == "nothing learned yet"
