"""Replicas over one database: what one has made, the others do not make."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psycopg
import pytest

from lerenet.support import PrototypeCache, SqliteStore, SupportRegistry
from lerenet.support.postgres import Database, DatabasePrototypes, PostgresStore
from lerenet.support.sharing import Claim, SharedPrototypes, turn
from support.classes import CountingNetwork, Encoded, commit, shots
from support.sharing import Memory, MemoryPrototypes, replica

KEY = "a" * 64
DEADLINE_S = 30


class Watched(DatabasePrototypes):
    """Tells when a claim of another replica was met."""

    def __init__(self, database: Database, made_by: str) -> None:
        super().__init__(database, made_by)
        self.met = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def claim(self, support_digest: str) -> Claim:
        claim = super().claim(support_digest)
        if claim == "others":
            self._loop.call_soon_threadsafe(self.met.set)
        return claim


class Replica:
    """A registry of its own folder and connections over the common database."""

    def __init__(self, url: str, root: Path) -> None:
        self.network = CountingNetwork()
        database = Database(url)
        self.shared = Watched(database, "w1")
        self.store = PostgresStore(database)
        made: tuple[SupportRegistry[Encoded], PrototypeCache[Encoded]]
        made = replica(self.store, root, self.network, self.shared)
        self.registry, self.cache = made

    @property
    def made(self) -> tuple[int, int]:
        return self.network.n_encoded, self.network.n_assessed


@pytest.fixture
async def replicas(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Replica, Replica]]:
    both = Replica(database_url, tmp_path / "a"), Replica(database_url, tmp_path / "b")
    yield both
    for each in both:
        await each.registry.close()


async def held_up(replica: Replica) -> tuple[asyncio.Event, asyncio.Task[object]]:
    """A replica that is at encoding the one class there is, and what lets it go on."""
    replica.network.gate = asyncio.Event()
    working = asyncio.create_task(replica.registry.resolve())
    async with asyncio.timeout(DEADLINE_S):
        while not replica.network.n_encoded:
            await asyncio.sleep(0.001)
    return replica.network.gate, working


async def test_a_replica_makes_nothing_that_another_has_made(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    await first.registry.create("pits", shots(1, 2))
    await second.registry.at_least(1)

    [theirs], [ours] = await second.registry.resolve(), await first.registry.resolve()

    assert theirs == ours
    assert (first.made, second.made) == ((1, 1), (0, 0))
    assert (second.cache.counts.shared_hits, second.cache.counts.hits) == (1, 1)


async def test_what_was_found_with_others_is_on_disk_afterwards(
    replicas: tuple[Replica, Replica], tmp_path: Path
) -> None:
    first, second = replicas
    await first.registry.create("pits", shots(1))
    await second.registry.at_least(1)
    await second.registry.resolve()
    assert [path.name for path in (tmp_path / "b").rglob("*.prototypes")] == [
        path.name for path in (tmp_path / "a").rglob("*.prototypes")
    ]


async def test_a_replica_waits_for_another_that_is_at_it(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    commit(first.store, "pits", 1)
    await second.registry.at_least(1)
    gate, working = await held_up(first)
    waiting = asyncio.create_task(second.registry.resolve())
    await asyncio.wait_for(second.shared.met.wait(), DEADLINE_S)

    gate.set()

    assert await waiting == await working
    assert (first.made, second.made) == ((1, 1), (0, 0))


async def test_a_replica_waits_for_the_assessment_too(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    commit(first.store, "pits", 1)
    await second.registry.at_least(1)
    gate, working = await held_up(first)
    first.network.assess_gate = asyncio.Event()
    gate.set()
    waiting = asyncio.create_task(second.registry.resolve())
    await asyncio.wait_for(second.shared.met.wait(), DEADLINE_S)

    first.network.assess_gate.set()

    assert await waiting == await working
    assert (first.made, second.made) == ((1, 1), (0, 0))


async def test_a_replica_goes_on_when_the_one_it_waits_for_dies(
    replicas: tuple[Replica, Replica], database_url: str
) -> None:
    first, second = replicas
    commit(first.store, "pits", 1)
    await second.registry.at_least(1)
    gate, working = await held_up(first)
    waiting = asyncio.create_task(second.registry.resolve())
    await asyncio.wait_for(second.shared.met.wait(), DEADLINE_S)

    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")

    assert [each.record.name for each in await waiting] == ["pits"]
    assert second.made == (1, 1)
    gate.set()
    await working


async def test_a_replica_goes_on_when_the_one_it_waits_for_fails(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    commit(first.store, "pits", 1)
    await second.registry.at_least(1)
    first.network.failures = [MemoryError()]
    gate, working = await held_up(first)
    waiting = asyncio.create_task(second.registry.resolve())
    await asyncio.wait_for(second.shared.met.wait(), DEADLINE_S)

    gate.set()

    with pytest.raises(MemoryError):
        await working
    assert [each.record.name for each in await waiting] == ["pits"]
    assert second.made == (1, 1)


async def test_replicas_that_start_together_make_each_class_once(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    for number in range(4):
        commit(first.store, f"class{number}", number)
    await second.registry.at_least(4)

    n_ready = await asyncio.gather(first.registry.warm(), second.registry.warm())

    assert tuple(n_ready) == (4, 4)

    assert first.network.n_encoded + second.network.n_encoded == 4
    assert first.network.n_assessed + second.network.n_assessed == 4


async def test_a_replica_that_starts_fetches_no_more_than_memory_holds(store: SqliteStore, tmp_path: Path) -> None:
    memory, network = Memory(), CountingNetwork()
    for number in range(8):
        commit(store, f"class{number}", number)
    first, _ = replica(store, tmp_path / "a", network, MemoryPrototypes(memory, "w1"))
    assert await first.warm() == 8
    second, cache = replica(store, tmp_path / "b", network, MemoryPrototypes(memory, "w1"), budget_bytes=200)

    assert await second.warm() == 8

    assert (network.n_encoded, network.n_assessed) == (8, 8)
    assert cache.counts.shared_hits == cache.counts.hits == 4  # three fit, the fourth shows it
    assert len(list((tmp_path / "b").rglob("*.prototypes"))) == 4


async def test_a_replica_without_the_others_makes_its_own(replicas: tuple[Replica, Replica], database_url: str) -> None:
    first, _ = replicas
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE prototypes RENAME TO elsewhere")
        try:
            await first.registry.create("pits", shots(1))
        finally:
            connection.execute("ALTER TABLE elsewhere RENAME TO prototypes")
    assert first.made == (1, 1)


async def test_undecodable_prototypes_of_others_are_made_again(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    made = commit(first.store, "pits", 1)
    await second.registry.at_least(1)
    first.shared.keep(made.support_digest, b"of another kind")
    await second.registry.resolve()
    assert second.made == (1, 1)
    assert first.shared.find(made.support_digest) != b"of another kind"


async def test_prototypes_without_an_assessment_are_not_encoded_again(
    replicas: tuple[Replica, Replica], database_url: str
) -> None:
    first, second = replicas
    await first.registry.create("pits", shots(1))
    await second.registry.at_least(1)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM assessments")
    await second.registry.resolve()
    assert second.made == (0, 1)


async def never() -> bool:
    return False


async def took_turn(shared: SharedPrototypes, is_made: Callable[[], Awaitable[bool]], wait_s: float) -> bool:
    async with turn(shared, KEY, is_made, place=asyncio.Lock(), wait_s=wait_s):
        return True


async def test_nobody_waits_for_ever_for_a_slow_one() -> None:
    memory = Memory()
    MemoryPrototypes(memory, "w1").claim(KEY)
    assert await took_turn(MemoryPrototypes(memory, "w1"), never, 0.0)


async def test_nobody_waits_for_a_claim_once_it_is_made() -> None:
    memory = Memory()
    MemoryPrototypes(memory, "w1").claim(KEY)

    async def made() -> bool:
        return True

    assert await asyncio.wait_for(took_turn(MemoryPrototypes(memory, "w1"), made, DEADLINE_S), DEADLINE_S)


async def test_a_claim_ends_with_the_caller() -> None:
    memory = Memory()
    shared = MemoryPrototypes(memory, "w1")
    with pytest.raises(ZeroDivisionError):
        async with turn(shared, KEY, never, place=asyncio.Lock()):
            raise ZeroDivisionError
    assert MemoryPrototypes(memory, "w1").claim(KEY) == "ours"


async def test_a_replica_makes_one_class_after_the_other_and_passes_over_what_another_makes() -> None:
    memory = Memory()
    ours, other = MemoryPrototypes(memory, "w1"), MemoryPrototypes(memory, "w1")
    assert other.claim("a") == "ours"
    place = asyncio.Lock()
    begun: list[str] = []
    done: list[str] = []
    is_free = asyncio.Event()

    async def never() -> bool:
        return False

    async def make(key: str) -> None:
        async with turn(ours, key, never, place=place, wait_s=DEADLINE_S):
            begun.append(key)
            await is_free.wait()
            assert len(begun) == len(done) + 1
            done.append(key)

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        for key in "abc":
            tasks.create_task(make(key))
        while not begun:
            await asyncio.sleep(0.01)
        is_free.set()
        while len(done) < 2:
            await asyncio.sleep(0.01)
        assert done == ["b", "c"]
        other.release("a")
    assert done == ["b", "c", "a"]
