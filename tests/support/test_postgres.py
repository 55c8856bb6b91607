"""What several replicas on one database see of each other, and what they do when it goes away."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import psycopg
import pytest

import databases
from lerenet.errors import (
    ConfigurationError,
    LimitExceeded,
    RegistryError,
    RegistryReadOnly,
    RegistryUnreachable,
    UnknownClass,
)
from lerenet.support import Limits, SupportClass
from lerenet.support.live import LiveClasses
from lerenet.support.postgres import SCHEMA_VERSION, Database, PostgresStore, check_database, migrate, statements
from lerenet.support.postgres.database import Connection
from lerenet.support.postgres.following import Follower
from support.classes import LIMITS, commit, record, shots

WITHIN_S = 30.0
NEVER_S = 3_600.0
PROGRAM = Path(__file__).with_name("killed_postgres.py")


def eventually(is_so: Callable[[], bool]) -> None:
    """Waits for another thread, or for the other side."""
    end = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


@pytest.fixture
def open_replica(database_url: str) -> Iterator[Callable[..., PostgresStore]]:
    """Opens further stores on the test's database; all are closed at the end."""
    opened: list[PostgresStore] = []

    def open_one(**options: float) -> PostgresStore:
        opened.append(PostgresStore(Database(database_url), **options))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def own_server() -> Iterator[databases.Server]:
    """A server that the test may stop."""
    server = databases.Server(f"own-{os.getpid()}")
    yield server
    server.remove()


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


# -- what others see


def test_a_notification_reaches_another_replica(open_replica: Callable[..., PostgresStore]) -> None:
    one, two = open_replica(), open_replica(poll_s=NEVER_S)
    live = LiveClasses(two)
    assert live.read() == {}
    made = commit(one, "a", 1)
    eventually(lambda: dict(live.read()) == {"a": made})
    one.delete("a", expected=made.revision)
    eventually(lambda: live.read() == {})


def test_a_change_that_nobody_notified_of_is_found_by_asking(
    open_replica: Callable[..., PostgresStore], database_url: str
) -> None:
    one, two = open_replica(), open_replica(poll_s=0.01)
    commit(one, "a", 1)
    eventually(lambda: set(two.pointers()[1]) == {"a"})
    execute(database_url, "DELETE FROM classes; UPDATE generation SET value = value + 1")
    eventually(lambda: two.pointers()[1] == {})


def test_refresh_reads_at_the_source(open_replica: Callable[..., PostgresStore], database_url: str) -> None:
    one, two = open_replica(), open_replica(poll_s=NEVER_S)
    made = commit(one, "a", 1)
    execute(database_url, "UPDATE generation SET value = 7")  # which nobody was notified of
    assert (two.refresh(), two.generation()) == (7, 7)
    assert two.pointers()[1] == {"a": made.revision}


