"""Callers whose frames wait in the core: they leave, the service is told to stop, the device is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from api.plates import LEVEL, PNG_HEADERS, assert_problem, form, parts, plate_png
from edge.connection import request
from edge.gated import POISON, WAITING, Gate
from edge.service import WITHIN_S, ServiceWithEdges
from lerenet.api.server import EXIT_DEVICE_LOST


class Gated(ServiceWithEdges):
    """A service whose device waits at a gate."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "edge.gated", max_batch_images=1)
        self.gate = Gate(folder)

    def segment(self, level: int) -> httpx.Response:
        url, frame = f"{self.url}/segment", plate_png(level)
        return httpx.post(url, content=frame, headers=PNG_HEADERS, timeout=WITHIN_S, verify=False)


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Gated]:
    with Gated(tmp_path) as running:
        running.wait_until_ready()
        answer = httpx.post(f"{running.url}/support", **form(*parts(), name="bright"), timeout=WITHIN_S, verify=False)
        assert answer.status_code == 201
        yield running


def test_who_leaves_costs_the_device_nothing_and_who_stays_is_answered_before_the_end(gated: Gated) -> None:
    edges = gated.descendants()
    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(gated.segment, WAITING)
        gated.gate.wait_until_entered()
        with closing(gated.connection_to(edges[0])) as leaving:
            leaving.sendall(request("POST", "/segment", PNG_HEADERS, plate_png()))
            gated.wait_for_sample("queue_depth", 1)
        gated.wait_for_sample('requests_total{code="499",method="POST",route="/segment"}', 1)
        gated.gate.open()
        assert first.result().status_code == 200
        assert gated.segment(LEVEL).status_code == 200
        gated.wait_for_sample("batch_size_sum", 2)

        last = callers.submit(gated.segment, WAITING)
        gated.gate.wait_until_entered()
        gated.signal(signal.SIGTERM)
        gated.wait_until_refused()
        gated.gate.open()
        assert last.result().status_code == 200

    assert gated.process.wait(WITHIN_S) in (0, -signal.SIGTERM)
    gated.wait_until_gone(edges)
    assert "is killed" not in gated.log


def test_a_lost_device_fails_whoever_waits_and_ends_all_processes(gated: Gated) -> None:
    edges = gated.descendants()
    with ThreadPoolExecutor(5) as callers:
        first = callers.submit(gated.segment, WAITING)
        gated.gate.wait_until_entered()
        waiting = [callers.submit(gated.segment, POISON) for _ in range(4)]
        gated.wait_for_sample("queue_depth", len(waiting))
        gated.gate.open()
        answers = [each.result() for each in waiting]

    assert first.result().status_code == 200
    for each in answers:
        assert_problem(each, 503, "device_failed")
    assert gated.process.wait(WITHIN_S) == EXIT_DEVICE_LOST
    gated.wait_until_gone(edges)
    assert "is killed" not in gated.log
