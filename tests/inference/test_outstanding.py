from __future__ import annotations

import math

from lerenet.inference.outstanding import Outstanding


class Maps:
    """Anything that can be watched."""


def test_result_counts_for_as_long_as_it_lives() -> None:
    outstanding = Outstanding(10)
    maps = Maps()
    outstanding.watch(maps, 7)
    assert (outstanding.held, outstanding.room) == (7, 3)
    del maps
    assert (outstanding.held, outstanding.room) == (0, 10)


def test_room_is_for_what_fits_beside_the_rest() -> None:
    outstanding = Outstanding(10)
    maps = Maps()
    outstanding.watch(maps, 7)
    assert outstanding.has_room(3)
    assert not outstanding.has_room(4)


def test_a_single_result_over_the_limit_has_room_where_nothing_else_is() -> None:
    assert Outstanding(10).has_room(99)


def test_listener_hears_that_a_result_was_let_go() -> None:
    outstanding = Outstanding(math.inf)
    heard: list[int] = []
    outstanding.listener = lambda: heard.append(outstanding.held)
    maps = Maps()
    outstanding.watch(maps, 7)
    assert heard == []
    del maps
    assert heard == [0]
