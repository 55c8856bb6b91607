from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import httpx
import numpy as np
import pytest

from client.fake_service import FakeService, fields, problem
from client.test_client import MASK, PLATE
from lerenet.client import AsyncClient, Client, ServiceProblem
from lerenet.client.connection import MAX_RETRIES
from lerenet.errors import ConfigurationError, InvalidSupport, ServiceError
from lerenet.imaging import encode_image_png


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(service: FakeService, waits: list[float]) -> AsyncClient:
    async def note(seconds: float) -> None:
        waits.append(seconds)

    return AsyncClient("http://plant.example", transport=service.transport, sleep=note)


def test_both_clients_have_the_same_calls() -> None:
    def calls(kind: type) -> dict[str, str]:
        methods = {name: each for name, each in vars(kind).items() if not name.startswith("_")}
        return {name: str(inspect.signature(each)) for name, each in methods.items() if callable(each)}

    assert {**calls(AsyncClient), "close": ""} == {**calls(Client), "close": ""}
    assert inspect.getdoc(AsyncClient.segment) == inspect.getdoc(Client.segment)
    assert inspect.iscoroutinefunction(AsyncClient.segment)
    assert calls(Client)["get"] == "(self, /, name: 'str') -> 'SupportClass'"


async def test_class_is_registered_found_deleted(client: AsyncClient, service: FakeService) -> None:
    service.page_size = 1
    for name in ("spots", "dents"):
        await client.register(name, [(PLATE, MASK)])
    assert [each.name for each in await client.classes()] == ["dents", "spots"]
    await client.delete("dents")
    assert (await client.get("spots")).shots[0].area_px == 40
    with pytest.raises(ServiceProblem, match="404 unknown_class"):
        await client.get("dents")


async def test_masks_come_as_arrays(client: AsyncClient, service: FakeService, tmp_path: Path) -> None:
    (tmp_path / "plate.png").write_bytes(encode_image_png(PLATE))
    await client.register("spots", [(PLATE, MASK)])
    [frame] = await client.segment([tmp_path / "plate.png"], ["spots"], 0.25)
    assert np.array_equal(frame.classes[0].binary_mask, MASK)
    assert (frame.filename, frame.weights) == ("plate.png", "ab" * 32)
    assert fields(service.requests[-1])["threshold"] == "0.25"


async def test_calls_run_beside_each_other(service: FakeService) -> None:
    n_under_way, most = 0, 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal n_under_way, most
        n_under_way += 1
        most = max(most, n_under_way)
        await asyncio.sleep(0.05)
        n_under_way -= 1
        return service.answer(request)

    async with AsyncClient("http://plant.example", transport=httpx.MockTransport(answer)) as client:
        await client.register("spots", [(PLATE, MASK)])
        frames = await asyncio.gather(*(client.segment([PLATE]) for _ in range(4)))
    assert [len(frame) for frame in frames] == [1, 1, 1, 1]
    assert most > 1


async def test_busy_service_is_asked_again(client: AsyncClient, service: FakeService, waits: list[float]) -> None:
    service.answers = [
        problem(503, "queue_full", "full", retry_after="3"),
        problem(429, "rate_limited", "too fast", retry_after="1"),
    ]
    assert await client.classes() == []
    assert waits == [3.0, 1.0]


async def test_busy_service_is_given_up(client: AsyncClient, service: FakeService, waits: list[float]) -> None:
    service.answers = [problem(503, "queue_full", "full", retry_after="1") for _ in range(MAX_RETRIES + 2)]
    with pytest.raises(ServiceProblem, match="full"):
        await client.classes()
    assert len(waits) == MAX_RETRIES


async def test_wait_over_the_cap_is_left_to_the_caller(
    client: AsyncClient, service: FakeService, waits: list[float]
) -> None:
    service.answers = [problem(503, "loading", "much later", retry_after="86400")]
    with pytest.raises(ServiceProblem) as caught:
        await client.classes()
    assert (caught.value.retry_after_s, waits) == (86_400.0, [])


async def test_service_that_is_not_there_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    async with AsyncClient("http://plant.example", transport=httpx.MockTransport(refuse)) as client:
        with pytest.raises(ServiceError, match="cannot be reached") as caught:
            await client.classes()
        assert isinstance(caught.value.__cause__, httpx.ConnectError)
        assert not await client.ready()


async def test_what_cannot_be_sent_is_refused_first(client: AsyncClient, service: FakeService) -> None:
    with pytest.raises(InvalidSupport):
        await client.register("spots", [])
    assert await client.segment([]) == []
    assert service.requests == []


async def test_address_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="http"):
        AsyncClient("plant.example:8000")


async def test_key_is_sent_as_a_bearer_token(service: FakeService) -> None:
    async with AsyncClient("http://plant.example", api_key="lere_1", transport=service.transport) as client:
        await client.classes()
    assert service.requests[0].headers["authorization"] == "Bearer lere_1"
