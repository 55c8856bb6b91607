"""What whoever shares prototypes must do, and what the database does beyond it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NoReturn, cast

import psycopg
import pytest

from lerenet.errors import RegistryUnreachable
from lerenet.support.postgres import Database, DatabasePrototypes, prototypes
from lerenet.support.postgres.database import Connection
from lerenet.support.postgres.prototypes import QUIET_S
from support.sharing import Memory, MemoryPrototypes, Share

KEY, OTHER_KEY = "a" * 64, "b" * 64
PAYLOAD = bytes(range(256)) * 16


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(params=["memory", "database"])
def share(request: pytest.FixtureRequest) -> Share:
    memory = Memory()
    if request.param == "memory":
        return lambda made_by: MemoryPrototypes(memory, made_by)
    database: Database = request.getfixturevalue("database")
    return lambda made_by: DatabasePrototypes(database, made_by)


@pytest.fixture
def ours(database: Database) -> DatabasePrototypes:
    return DatabasePrototypes(database, "w1")


def run(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def rows(url: str) -> set[tuple[object, ...]]:
    return set(run(url, "SELECT made_by, support_digest FROM prototypes"))


def test_nothing_is_shared_at_first(share: Share) -> None:
    assert share("w1").find(KEY) is None
    assert not share("w1").has(KEY)


def test_one_replica_finds_what_another_kept(share: Share) -> None:
    share("w1").keep(KEY, PAYLOAD)
    assert share("w1").find(KEY) == PAYLOAD
    assert share("w1").has(KEY)


def test_many_are_looked_for_at_once(share: Share) -> None:
    others = {"b" * 64, "c" * 64}
    for digest in (KEY, "b" * 64):
        share("w1").keep(digest, b"x")
    assert share("w1").among({KEY, *others}) == {KEY, "b" * 64}
    assert share("w2").among({KEY, *others}) == set()


def test_what_other_weights_made_is_not_found(share: Share) -> None:
    share("w1").keep(KEY, PAYLOAD)
    assert share("w2").find(KEY) is None
    assert not share("w2").has(KEY)


def test_what_is_kept_last_is_found(share: Share) -> None:
    share("w1").keep(KEY, PAYLOAD)
    share("w1").keep(KEY, b"again")
    assert share("w1").find(KEY) == b"again"


def test_one_replica_claims_until_it_releases(share: Share) -> None:
    first, second = share("w1"), share("w1")
    assert first.claim(KEY) == "ours"
    assert second.claim(KEY) == "others"
    first.release(KEY)
    assert second.claim(KEY) == "ours"
    second.release(KEY)


def test_claims_of_other_contents_do_not_meet(share: Share) -> None:
    first, second, third = share("w1"), share("w1"), share("w2")
    assert [first.claim(KEY), second.claim(OTHER_KEY), third.claim(KEY)] == ["ours"] * 3
    for each, key in ((first, KEY), (second, OTHER_KEY), (third, KEY)):
        each.release(key)


def test_a_claim_survives_the_release_of_another(share: Share) -> None:
    first, second = share("w1"), share("w1")
    assert [first.claim(KEY), first.claim(OTHER_KEY)] == ["ours", "ours"]
    first.release(OTHER_KEY)
    assert [second.claim(KEY), second.claim(OTHER_KEY)] == ["others", "ours"]
    first.release(KEY)
    second.release(KEY)
    second.release(OTHER_KEY)


def test_whoever_only_tried_ends_nobody_elses_claim(share: Share) -> None:
    first, second, third = share("w1"), share("w1"), share("w1")
    first.claim(KEY)
    second.claim(KEY)
    second.release(KEY)
    assert third.claim(KEY) == "others"
    first.release(KEY)
    third.release(KEY)


def test_the_claim_of_a_broken_connection_ends(database_url: str, database: Database, ours: DatabasePrototypes) -> None:
    ours.claim(KEY)
    run(database_url, "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'")
    other = DatabasePrototypes(database, "w1")
    assert other.claim(KEY) == "ours"
    ours.release(KEY)
    assert DatabasePrototypes(database, "w1").claim(KEY) == "others"
    other.release(KEY)


def test_no_connection_stays_when_nothing_is_claimed(database_url: str, ours: DatabasePrototypes) -> None:
    ours.claim(KEY)
    count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    assert run(database_url, count) == [(1,)]
    ours.release(KEY)
    assert ours._claims is None


def test_damaged_prototypes_are_not_found_again(database_url: str, ours: DatabasePrototypes) -> None:
    ours.keep(KEY, PAYLOAD)
    run(database_url, "UPDATE prototypes SET payload = 'damage'")
    assert ours.find(KEY) is None
    assert rows(database_url) == set()


def test_unused_prototypes_go_once_they_are_old(database_url: str, ours: DatabasePrototypes) -> None:
    ours.keep(KEY, PAYLOAD)
    ours.keep(OTHER_KEY, PAYLOAD)
    ours.retain({KEY})
    assert rows(database_url) == {("w1", KEY), ("w1", OTHER_KEY)}
    run(database_url, "UPDATE prototypes SET created_at = now() - interval '2 hours'")
    ours.retain({KEY})
    assert rows(database_url) == {("w1", KEY)}


def test_weights_in_use_keep_their_prototypes_however_many_they_are(
    database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prototypes, "BATCH", 1)
    of = {made_by: DatabasePrototypes(database, made_by) for made_by in ("w1", "w2", "w3", "w4")}
    for shared in of.values():
        shared.keep(KEY, PAYLOAD)
        shared.keep(OTHER_KEY, PAYLOAD)
    run(database_url, "UPDATE prototypes SET used_at = now() - interval '31 days'")
    of["w1"].find(KEY)
    of["w2"].keep(KEY, PAYLOAD)
    of["w3"].retain({KEY, OTHER_KEY})
    assert {made_by for made_by, _ in rows(database_url)} == {"w1", "w2", "w3"}
    assert len(rows(database_url)) == 6


def test_what_was_used_today_costs_no_write(database_url: str, ours: DatabasePrototypes) -> None:
    ours.keep(KEY, PAYLOAD)
    version = "SELECT xmin::text FROM prototypes"
    before = run(database_url, version)
    ours.find(KEY)
    assert run(database_url, version) == before


class LostDatabase:
    """A database that cannot be reached; counts the attempts."""

    def __init__(self) -> None:
        self.n_attempts = 0

    def connection(self) -> AbstractContextManager[Connection]:
        self._refuse()

    def own_connection(self) -> AbstractContextManager[Connection]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        self.n_attempts += 1
        raise RegistryUnreachable("gone")


def test_a_lost_database_is_a_cache_with_nothing_in_it() -> None:
    lost, now = LostDatabase(), [0.0]
    shared = DatabasePrototypes(cast(Database, lost), "w1", clock=lambda: now[0])
    assert shared.claim(KEY) == "unknown"
    now[0] += QUIET_S
    assert shared.find(KEY) is None
    now[0] += QUIET_S
    shared.keep(KEY, PAYLOAD)
    now[0] += QUIET_S
    shared.retain({KEY})
    shared.release(KEY)
    assert lost.n_attempts == 4


def test_a_lost_database_is_left_alone_for_a_while() -> None:
    lost, now = LostDatabase(), [0.0]
    shared = DatabasePrototypes(cast(Database, lost), "w1", clock=lambda: now[0])
    shared.find(KEY)
    assert (shared.has(KEY), shared.claim(KEY)) == (False, "unknown")
    assert lost.n_attempts == 1
    now[0] += QUIET_S
    shared.find(KEY)
    assert lost.n_attempts == 2


def test_a_missing_table_is_a_cache_with_nothing_in_it(database_url: str, ours: DatabasePrototypes) -> None:
    run(database_url, "ALTER TABLE prototypes RENAME TO elsewhere")
    try:
        ours.keep(KEY, PAYLOAD)
        assert ours.find(KEY) is None
    finally:
        run(database_url, "ALTER TABLE elsewhere RENAME TO prototypes")
