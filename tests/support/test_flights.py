from __future__ import annotations

import asyncio

import pytest

from lerenet.support.flights import SingleFlight


class Work:
    """Counts its runs, each of which lasts until `gate` is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.gate = asyncio.Event()
        self.n_runs = 0
        self.error = error

    async def __call__(self) -> int:
        self.n_runs += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.n_runs


async def started(flights: SingleFlight[int], work: Work, n: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(flights.run("a", work)) for _ in range(n)]
    await asyncio.sleep(0.01)
    return tasks


async def test_callers_share_one_flight() -> None:
    work = Work()
    tasks = await started(SingleFlight(), work, 20)
    work.gate.set()
    assert await asyncio.gather(*tasks) == [1] * 20


async def test_next_caller_starts_anew_when_the_flight_has_landed() -> None:
    flights: SingleFlight[int] = SingleFlight()
    work = Work()
    work.gate.set()
    assert [await flights.run("a", work), await flights.run("a", work)] == [1, 2]


async def test_keys_do_not_wait_for_each_other() -> None:
    flights: SingleFlight[int] = SingleFlight()
    slow, fast = Work(), Work()
    fast.gate.set()
    (waiting,) = await started(flights, slow, 1)
    assert await flights.run("b", fast) == 1
    slow.gate.set()
    await waiting


async def test_error_reaches_every_caller() -> None:
    work = Work(ValueError("no"))
    tasks = await started(SingleFlight(), work, 3)
    work.gate.set()
    assert [str(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == ["no"] * 3


async def test_flight_goes_on_when_a_caller_leaves() -> None:
    work = Work()
    first, second = await started(SingleFlight(), work, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.gate.set()
    assert await second == 1


async def test_error_that_nobody_waits_for_is_not_complained_of() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    work = Work(ValueError("no"))
    (only,) = await started(SingleFlight(), work, 1)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    work.gate.set()
    await asyncio.sleep(0.01)
    assert complaints == []


async def test_closing_cancels_what_is_in_the_air() -> None:
    flights: SingleFlight[int] = SingleFlight()
    tasks = await started(flights, Work(), 2)
    await flights.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
