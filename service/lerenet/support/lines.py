"""The two threads on which the registry meets its store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


class StoreLines:
    """One line for reads and one for writes: a read never waits until the blobs of a write are synced to the disk."""

    def __init__(self) -> None:
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="registry-read")
        self._writes = ThreadPoolExecutor(1, thread_name_prefix="registry-write")

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
        """End both threads once they are idle."""
        self._reads.shutdown()
        self._writes.shutdown()


async def _run(
    line: ThreadPoolExecutor, call: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Returned:
    return await asyncio.wrap_future(line.submit(call, *args, **kwargs))
