"""Reads of a replica that lags behind what others write."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest

from lerenet.errors import NoSupportClasses, RegistryBehind, RegistryError, RegistryReadOnly, RegistryUnreachable
from lerenet.support import SqliteStore, SupportRegistry, preparation, seen_revision, watched
from lerenet.support.store import Page
from support.classes import (
    LIMITS,
    CountingNetwork,
    Encoded,
    commit,
    files_under,
    open_registry,
    prototype_cache,
    shots,
)


class LaggingStore(SqliteStore):
    """Hears of what other processes write only when it is refreshed, and then once `n_late` refreshes have passed."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.n_late = 0
        self.n_refreshed = 0
        self.fault: RegistryError | None = None
        self._seen = super().generation(), super().pointers()

    def generation(self) -> int:
        return self._seen[0]

    def pointers(self) -> tuple[int, dict[str, str]]:
        return self._seen[1]

    def refresh(self) -> int:
        self.n_refreshed += 1
        if self.fault is not None:
            raise self.fault
        if self.n_refreshed > self.n_late:
            self._seen = super().generation(), super().pointers()
        return self.generation()


@pytest.fixture
def lagging(root: Path) -> LaggingStore:
    return LaggingStore(root)


@pytest.fixture
async def replica(root: Path, lagging: LaggingStore) -> AsyncIterator[SupportRegistry[Encoded]]:
    network = CountingNetwork()
    opened = SupportRegistry(
        lagging,
        prototype_cache(root),
        encode=network.encode,
        assess=network.assess,
        weights_digest="w1",
        limits=LIMITS,
    )
    yield opened
    await opened.close()


async def test_a_lagging_replica_shows_what_it_is_asked_for(
    replica: SupportRegistry[Encoded], store: SqliteStore
) -> None:
    commit(store, "pits", 1)
    with pytest.raises(NoSupportClasses):
        await replica.resolve()

    await replica.at_least(store.generation())

    assert [each.record.name for each in await replica.resolve()] == ["pits"]


async def test_a_replica_is_asked_until_it_has_caught_up(
    replica: SupportRegistry[Encoded], store: SqliteStore, lagging: LaggingStore
) -> None:
    commit(store, "pits", 1)
    lagging.n_late = 2
    await replica.at_least(1)
    assert lagging.n_refreshed == 3


async def test_a_view_that_is_new_enough_costs_no_look_at_the_source(
    replica: SupportRegistry[Encoded], store: SqliteStore, lagging: LaggingStore
) -> None:
    commit(store, "pits", 1)
    await replica.at_least(1)
    await replica.resolve()
    await replica.at_least(1)
    assert lagging.n_refreshed == 1


async def test_an_outage_keeps_nobody_from_what_is_in_memory(
    replica: SupportRegistry[Encoded], store: SqliteStore, lagging: LaggingStore
) -> None:
    commit(store, "pits", 1)
    lagging.refresh()  # as whoever follows the source does, unasked
    lagging.fault = RegistryUnreachable("gone")

    await replica.at_least(1)
    assert [each.record.name for each in await replica.resolve()] == ["pits"]
    with pytest.raises(RegistryUnreachable, match=r"of revision 1.* asks for 2") as caught:
        await replica.at_least(2)
    assert caught.value.retry_after_s == 1.0


async def test_a_replica_that_only_segments_drops_what_others_have_deleted(
    root: Path, lagging: LaggingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "TIDY_S", 0.0)
    network = CountingNetwork()
    replica = open_registry(root, network, store=lagging)
    made = commit(lagging, "pits", 1)
    commit(lagging, "scratches", 2)
    lagging.refresh()
    assert len(await replica.resolve()) == 2
    folder = root / "prototypes" / "w1"
    assert len(files_under(folder)) == 2

    lagging.delete("pits", expected=made.revision)
    lagging.refresh()
    async with asyncio.timeout(30):
        while len(files_under(folder)) == 2:
            await replica.resolve(["scratches"])
            await asyncio.sleep(0.01)
    assert len(files_under(folder)) == 1
    await replica.close()


async def test_frames_do_not_wait_for_statements(
    replica: SupportRegistry[Encoded], lagging: LaggingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await replica.create("pits", shots(1))
    may_end, page = threading.Event(), lagging.page

    def slow(after: str | None, limit: int) -> Page:
        may_end.wait()
        return page(after, limit)

    monkeypatch.setattr(lagging, "page", slow)
    listing = asyncio.create_task(replica.list())
    try:
        async with asyncio.timeout(30):
            assert [each.record.name for each in await replica.resolve(["pits"])] == ["pits"]
            assert len(await replica.resolve()) == await replica.count() == 1
            assert await replica.unavailable() == []
    finally:
        may_end.set()
    await listing


async def test_a_replica_that_never_catches_up_says_so(replica: SupportRegistry[Encoded]) -> None:
    with pytest.raises(RegistryBehind, match=r"revision 0 here.* asks for 9 at least.*restored from a backup"):
        await replica.at_least(9)


async def test_what_a_lagging_replica_reads_is_dated_by_its_view(
    replica: SupportRegistry[Encoded], store: SqliteStore
) -> None:
    commit(store, "pits", 1)
    with watched():
        await replica.list()
        assert seen_revision() == 0


async def test_what_a_lagging_replica_writes_is_dated_by_the_source(
    replica: SupportRegistry[Encoded], store: SqliteStore
) -> None:
    commit(store, "pits", 1)
    with watched():
        await replica.create("scratches", shots(2))
        assert seen_revision() == store.generation() == 2


async def test_a_write_stands_when_the_source_is_lost_behind_it(
    replica: SupportRegistry[Encoded], store: SqliteStore, lagging: LaggingStore
) -> None:
    lagging.fault = RegistryReadOnly("gone")
    change = await replica.create("scratches", shots(2))
    assert store.current("scratches") == change.registered.record


async def test_a_change_stands_when_nobody_can_tidy_up_behind_it(
    replica: SupportRegistry[Encoded], store: SqliteStore, lagging: LaggingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> NoReturn:
        raise RegistryUnreachable("gone")

    monkeypatch.setattr(lagging, "support_digests", lost)
    await replica.create("scratches", shots(1, 2))
    await replica.drop_shot("scratches", 0)
    assert store.count() == 1
    await replica.delete("scratches")
    assert store.count() == 0


async def test_requests_do_not_see_what_others_have_seen(
    replica: SupportRegistry[Encoded],
) -> None:
    with watched():
        await replica.list()
    with watched():
        assert seen_revision() is None
