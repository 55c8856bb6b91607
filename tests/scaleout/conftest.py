"""One cluster for these tests, and the service on it in the place of the one in process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from contract import first_of_each
from lerenet.scaleout.plan import Plan, ServeConfig
from lerenet.settings import load_settings
from scaleout.cluster import Cluster


@dataclass(frozen=True)
class Deployed:
    """The service behind Serve's proxy."""

    url: str
    document: dict[str, Any]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the contract, the first of each test's parameters: the others take the same way through Serve."""
    items[:], again = first_of_each(items)
    config.hook.pytest_deselected(items=again)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture(scope="session")
def levels(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Config of two replicas that find grey levels, on one data folder."""
    environment = {
        "LERENET_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "LERENET_DEVICE": "cpu",
        "LERENET_STALL_S": "300",  # whatever else this machine does
        "LERENET_THREADS": "1",
    }
    config = ServeConfig(plan=Plan(min_replicas=2, max_replicas=2), environment=environment, port=cluster.port)
    document = config.document(load_settings())
    [application] = document["applications"]
    application["import_path"] = "scaleout.levels:application"
    application["deployments"][0] |= {"health_check_period_s": 0.2, "graceful_shutdown_wait_loop_s": 0.1}
    return document


@pytest.fixture
def deployed(cluster: Cluster, levels: dict[str, Any]) -> Deployed:
    """The replicas of `levels`; what a test deploys in their place, the next one replaces."""
    cluster.deploy(levels)
    return Deployed(f"http://127.0.0.1:{cluster.port}", levels)


@pytest.fixture
async def client(deployed: Deployed) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the deployed service, with nothing registered there."""
    async with httpx.AsyncClient(base_url=deployed.url, timeout=60, verify=False) as through_serve:
        for each in (await through_serve.get("/support")).json()["classes"]:
            await through_serve.delete(f"/support/{each['name']}")
        yield through_serve