def test_a_miss_reads_through(open_replica: Callable[..., PostgresStore], monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = open_replica(), open_replica(poll_s=NEVER_S)
    monkeypatch.setattr(statements, "CHANNEL", "nobody_listens")
    made = commit(one, "a", 1)
    assert two.generation() == 0
    assert LiveClasses(two).look_up(["a", f"a@{made.revision}"]) == {}
    assert [LiveClasses(two).find(reference) for reference in ("a", f"a@{made.revision}")] == [made, made]
    with pytest.raises(UnknownClass):
        LiveClasses(two).find("b")


def test_a_write_is_seen_at_once_where_it_was_made(open_replica: Callable[..., PostgresStore]) -> None:
    store = open_replica(poll_s=NEVER_S)
    for seed in range(3):
        made = commit(store, f"a{seed}", seed)
        assert store.pointers()[1][f"a{seed}"] == made.revision


def test_an_older_revision_is_known_until_its_class_goes(open_replica: Callable[..., PostgresStore]) -> None:
    one, two = open_replica(), open_replica()
    first = commit(one, "a", 1)
    second = commit(one, "a", 2, expected=first.revision)
    assert [two.revision("a", first.revision) for _ in range(2)] == [first, first]
    one.delete("a", expected=second.revision)
    two.refresh()
    assert two.revision("a", first.revision) is None


def test_a_restored_backup_is_followed(open_replica: Callable[..., PostgresStore], database_url: str) -> None:
    store = open_replica(poll_s=NEVER_S)
    first = commit(store, "a", 1)
    commit(store, "a", 2, expected=first.revision)
    execute(database_url, f"UPDATE classes SET revision = '{first.revision}'; UPDATE generation SET value = 1")
    assert store.refresh() == 1
    assert store.pointers() == (1, {"a": first.revision})


def test_a_database_that_was_away_is_read_anew(open_replica: Callable[..., PostgresStore], database_url: str) -> None:
    store = open_replica(poll_s=NEVER_S)
    first = commit(store, "a", 1)
    commit(store, "a", 2, expected=first.revision)
    # restored to before the second change, then counted on to the same number
    restore = f"UPDATE classes SET revision = '{first.revision}'"
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT value%'"
    execute(database_url, f"{restore}; {cut} AND pid <> pg_backend_pid()")
    eventually(lambda: store.pointers() == (2, {"a": first.revision}))


# -- what a change costs


class Counting:
    """A connection that counts the rows it brings."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.n_rows = 0

    def execute(self, sql: str, values: tuple[object, ...] = ()) -> Rows:
        rows = Rows(self._connection.execute(sql.encode(), values))
        self.n_rows += len(rows)
        return rows


class Rows(list[tuple[object, ...]]):
    def fetchall(self) -> Rows:
        return self

    def fetchone(self) -> tuple[object, ...] | None:
        return self[0] if self else None


@pytest.fixture
def follower(database_url: str, open_replica: Callable[..., PostgresStore]) -> Iterator[Follower]:
    """Sees what it is told to look at, after one look at ten classes."""
    for seed in range(10):
        commit(open_replica(), f"a{seed}", seed)
    database = Database(database_url)
    follower = Follower(database, stale_s=NEVER_S, poll_s=NEVER_S)
    follower.close()
    yield follower
    database.close()


def look(follower: Follower, url: str) -> tuple[dict[str, str], int]:
    """What is current now, in order, and how many rows it took to know."""
    with psycopg.connect(url, autocommit=True) as connection:
        counting = Counting(connection)
        follower.catch_up(cast(Connection, counting))
    return {name: record.revision for name, record in follower.known.classes.items()}, counting.n_rows


def test_a_change_costs_what_it_changed(
    follower: Follower, open_replica: Callable[..., PostgresStore], database_url: str
) -> None:
    store = open_replica()
    before, n_rows = look(follower, database_url)
    assert n_rows == 1  # the generation
    made = commit(store, "a55", 3)
    old = commit(store, "a3", 4, expected=before["a3"])
    pointers, n_rows = look(follower, database_url)
    assert list(pointers.items()) == sorted({**before, "a55": made.revision, "a3": old.revision}.items())
    assert n_rows == 3
    commit(store, "a3", 3, expected=old.revision)  # what it was before
    assert look(follower, database_url) == ({**before, "a55": made.revision}, 2)


def test_a_deletion_is_seen_beside_a_new_class(
    follower: Follower, open_replica: Callable[..., PostgresStore], database_url: str
) -> None:
    store = open_replica()
    before, _ = look(follower, database_url)
    store.delete("a3", expected=before.pop("a3"))
    made = commit(store, "b", 3)
    assert look(follower, database_url)[0] == {**before, "b": made.revision}
    store.delete("a4", expected=before.pop("a4"))
    again = commit(store, "a4", 44)
    assert look(follower, database_url) == ({**before, "a4": again.revision, "b": made.revision}, 2)


def test_a_doubtful_class_is_looked_at_with_every_change(
    follower: Follower, open_replica: Callable[..., PostgresStore], database_url: str
) -> None:
    store = open_replica()
    before, _ = look(follower, database_url)
    execute(database_url, "UPDATE revisions SET document = 'rot' || document, sequence = 11 WHERE name = 'a3'")
    execute(database_url, "UPDATE generation SET value = 11")
    assert (set(look(follower, database_url)[0]), follower.known.doubtful) == (
        before.keys() - {"a3"},
        frozenset({"a3"}),
    )
    commit(store, "b", 3)
    assert set(look(follower, database_url)[0]) == before.keys() - {"a3"} | {"b"}
    assert follower.known.doubtful == {"a3"}
    execute(database_url, "UPDATE revisions SET document = substr(document, 4) WHERE name = 'a3'")
    commit(store, "c", 4)
    pointers, n_rows = look(follower, database_url)
    assert (pointers["a3"], follower.known.doubtful, n_rows) == (before["a3"], frozenset(), 3)


# -- writers at once


def test_one_of_many_writers_wins_each_revision(open_replica: Callable[..., PostgresStore]) -> None:
    stores = [open_replica(), open_replica()]
    current = commit(stores[0], "a", 0)

    def write(i: int) -> SupportClass | None:
        made, added = record("a", i % 40 + 1)
        stored = stores[i % 2].commit(made, added.blobs, expected=current.revision, limits=LIMITS)
        return made if stored else None

    with ThreadPoolExecutor(200) as writers:
        winners = [made for made in writers.map(write, range(200)) if made is not None]
    assert len(winners) == 1
    assert [store.current("a") for store in stores] == winners * 2
    assert stores[0].refresh() == 2
    assert check_database(stores[0].database).is_clean


def test_the_number_of_classes_holds_against_many_writers(open_replica: Callable[..., PostgresStore]) -> None:
    stores = [open_replica(), open_replica()]
    limits = Limits(max_classes=20)

    def write(i: int) -> bool:
        made, added = record(f"a{i}", i % 3)
        try:
            return stores[i % 2].commit(made, added.blobs, expected=None, limits=limits)
        except LimitExceeded:
            return False

    with ThreadPoolExecutor(60) as writers:
        assert sum(writers.map(write, range(60))) == 20
    assert stores[0].count() == stores[0].refresh() == 20
    assert check_database(stores[0].database).is_clean


def test_images_that_others_delete_meanwhile_are_stored_again(open_replica: Callable[..., PostgresStore]) -> None:
    stores = [open_replica(), open_replica()]

    def churn(i: int) -> None:
        for _ in range(10):  # all use the same image, and every deletion may be that of its last user
            made = commit(stores[i % 2], f"a{i}", 1)
            assert stores[i % 2].read_blob(made.shots[0].image_sha256) == shots(1)[0].data
            assert stores[i % 2].delete(f"a{i}", expected=made.revision)

    with ThreadPoolExecutor(6) as writers:
        list(writers.map(churn, range(6)))
    assert check_database(stores[0].database).is_clean
    assert stores[0].count() == 0


def test_a_generation_shows_every_change_up_to_it(open_replica: Callable[..., PostgresStore]) -> None:
    writer, reader = open_replica(), open_replica()
    with ThreadPoolExecutor(8) as writers:
        writing = [writers.submit(commit, writer, f"a{i:02}", i % 3) for i in range(40)]
        seen = []
        while not all(each.done() for each in writing):
            seen.append(reader.refresh())
            generation, pointers = reader.pointers()
            assert generation == len(pointers)  # each change adds one class
        for each in writing:
            each.result()
    assert seen == sorted(seen)


def test_a_writer_killed_before_its_commit_leaves_nothing(
    open_replica: Callable[..., PostgresStore], database_url: str
) -> None:
    store = open_replica()
    made = commit(store, "a", 1)
    generation = store.refresh()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROGRAM.parent.parent), *sys.path])}
    subprocess.run([sys.executable, str(PROGRAM), database_url, made.revision], env=environment, check=True)
    # the lock went with the process: the next write goes through
    later = commit(store, "b", 2)
    assert store.refresh() == generation + 1
    assert (store.current("a"), store.revisions("a"), store.current("b")) == (made, [made.revision], later)
    assert check_database(store.database).is_clean


# -- outages


def test_classes_are_served_through_an_outage_and_writes_refused(own_server: databases.Server) -> None:
    store = PostgresStore(Database(databases.make_registry_database(own_server, "registry")))
    first = commit(store, "b", 1)
    older, made = first, commit(store, "b", 2, expected=first.revision)
    live = LiveClasses(store)
    live.read()
    assert live.find(f"b@{older.revision}") == older
    own_server.stop()
    eventually(lambda: store.trouble is not None)

    named = ["b", f"b@{made.revision}", f"b@{older.revision}"]
    assert live.look_up(named) == dict(zip(named, [made, made, older], strict=True))
    assert live.find("b") == made
    for refused in (
        lambda: live.find("unknown"),
        lambda: store.current("b"),  # whoever changes it must know what is there
        lambda: live.find("b@0123456789abcdef"),
        lambda: commit(store, "c", 1),
        lambda: store.delete("b", expected=made.revision),
        lambda: store.read_blob(made.shots[0].image_sha256),
        store.refresh,
        store.count,
    ):
        with pytest.raises(RegistryUnreachable):
            refused()

    own_server.start()
    eventually(lambda: store.trouble is None)
    assert commit(store, "c", 1) == store.current("c")
    assert set(live.read()) == {"b", "c"}
    store.close()


def test_an_outage_that_lasts_is_told(open_replica: Callable[..., PostgresStore], database_url: str) -> None:
    database = Database(database_url)
    commit(open_replica(), "a", 1)
    time_s = [0.0]
    follower = Follower(database, stale_s=60.0, poll_s=NEVER_S, clock=lambda: time_s[0])
    time_s[0] = 59.0
    assert set(follower.known.classes) == {"a"}
    time_s[0] = 61.0
    with pytest.raises(RegistryUnreachable, match="LERENET_DATABASE_STALE_S"):
        _ = follower.known
    with database.connection() as connection:
        follower.catch_up(connection)
    assert set(follower.known.classes) == {"a"}
    follower.close()
    database.close()


def test_a_replica_follows_again_whatever_it_met(open_replica: Callable[..., PostgresStore], database_url: str) -> None:
    one, two = open_replica(), open_replica(poll_s=0.01)
    try:
        execute(database_url, "DELETE FROM generation")
        eventually(lambda: two.trouble is not None)
        with pytest.raises(RegistryError):
            two.refresh()
    finally:
        execute(database_url, "INSERT INTO generation (value) VALUES (0)")
    eventually(lambda: two.trouble is None)
    made = commit(one, "a", 1)
    eventually(lambda: two.pointers()[1] == {"a": made.revision})


def test_a_database_that_takes_no_writes_is_told(open_replica: Callable[..., PostgresStore], database_url: str) -> None:
    commit(open_replica(), "a", 1)
    separator = "&" if "?" in database_url else "?"
    store = PostgresStore(Database(f"{database_url}{separator}options=-cdefault_transaction_read_only%3Don"))
    assert isinstance(store.trouble, RegistryReadOnly)
    with pytest.raises(RegistryReadOnly):
        commit(store, "b", 1)
    assert set(store.pointers()[1]) == {"a"}
    store.close()


def test_a_damaged_image_is_found_then_mended(open_replica: Callable[..., PostgresStore], database_url: str) -> None:
    store = open_replica()
    made, added = record("a", 1)
    store.commit(made, added.blobs, expected=None, limits=LIMITS)
    sha256 = made.shots[0].image_sha256
    execute(database_url, f"UPDATE blobs SET content = 'rot' WHERE sha256 = '{sha256}'")
    with pytest.raises(RegistryError, match="is damaged"):
        store.read_blob(sha256)
    assert f"a@{made.revision}" in check_database(store.database).problems[0]
    store.mend(added.blobs)
    assert store.read_blob(sha256) == added.blobs[sha256]


def test_a_record_that_cannot_be_read_costs_its_own_class_alone(
    open_replica: Callable[..., PostgresStore], database_url: str
) -> None:
    store = open_replica()
    commit(store, "a", 1)
    commit(store, "b", 2)
    execute(database_url, "UPDATE revisions SET document = '{}' WHERE name = 'b'")
    other = open_replica()
    assert (set(other.pointers()[1]), set(other.doubtful)) == ({"a"}, {"b"})
    with pytest.raises(RegistryError, match="class b cannot be read"):
        other.current("b")


# -- tables


def test_an_empty_database_gets_its_tables(postgres: databases.Server) -> None:
    url = postgres.make_database("empty_one")
    with ThreadPoolExecutor(3) as replicas:  # all start at once
        stores = list(replicas.map(lambda _: PostgresStore(Database(url)), range(3)))
    commit(stores[0], "a", 1)
    assert [store.refresh() for store in stores] == [1, 1, 1]
    assert migrate(stores[0].database) == (SCHEMA_VERSION, SCHEMA_VERSION)
    for store in stores:
        store.close()


def test_newer_tables_are_refused(postgres: databases.Server) -> None:
    url = databases.make_registry_database(postgres, "newer_one")
    execute(url, "UPDATE lerenet_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="of version 9999"):
        PostgresStore(Database(url))


def test_a_user_without_rights_is_told_what_to_run(postgres: databases.Server) -> None:
    url = postgres.make_database("empty_two")
    execute(url, "DROP ROLE IF EXISTS reader")
    execute(url, "CREATE ROLE reader LOGIN")
    with pytest.raises(ConfigurationError, match="lerenet registry migrate"):
        PostgresStore(Database(url.replace("postgres:@", "reader:@")))


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/d", "postgresql://u:secret@h/d?nonsense=1", "postgresql://u:sec ret@[h/d"]
)
def test_an_address_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database(url)
    assert "sec" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_database_that_nobody_answers_for_is_told_with_the_reason() -> None:
    with pytest.raises(RegistryError, match=r"cannot be reached: .*refused") as caught:
        Database("postgresql://me:secret@127.0.0.1:1/lerenet")
    assert "secret" not in str(caught.value)
