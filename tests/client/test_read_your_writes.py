"""Clients ask for a registry that is at least as new as what they have seen of it."""

from __future__ import annotations

import httpx
import pytest

from client.fake_service import FakeService, problem
from lerenet.client import AsyncClient, Client, ServiceProblem
from lerenet.client.connection import MAX_RETRIES
from lerenet.client.freshness import SeenRevision


def page(revision: str | None) -> httpx.Response:
    headers = {} if revision is None else {"X-Registry-Revision": revision}
    return httpx.Response(200, json={"classes": [], "next": None}, headers=headers)


def behind() -> httpx.Response:
    return problem(503, "registry_behind", "at revision 3 here", retry_after="1")


@pytest.fixture
def service() -> FakeService:
    return FakeService()


def connected(service: FakeService, *, read_your_writes: bool = True) -> Client:
    return Client(
        "http://plant.example",
        transport=service.transport,
        sleep=lambda seconds: None,
        read_your_writes=read_your_writes,
    )


def wanted(service: FakeService) -> list[str | None]:
    return [request.headers.get("X-Min-Revision") for request in service.requests]


def test_client_asks_for_the_highest_revision_it_has_seen(service: FakeService) -> None:
    service.answers = [page("7"), page("5"), page("12"), page(None)]
    client = connected(service)
    for _ in range(5):
        client.classes()
    assert wanted(service) == [None, "7", "7", "12", "12"]


def test_client_learns_from_refusals_too(service: FakeService) -> None:
    service.answers = [problem(404, "unknown_class", "no pits", X_Registry_Revision="4")]
    client = connected(service)
    with pytest.raises(ServiceProblem):
        client.get("pits")
    client.classes()
    assert wanted(service) == [None, "4"]


@pytest.mark.parametrize("shown", ["", "seven", "-1", "1" * 40])
def test_client_passes_over_what_is_no_revision(service: FakeService, shown: str) -> None:
    service.answers = [page(shown)]
    client = connected(service)
    client.classes()
    client.classes()
    assert wanted(service) == [None, None]


def test_client_asks_a_lagging_service_again_for_the_same(service: FakeService) -> None:
    service.answers = [page("7"), behind(), page("7")]
    client = connected(service)
    client.classes()
    client.classes()
    assert wanted(service) == [None, "7", "7"]


def test_client_tells_once_that_the_registry_counts_lower_then_starts_anew(service: FakeService) -> None:
    service.answers = [page("7"), *(behind() for _ in range(MAX_RETRIES + 1)), page("3"), page("3")]
    client = connected(service)
    client.classes()
    with pytest.raises(ServiceProblem) as caught:
        client.classes()
    assert caught.value.code == "registry_behind"
    client.classes()
    client.classes()
    assert wanted(service) == [None, *["7"] * (MAX_RETRIES + 1), None, "3"]


def test_client_keeps_the_number_over_other_problems(service: FakeService) -> None:
    service.answers = [page("7"), problem(503, "device_failed", "lost")]
    client = connected(service)
    client.classes()
    with pytest.raises(ServiceProblem):
        client.classes()
    client.classes()
    assert wanted(service) == [None, "7", "7"]


def test_client_asks_for_nothing_where_that_is_switched_off(service: FakeService) -> None:
    service.answers = [page("7")]
    client = connected(service, read_your_writes=False)
    client.classes()
    client.classes()
    assert wanted(service) == [None, None]


def test_each_client_has_seen_what_it_has_seen(service: FakeService) -> None:
    service.answers = [page("7")]
    connected(service).classes()
    connected(service).classes()
    assert wanted(service) == [None, None]


def test_readiness_of_a_service_that_is_away_is_still_no(service: FakeService) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with Client("http://plant.example", transport=httpx.MockTransport(refuse)) as client:
        assert not client.ready()


def test_a_higher_number_seen_meanwhile_survives_the_refusal_of_a_lower_one() -> None:
    seen = SeenRevision()
    seen.note(page("7"))
    seen.note(page("9"))
    seen.forget(7)
    assert seen.highest == 9


async def test_async_client_asks_for_the_highest_revision_it_has_seen(service: FakeService) -> None:
    service.answers = [page("7"), page("5"), page("7")]
    async with AsyncClient("http://plant.example", transport=service.transport) as client:
        for _ in range(3):
            await client.classes()
    assert wanted(service) == [None, "7", "7"]


async def test_async_client_asks_for_nothing_where_that_is_switched_off(service: FakeService) -> None:
    service.answers = [page("7"), page("7")]
    async with AsyncClient("http://plant.example", transport=service.transport, read_your_writes=False) as client:
        await client.classes()
        await client.classes()
    assert wanted(service) == [None, None]
