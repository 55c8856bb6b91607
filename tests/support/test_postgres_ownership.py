"""Owners, quotas and the trail where several replicas share them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
import structlog

from lerenet.errors import QuotaExceeded, RegistryError
from lerenet.observability.caller import Caller, called_by
from lerenet.observability.request_id import request_context
from lerenet.support import ParameterChanges, SupportRegistry, read_changes
from lerenet.support.backing import open_database, opened
from lerenet.support.postgres import Database, DatabaseOwnership, statements
from lerenet.support.postgres.database import Connection
from support.classes import CountingNetwork, Encoded, open_registry, shots

ENGINEER = Caller("lere_00000001", max_classes=2)

Replicas = list[SupportRegistry[Encoded]]


@pytest.fixture
async def replicas(root: Path, database_url: str) -> AsyncIterator[Replicas]:
    """Two, as the service has them."""
    made: Replicas = []
    for name in ("one", "two"):
        backing = open_database(database_url)
        made.append(
            open_registry(
                root / name,
                CountingNetwork(),
                store=backing.store,
                listeners=backing.listeners,
                ownership=backing.owners,
            )
        )
    yield made
    for registry in made:
        await registry.close()


async def test_a_caller_who_leaves_before_the_place_is_held_keeps_none(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, is_held, may_end = Database(database_url), asyncio.Event(), threading.Event()
    loop, write = asyncio.get_running_loop(), database.write

    def held_back(change: Callable[[Connection], bool]) -> bool:
        written = write(change)
        loop.call_soon_threadsafe(is_held.set)
        may_end.wait()
        return written

    monkeypatch.setattr(database, "write", held_back)

    async def leaving() -> None:
        with called_by(ENGINEER):
            async with DatabaseOwnership(database).place("a", AsyncMock()):
                raise AssertionError("left before")

    request = asyncio.create_task(leaving())
    await is_held.wait()
    request.cancel()
    await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await request
    async with asyncio.timeout(30):
        while _n_places(database):
            await asyncio.sleep(0.01)
    database.close()


def _n_places(database: Database) -> int:
    with database.connection() as connection:
        [(n_places,)] = connection.execute("SELECT count(*) FROM places")
    return int(n_places)


async def test_every_change_of_every_replica_leaves_one_line(replicas: Replicas, database_url: str) -> None:
    one, two = replicas
    with structlog.testing.capture_logs() as events, request_context("line-3"), called_by(ENGINEER):
        first = (await one.create("a", shots(1, 2))).registered.record.revision
        await two.create("a", shots(1, 2))  # nothing new
        second = (await two.patch("a", ParameterChanges(threshold=0.4))).registered.record.revision
        await one.delete("a")

    lines = list(read_changes(database_url))
    assert [(line["what"], line["before"], line["after"]) for line in lines] == [
        ("create", None, first),
        ("patch", first, second),
        ("delete", second, None),
    ]
    assert {(line["who"], line["class"], line["request_id"]) for line in lines} == {(ENGINEER.name, "a", "line-3")}
    assert [event["what"] for event in events if event["event"] == "registry change"] == ["create", "patch", "delete"]


async def test_a_change_is_stored_with_its_line_or_not_at_all(
    replicas: Replicas, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: object) -> int:
        raise RegistryError("undone")

    monkeypatch.setattr(statements, "next_generation", fail)
    with pytest.raises(RegistryError, match="undone"), called_by(ENGINEER):
        await replicas[0].create("a", shots(1))

    assert await replicas[1].count() == 0
    assert list(read_changes(database_url)) == []
    with opened(database_url) as backing:
        assert dict(backing.owners.owners()) == {}


async def test_a_quota_counts_the_classes_of_all_replicas(replicas: Replicas, database_url: str) -> None:
    one, two = replicas
    await one.create("of-nobody", shots(1))
    with called_by(ENGINEER):
        await one.create("a", shots(1))
        await two.create("b", shots(1))
        with pytest.raises(QuotaExceeded, match="2 classes were made with the key lere_00000001"):
            await one.create("c", shots(1))
        await two.put("of-nobody", shots(2))  # not made by them
    await two.delete("a")  # by the operator
    with called_by(ENGINEER):
        await two.create("c", shots(1))
    with opened(database_url) as backing:
        assert dict(backing.owners.owners()) == {"b": ENGINEER.name, "c": ENGINEER.name}


async def test_a_quota_holds_when_all_come_at_once_to_all_replicas(replicas: Replicas) -> None:
    with called_by(ENGINEER):
        made = await asyncio.gather(
            *(replicas[i % 2].create(f"class-{i}", shots(i)) for i in range(6)), return_exceptions=True
        )

    assert [isinstance(each, QuotaExceeded) for each in made].count(True) == 4
    # a place that came to nothing is free again
    await replicas[0].delete(next(f"class-{i}" for i, each in enumerate(made) if not isinstance(each, Exception)))
    with called_by(ENGINEER):
        await replicas[1].create("again", shots(1))
