"""When the core gives up an edge that says nothing."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from lerenet.edge.crew import BEGIN_WITHIN_S, Crew, _Edge
from lerenet.edge.messages import BEAT_S

LIMIT_S = 5.0


class FakeCrew:
    """Starts processes that only count how often they are killed."""

    def __init__(self) -> None:
        self.n_kills = 0

    async def begin(self, slot: int, on_end: Callable[[int], None]) -> tuple[Any, Any]:
        return SimpleNamespace(pid=1000 + slot, kill=self._kill), SimpleNamespace()

    def _kill(self) -> None:
        self.n_kills += 1


async def started() -> tuple[FakeCrew, _Edge]:
    crew = FakeCrew()
    edge = _Edge(1, cast(Crew, crew), LIMIT_S)
    await edge.start()
    return crew, edge


def let_pass(edge: _Edge, seconds: float, n_beats: int) -> None:
    """So many seconds in which an edge has given so many signs of life, and no more."""
    for _ in range(int(seconds / BEAT_S)):
        edge.note_time(n_beats)


async def test_an_edge_that_falls_silent_is_killed_once_it_is_so_for_too_long() -> None:
    crew, edge = await started()
    for n_beats in range(1, 100):
        edge.note_time(n_beats)
    let_pass(edge, LIMIT_S, 99)
    assert crew.n_kills == 0
    edge.note_time(99)
    assert crew.n_kills == 1


async def test_an_edge_has_longer_for_its_first_sign_of_life() -> None:
    crew, edge = await started()
    let_pass(edge, BEGIN_WITHIN_S, 0)
    assert crew.n_kills == 0
    edge.note_time(0)
    assert crew.n_kills == 1


async def test_an_edge_in_another_process_begins_anew() -> None:
    crew, edge = await started()
    let_pass(edge, BEGIN_WITHIN_S, 0)
    await edge.start()
    let_pass(edge, BEGIN_WITHIN_S, 0)
    assert crew.n_kills == 0
