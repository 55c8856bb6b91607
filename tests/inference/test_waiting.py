from __future__ import annotations

from lerenet.inference.waiting import Entry, WaitingLine


def entry(name: str, weight: int = 1, deadline: float | None = None) -> Entry[str, str]:
    return Entry(name, weight, deadline, queued_at=0.0)


def line_of(*entries: Entry[str, str], max_jobs: int = 10, max_weight: int = 100) -> WaitingLine[str, str]:
    line = WaitingLine[str, str](max_jobs=max_jobs, max_weight=max_weight)
    line.join(entries)
    return line


def names(entries: list[Entry[str, str]]) -> str:
    return "".join(e.job for e in entries)


def test_line_serves_in_order_of_arrival() -> None:
    assert names(line_of(entry("a"), entry("b"), entry("c")).take(2, 100)) == "ab"


def test_line_stops_a_batch_before_the_entry_that_would_pass_the_weight() -> None:
    line = line_of(entry("a", 3), entry("b", 3), entry("c", 1))
    assert names(line.take(10, 5)) == "a"
    assert line.weight == 4


def test_line_lets_an_entry_heavier_than_a_batch_go_alone() -> None:
    assert names(line_of(entry("a", 50), entry("b", 1)).take(10, 5)) == "a"


def test_line_has_no_room_past_its_count() -> None:
    assert not line_of(entry("a"), entry("b"), max_jobs=3).has_room([entry("c"), entry("d")])


def test_line_has_no_room_past_its_weight() -> None:
    assert not line_of(entry("a", 3), max_weight=5).has_room([entry("b", 3)])


def test_line_has_room_up_to_its_limits() -> None:
    assert line_of(entry("a", 3), max_jobs=2, max_weight=5).has_room([entry("b", 2)])


def test_empty_line_has_room_for_anything() -> None:
    assert line_of(max_jobs=1, max_weight=1).has_room([entry("a", 7), entry("b", 7)])


def test_sweep_gives_back_late_entries_only() -> None:
    cancelled = entry("b", deadline=1.0)
    cancelled.future.cancel()
    line = line_of(entry("a", deadline=1.0), cancelled, entry("c", deadline=2.0), entry("d", 5))
    assert names(line.sweep(now=1.0)) == "a"
    assert (len(line), line.weight) == (2, 6)


def test_clear_empties_the_line() -> None:
    line = line_of(entry("a"), entry("b"))
    assert names(line.clear()) == "ab"
    assert (len(line), line.weight) == (0, 0)
