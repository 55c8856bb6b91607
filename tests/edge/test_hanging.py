"""An edge that lives and says nothing, and a core that does: nobody waits for them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from api.plates import assert_problem, form, parts
from edge.asking import register, segment
from edge.service import WITHIN_S, ServiceWithEdges

STALL_S = 5.0


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[ServiceWithEdges]:
    with ServiceWithEdges(tmp_path, stall_s=STALL_S) as running:
        running.wait_until_ready()
        register(running.url)
        yield running


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that lives and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        while set(states_of_threads(pid)) != {"T"}:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def states_of_threads(pid: int) -> list[str]:
    return [each.read_text().rpartition(")")[2].split()[0] for each in Path(f"/proc/{pid}/task").glob("*/stat")]


def test_a_silent_edge_is_replaced_what_it_held_is_let_go_and_it_does_not_hold_up_the_end(
    hanging: ServiceWithEdges,
) -> None:
    first, second = hanging.descendants()
    with closing(hanging.connection_to(first)) as caller:
        caller.sendall(b"POST /segment HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 999\r\n\r\n")
        hanging.wait_for_sample("requests_in_progress", 1)

        with stopped(first):
            assert segment(hanging.url).status_code == 200  # by the other
            hanging.wait_until_gone([first])

        assert caller.recv(1) == b""
    hanging.wait_for_log("another is started")
    hanging.wait_for_edges()
    hanging.wait_for_sample("requests_in_progress", 0)
    assert second in hanging.descendants()
    assert len(hanging.descendants()) == 2
    assert "an HTTP process gives no sign of life, and is killed" in hanging.log

    edges = hanging.descendants()
    with stopped(second):
        hanging.signal(signal.SIGTERM)
        assert hanging.process.wait(WITHIN_S) in (0, -signal.SIGTERM)
        hanging.wait_until_gone(edges)


def test_a_silent_core_is_waited_for_by_nobody_and_taken_back_when_it_wakes_up(hanging: ServiceWithEdges) -> None:
    edges = sorted(hanging.descendants())
    with stopped(hanging.process.pid), ThreadPoolExecutor(3) as callers:
        asked = [
            callers.submit(segment, hanging.url),
            callers.submit(httpx.put, f"{hanging.url}/support/late", **form(*parts()), timeout=WITHIN_S),
            callers.submit(hanging.get, "/readyz"),
        ]
        for each in asked:
            assert_unavailable(each.result())
        assert_unavailable(segment(hanging.url))
        assert_unavailable(hanging.get("/readyz"))
        assert_problem(hanging.get("/livez"), 503, "device_failed")

    hanging.wait_until_ready()
    assert segment(hanging.url).status_code == 200
    assert sorted(hanging.descendants()) == edges
    assert "is heard again" in hanging.log


def assert_unavailable(response: httpx.Response) -> None:
    assert_problem(response, 503, "unavailable")
    assert int(response.headers["retry-after"]) > 0
