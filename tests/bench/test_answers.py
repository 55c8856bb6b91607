"""Figures of a window of load, from answers whose times are known."""

from __future__ import annotations

import pytest

from lerenet.bench.answers import Answer, summarise


def test_only_answers_within_the_window_count() -> None:
    answers = [Answer(0.0, 0.5, 200), Answer(0.5, 1.5, 200), Answer(1.9, 2.5, 200), Answer(2.0, 3.5, 200)]
    found = summarise(answers, 1.0, 3.0)
    assert (found.n_ok, found.throughput, found.seconds) == (2, 1.0, 2.0)


def test_latencies_are_of_answers_that_were_right() -> None:
    answers = [Answer(0.0, 0.1 * i, 200) for i in range(1, 11)] + [Answer(0.0, 0.001, 503)]
    found = summarise(answers, 0.0, 2.0)
    assert found.p50_ms == pytest.approx(550)
    assert found.p95_ms == pytest.approx(955)
    assert found.refusal_p99_ms == pytest.approx(1)
    assert found.statuses == {200: 10, 503: 1}


def test_retry_after_is_held_against_what_the_accepted_waited_at_that_time() -> None:
    early, late = Answer(0.0, 2.0, 200), Answer(10.0, 14.0, 200)
    refused = [Answer(0.1, 0.1, 503, 2.0), Answer(10.1, 10.1, 503, 8.0), Answer(9.9, 9.9, 503, 8.0)]
    assert summarise([early, late, *refused], 0.0, 20.0).retry_ratio == pytest.approx(2.0)


def test_window_without_any_answer_has_no_percentiles() -> None:
    found = summarise([], 0.0, 1.0)
    assert (found.throughput, found.p50_ms, found.retry_ratio) == (0.0, None, None)
