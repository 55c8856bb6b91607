"""One service with two edges for these tests, in the place of the one in process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from contract import first_of_each
from edge.service import ServiceWithEdges


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the contract, the first of each test's parameters: the others take the same way."""
    items[:], again = first_of_each(items)
    config.hook.pytest_deselected(items=again)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceWithEdges]:
    with ServiceWithEdges(tmp_path_factory.mktemp("edges")) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
async def client(service: ServiceWithEdges) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service, with nothing registered there."""
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as through_edges:
        for each in (await through_edges.get("/support")).json()["classes"]:
            await through_edges.delete(f"/support/{each['name']}")
        yield through_edges
