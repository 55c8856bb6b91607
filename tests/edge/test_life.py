"""Edges and core as processes: who dies, who goes on, what is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from api.plates import PNG_HEADERS, plate_png
from edge.asking import register, segment
from edge.connection import Answers, request
from edge.service import ServiceWithEdges


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ServiceWithEdges]:
    with ServiceWithEdges(tmp_path) as running:
        running.wait_until_ready()
        yield running


def test_no_edge_loads_torch(service: ServiceWithEdges) -> None:
    pids = service.descendants()
    assert len(pids) == 2
    for pid in pids:
        assert "torch" not in Path(f"/proc/{pid}/maps").read_text()


def test_a_dead_edge_is_replaced_while_the_other_answers(service: ServiceWithEdges) -> None:
    register(service.url)
    first, second = service.descendants()
    with httpx.Client(base_url=service.url, timeout=60) as kept:
        os.kill(first, signal.SIGKILL)
        service.wait_until_gone([first])
        assert segment(service.url).status_code == 200
        assert kept.get("/livez").status_code == 200
    service.wait_for_log("another is started")
    service.wait_for_edges()
    assert second in service.descendants()
    assert len(service.descendants()) == 2


def test_a_killed_core_leaves_no_process(own: ServiceWithEdges) -> None:
    pids = own.descendants()
    own.process.kill()
    own.process.wait()
    own.wait_until_gone(pids)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{own.url}/livez")


def test_a_signal_to_every_process_ends_the_service_well(own: ServiceWithEdges) -> None:
    register(own.url)
    pids = own.descendants()
    for pid in (*pids, own.process.pid):
        os.kill(pid, signal.SIGTERM)
    assert own.process.wait(60) in (0, -signal.SIGTERM)
    own.wait_until_gone(pids)
    assert "is killed" not in own.log
    assert "died" not in own.log


def test_metrics_count_the_requests_of_every_edge(service: ServiceWithEdges) -> None:
    register(service.url)
    counted = 'requests_total{code="200",method="POST",route="/segment"}'
    n_before, edges = service.sample(counted), service.descendants()

    for pid, n in zip(edges, (2, 4), strict=True):
        with closing(service.connection_to(pid)) as connection:
            answers = Answers(connection)
            for _ in range(n):
                connection.sendall(request("POST", "/segment", PNG_HEADERS, plate_png()))
                assert answers.next().status == 200

    service.wait_for_sample(counted, n_before + 6)  # edges tell four times a second
