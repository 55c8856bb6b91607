from __future__ import annotations

import re

from lerenet.observability import Timings, note_stage, timed_stage
from lerenet.observability.timings import STAGES


def test_stages_come_in_the_order_of_the_pipeline() -> None:
    timings = Timings()
    for stage in reversed(STAGES):
        timings.note(stage, 1.0)

    assert list(timings.stages) == ["read", "decode", "queue", "device", "encode"]


def test_of_what_runs_side_by_side_the_longest_counts() -> None:
    timings = Timings()
    with timings.current():
        note_stage("device", 2.0)
        note_stage("device", 1.0)

    assert timings.stages == {"device": 2.0}


def test_a_timed_block_is_noted_even_when_it_fails() -> None:
    timings = Timings()
    with timings.current():
        try:
            with timed_stage("decode"):
                raise ValueError
        except ValueError:
            pass

    assert timings.stages["decode"] >= 0


def test_stages_outside_of_a_request_are_dropped() -> None:
    note_stage("device", 1.0)

    assert not Timings().stages


def test_server_timing_is_in_milliseconds_with_the_total_last() -> None:
    timings = Timings()
    timings.note("device", 0.0125)

    assert re.fullmatch(r"device;dur=12\.5, total;dur=[0-9.]+", timings.server_timing())
