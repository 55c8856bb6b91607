"""Two applications on one database, as a balancer's clients meet them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import structlog

import databases
from api.plates import assert_problem, form, image_part, parts, plate_png, register
from api.test_overload import segment
from conftest import ClientFactory
from fakes import LevelSegmenter, engine_with
from lerenet.settings import Settings
from serving import AppClient, wait_until_ready

WITHIN_S = 30.0


@pytest.fixture
async def replicas(
    client_factory: ClientFactory, make_settings: Callable[..., Settings], database_url: str
) -> list[AppClient]:
    settings = make_settings(database_url=database_url)
    return [await client_factory(settings, engine_with(LevelSegmenter())) for _ in range(2)]


async def told(client: AppClient, registry: str) -> None:
    """Waits until `/readyz` says so of the registry."""
    async with asyncio.timeout(WITHIN_S):
        while (await client.get("/readyz")).json()["registry"] != registry:
            await asyncio.sleep(0.01)


async def test_a_class_of_one_replica_is_a_class_of_the_other(replicas: list[AppClient]) -> None:
    one, two = replicas
    registered = await register(one)

    named = await two.post("/segment", **form(image_part(plate_png()), classes="scratches"))

    [found] = named.json()["results"][0]["classes"]
    assert found["revision"] == registered["revision"]
    again = await two.post("/support", **form(*parts(), name="scratches"))
    assert (again.status_code, again.json()["revision"]) == (200, registered["revision"])
    assert (await one.delete("/support/scratches")).status_code == 204
    async with asyncio.timeout(WITHIN_S):
        while (await two.post("/segment", **form(image_part(plate_png()), classes="scratches"))).status_code != 404:
            await asyncio.sleep(0.01)


async def test_frames_go_on_through_an_outage(
    replicas: list[AppClient], postgres: databases.Server, database_url: str
) -> None:
    one, two = replicas
    await register(one)
    assert (await two.post("/segment", **form(image_part(plate_png()), classes="scratches"))).status_code == 200
    with databases.outage(postgres, database_url):
        await told(two, "read_only")
        frames = [await segment(two), await two.post("/segment", **form(image_part(plate_png()), classes="scratches"))]
        refused = [
            await two.post("/segment", **form(image_part(plate_png()), classes="unknown")),
            await two.post("/support", **form(*parts(level=90), name="other")),
            await two.delete("/support/scratches"),
            await two.get("/support/unknown"),
        ]
        metrics = await two.get("/metrics")
        ready = (await two.get("/readyz")).json()

    assert [frame.status_code for frame in frames] == [200, 200]
    for response in refused:
        assert "database cannot be reached" in assert_problem(response, 503, "registry_unreachable")["detail"]
    assert metrics.status_code == 200
    assert "database cannot be reached" in ready["detail"]
    await told(two, "writable")
    assert (await two.post("/support", **form(*parts(level=90), name="other"))).status_code == 201


async def test_what_is_in_memory_counts_for_a_while_alone(
    client_factory: ClientFactory,
    make_settings: Callable[..., Settings],
    postgres: databases.Server,
    database_url: str,
) -> None:
    settings = make_settings(database_url=database_url, database_stale_s=1.0)
    client = await client_factory(settings, engine_with(LevelSegmenter()))
    await register(client)
    with databases.outage(postgres, database_url):
        async with asyncio.timeout(WITHIN_S):
            while (response := await segment(client)).status_code == 200:
                await asyncio.sleep(0.02)
        assert_problem(response, 503, "registry_unreachable")
        assert_problem(await client.get("/readyz"), 503, "registry_unreachable")
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/livez")).status_code == 200
    await wait_until_ready(client)
    assert (await segment(client)).status_code == 200


async def test_the_start_says_where_classes_are_kept(
    client_factory: ClientFactory, make_settings: Callable[..., Settings], database_url: str
) -> None:
    with_password = make_settings(database_url=database_url.replace("postgres:@", "postgres:secret@"))
    empty = make_settings()
    with structlog.testing.capture_logs() as lines:
        for settings in (with_password, empty):
            await client_factory(settings, engine_with(LevelSegmenter()))

    places = [line["place"] for line in lines if line["event"] == "classes are kept here"]
    name = database_url.partition("?")[0].rpartition("/")[2]
    assert len(places) == 2
    assert places[0].startswith(f"database {name} on ")
    assert places[1] == f"folder {empty.data_dir.resolve()}"
    assert "secret" not in str(lines)


async def test_what_cannot_name_a_class_is_not_asked_for_in_the_database(replicas: list[AppClient]) -> None:
    client, _ = replicas
    await register(client)
    for path in ("/support/a%00", "/support/scratches@%00", "/support/a%00/shots/0/image"):
        assert_problem(await client.get(path), 404, "unknown_class")
    for reference in ("a%00", "scratches@%00"):
        sent = await client.post(f"/segment?classes={reference}", **form(image_part(plate_png())))
        assert_problem(sent, 404, "unknown_class")
    assert_problem(await client.patch("/support/a%00", json={"threshold": 0.4}), 404, "unknown_class")
    assert_problem(await client.delete("/support/a%00"), 404, "unknown_class")
    assert (await client.get("/support?cursor=%00")).status_code in (400, 422)
