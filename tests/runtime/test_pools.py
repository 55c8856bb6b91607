from __future__ import annotations

import asyncio
import threading

import pytest

from lerenet.runtime.pools import ThreadPool, all_or_first_error


async def test_results_keep_the_order_of_their_arguments() -> None:
    pool = ThreadPool("test", 3)

    assert await pool.map(lambda a, b: a * b, [1, 2, 3], [4, 5, 6]) == [4, 10, 18]
    pool.close()


async def test_work_runs_on_the_pool_s_own_threads() -> None:
    pool = ThreadPool("test", 1)

    assert (await pool.run(lambda: threading.current_thread().name)).startswith("lerenet-test")
    pool.close()


async def test_the_first_failure_ends_the_rest() -> None:
    cancelled = asyncio.Event()

    async def patient() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def faulty() -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await all_or_first_error([patient(), faulty()])
    assert cancelled.is_set()
