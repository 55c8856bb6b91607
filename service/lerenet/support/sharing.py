"""Prototypes that replicas share: what one has made, the others find; what one is making, they wait for.

A cache behind the caches of each replica. Nothing that happens to it is an error: it costs an encoding.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Literal, Protocol

Claim = Literal["ours", "others", "unknown"]
"""Who makes the prototypes of a content now: we; another replica; nobody can say, so each makes its own."""

WAIT_S = 60.0
"""Longest wait for another replica, in seconds; then a slow one, or one that is lost unnoticed, is not waited for."""

STEP_S = (0.1, 0.4)
"""Shortest and longest time between two looks, in seconds. Which it is is left to chance: a fleet must not march."""


class SharedPrototypes(Protocol):
    """Dumped prototypes of one `made_by` (weights, precision and code), by support digest.

    Blocking and safe to call from several threads. No method raises: what fails is not there.
    """

    def find(self, support_digest: str) -> bytes | None:
        """What was kept, checked against its digest; None when it is not there or damaged."""

    def has(self, support_digest: str) -> bool:
        """Whether something is kept; cheaper than `find`."""

    def among(self, support_digests: Collection[str]) -> set[str]:
        """Those of which something is kept."""

    def keep(self, support_digest: str, payload: bytes) -> None:
        """Keep prototypes, instead of any before them."""

    def retain(self, support_digests: Collection[str]) -> None:
        """Forget what is of no named content, unless it is so new that its revision may not be stored yet."""

    def claim(self, support_digest: str) -> Claim:
        """Try to be the one who makes it; whoever tries calls `release` in the end. A dead claimant's claim ends."""

    def release(self, support_digest: str) -> None:
        """Claim and try no more."""


@asynccontextmanager
async def turn(
    shared: SharedPrototypes | None,
    support_digest: str,
    is_made: Callable[[], Awaitable[bool]],
    *,
    place: asyncio.Lock,
    wait_s: float = WAIT_S,
) -> AsyncIterator[None]:
    """Everything below makes prototypes, unless they are there: one replica at a time, as far as can be told.

    A replica makes one class after the other: side by side none would be done before all are, and a fleet with new
    weights would give up waiting for each other. While another replica is at a class, the place is left to the next.

    Args:
        shared: Where claims are laid; None without other replicas.
        support_digest: The content.
        is_made: Whether another replica has finished, so that nobody need wait for anybody.
        place: This replica's, on the device.
        wait_s: For another replica at most, in seconds.
    """
    if shared is None:
        async with place:
            yield
        return
    until: float | None = None
    try:
        while True:
            async with place:
                claim = await asyncio.to_thread(shared.claim, support_digest)
                until = until or time.monotonic() + wait_s
                if claim != "others" or time.monotonic() >= until:
                    yield
                    return
            await asyncio.sleep(random.uniform(*STEP_S))  # noqa: S311 (no secret)
            if await is_made():
                yield
                return
    finally:
        await asyncio.to_thread(shared.release, support_digest)
