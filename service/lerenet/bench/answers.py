"""What came back from a service under load, and what that says about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_OK = 200
_BUSY = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        sent_s: When the request was sent, in seconds of a monotonic clock.
        answered_s: When the answer had come whole.
        status: HTTP status; 0 when the connection failed.
        retry_after_s: What the answer asked to wait, in seconds; None where it did not.
    """

    sent_s: float
    answered_s: float
    status: int
    retry_after_s: float | None = None

    @property
    def latency_s(self) -> float:
        """Seconds from sending to the whole answer."""
        return self.answered_s - self.sent_s


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """A window of load in numbers.

    Attributes:
        seconds: Length of the window.
        n_ok: Answers with status 200.
        statuses: Answers by status.
        throughput: Answers with status 200 a second.
        p50_ms: Half of those came within so many milliseconds; None without any.
        p95_ms: The same for 95 in 100.
        p99_ms: The same for 99 in 100.
        refusal_p99_ms: The same for 99 in 100 of the answers with status 503.
        retry_ratio: Median of what a 503 asked to wait, over how long a request that was accepted at about that time
            took: 1 is a perfect forecast. None without both.
    """

    seconds: float
    n_ok: int
    statuses: dict[int, int]
    throughput: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    refusal_p99_ms: float | None
    retry_ratio: float | None


def summarise(answers: Sequence[Answer], start_s: float, end_s: float) -> LoadFigures:
    """Figures of the answers that came within a window.

    Args:
        answers: In any order; those outside the window are left out.
        start_s: Begin, in seconds of the answers' clock.
        end_s: End, after the begin.
    """
    within = [answer for answer in answers if start_s <= answer.answered_s < end_s]
    good = [answer for answer in within if answer.status == _OK]
    refused = [answer for answer in within if answer.status == _BUSY]
    return LoadFigures(
        seconds=end_s - start_s,
        n_ok=len(good),
        statuses=dict(sorted(Counter(answer.status for answer in within).items())),
        throughput=len(good) / (end_s - start_s),
        p50_ms=_percentile_ms(good, 50),
        p95_ms=_percentile_ms(good, 95),
        p99_ms=_percentile_ms(good, 99),
        refusal_p99_ms=_percentile_ms(refused, 99),
        retry_ratio=_retry_ratio(good, refused),
    )


def _percentile_ms(answers: Sequence[Answer], percent: float) -> float | None:
    return float(np.percentile([answer.latency_s for answer in answers], percent) * 1e3) if answers else None


def _retry_ratio(good: Sequence[Answer], refused: Sequence[Answer]) -> float | None:
    """A refusal forecasts when the line has drained: when whoever was accepted just before it gets an answer."""
    asked = [(answer.sent_s, answer.retry_after_s) for answer in refused if answer.retry_after_s is not None]
    if not good or not asked:
        return None
    sent = np.array([answer.sent_s for answer in good])
    took = np.array([answer.latency_s for answer in good])
    return float(np.median([wait / took[np.abs(sent - at).argmin()] for at, wait in asked]))
