"""Edges and core as processes: who dies, who goes on, what is left."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edge.asking import register, segment
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


def test_a_dead_edge_is_replaced_while_the_other_answers(own: ServiceWithEdges) -> None:
    register(own.url)
    first, second = own.descendants()
    with httpx.Client(base_url=own.url, timeout=60) as kept:
        os.kill(first, signal.SIGKILL)
        own.wait_until_gone([first])
        assert segment(own.url).status_code == 200
        assert kept.get("/livez").status_code == 200
    own.wait_for_log("another is started")
    own.wait_for_edges()
    assert second in own.descendants()
    assert len(own.descendants()) == 2


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


def test_metrics_count_the_requests_of_every_edge(own: ServiceWithEdges) -> None:
    register(own.url)
    for _ in range(6):
        assert segment(own.url).status_code == 200
    shown = re.compile(r'lerenet_requests_total\{code="200",method="POST",route="/segment"\} 6\.0')
    for _ in range(200):  # edges tell four times a second
        if shown.search(httpx.get(f"{own.url}/metrics", timeout=60).text):
            return
    pytest.fail("six requests were answered, and not counted")
