"""Threads for decoding and for encoding, kept apart so that neither starves the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")

MAX_CODEC_THREADS = 8
"""That decode, and as many that encode, where the settings say nothing."""


class ThreadPool:
    """Threads that do one kind of work; the event loop waits for them without blocking."""

    def __init__(self, name: str, n_threads: int) -> None:
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix=f"lerenet-{name}")

    async def run(self, work: Callable[[], Result]) -> Result:
        """Result of `work`, run on one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def map(self, work: Callable[..., Result], *arguments: Sequence[object]) -> list[Result]:
        """Results of `work` for each tuple of arguments, in order; the first failure is raised, the rest dropped."""
        calls = (partial(work, *each) for each in zip(*arguments, strict=True))
        return await all_or_first_error([self.run(call) for call in calls])

    def close(self) -> None:
        """Ends the threads after what they are at; what waits is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)


async def run_on_passing_thread(work: Callable[[], Result]) -> Result:
    """Result of `work`, run on a thread that ends with it.

    OpenMP keeps a team for every thread that has computed, as long as that thread lives; with more threads in teams
    than CPUs, all of them sleep between loops instead of waiting awake, and whoever computes next pays for it.
    """
    passing = ThreadPoolExecutor(1, thread_name_prefix="lerenet-passing")
    try:
        return await asyncio.get_running_loop().run_in_executor(passing, work)
    finally:
        passing.shutdown(wait=False)


async def all_or_first_error(work: Sequence[Awaitable[Result]]) -> list[Result]:
    """Results in order. When one fails, the others are cancelled and awaited, and its error is raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
