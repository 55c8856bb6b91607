"""How often a key may ask: a token bucket each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lerenet.access.keys import KeyRecord

WINDOW_S = 60
ROUNDING = 1e-9
"""Part of a token that sums of floats may lose."""


@dataclass(frozen=True)
class Standing:
    """Where a key stands after a request.

    Attributes:
        quota: Requests a minute, and at once.
        remaining: Requests that would be answered now.
        full_in_s: Seconds until all of the quota is there again, rounded up.
        wait_s: Seconds until the next request is answered; 0 if this one was.
    """

    quota: int
    remaining: int
    full_in_s: int
    wait_s: float

    @property
    def is_exceeded(self) -> bool:
        """Whether this request was one too many."""
        return self.wait_s > 0


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class Rates:
    """The buckets of all keys that have a rate. They begin full, also after a restart.

    Args:
        clock: Monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def count(self, key: KeyRecord) -> Standing | None:
        """Takes a token for a request, if there is one; None for a key without a rate."""
        quota = key.requests_per_minute
        if quota is None:
            return None
        per_s, now = quota / WINDOW_S, self._clock()
        bucket = self._buckets.setdefault(key.prefix, _Bucket(quota, now))
        bucket.tokens = min(quota, bucket.tokens + per_s * (now - bucket.filled_at))
        bucket.filled_at = now
        lacking = 1 - bucket.tokens
        wait_s = lacking / per_s if lacking > ROUNDING else 0.0
        if not wait_s:
            bucket.tokens = max(0.0, bucket.tokens - 1)
        return Standing(quota, int(bucket.tokens), math.ceil((quota - bucket.tokens) / per_s), wait_s)
