"""The three threads on which the registry meets its store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


class StoreLines:
    """A line for looks at what is current, one for other reads, one for writes.

    A read never waits until the blobs of a write are synced to the disk. Every frame looks, and a look waits for no
    read: where the store is on another host, looks are answered from memory.
    """

    def __init__(self) -> None:
        self._looks = ThreadPoolExecutor(1, thread_name_prefix="registry-look")
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="registry-read")
        self._writes = ThreadPoolExecutor(1, thread_name_prefix="registry-write")

    async def look(
        self, call: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Returned:
        """Run, in its turn, a call that asks no other host."""
        return await _run(self._looks, call, *args, **kwargs)

    async def read(
        self, call: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Returned:
        """Run a reading call in its turn."""
        return await _run(self._reads, call, *args, **kwargs)

    async def write(
        self, call: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Returned:
        """Run a writing call in its turn. A caller that leaves does not undo a write that has begun."""
        return await _run(self._writes, call, *args, **kwargs)

    def close(self) -> None:
        """End the threads once they are idle."""
        self._looks.shutdown()
        self._reads.shutdown()
        self._writes.shutdown()


async def _run(
    line: ThreadPoolExecutor, call: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Returned:
    return await asyncio.wrap_future(line.submit(call, *args, **kwargs))
