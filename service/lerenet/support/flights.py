"""Single flight: callers that ask for the same thing at the same time share one piece of work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Runs one task per key at a time, for all who wait. Belongs to one event loop.

    A caller that leaves does not take the task down with it: the others still wait, and the result is cached anyway.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Result]] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[Result]]) -> Result:
        """The result of the flight under way for `key`, or of `work` when there is none; an error reaches everybody."""
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.create_task(_awaited(work))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel what is in the air and wait until it is down."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _land(self, key: str, task: asyncio.Task[Result]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled():
            # marks the error as seen: every caller may have left, and asyncio would complain of it
            task.exception()


async def _awaited(work: Callable[[], Awaitable[Result]]) -> Result:
    return await work()
