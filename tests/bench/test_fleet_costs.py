"""What the fleet's model takes for granted, against a real replica: statements, connections, sizes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from lerenet.bench.fleet import costs
from lerenet.bench.fleet.plan import CONNECTIONS
from lerenet.support.postgres import Database, DatabasePrototypes, PostgresStore
from lerenet.support.postgres.database import MAX_CONNECTIONS
from support.classes import commit


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Statements of the calling thread, with BEGIN and COMMIT of each transaction."""
    found: list[str] = []
    caller = threading.get_ident()  # the pool and the follower have statements of their own
    execute, begin = psycopg.Connection.execute, psycopg.Connection.transaction

    def counting(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        if caller == threading.get_ident():
            found.append(str(query))
        return execute(self, query, *args, **kwargs)

    def beginning(self: Any, *args: Any, **kwargs: Any) -> Any:
        if caller == threading.get_ident():
            found.extend(("BEGIN", "COMMIT"))
        return begin(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Connection, "execute", counting)
        patched.setattr(psycopg.Connection, "transaction", beginning)
        yield found


def test_prototypes_cost_as_many_statements_as_are_planned(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = DatabasePrototypes(database, "weights")
    shared.claim("0")  # the connection of all claims is open from now on
    calls: list[tuple[int, Callable[[], object]]] = [
        (costs.FIND, lambda: shared.find("a")),
        (costs.KEEP, lambda: shared.keep("a", b"x")),
        (costs.HAS, lambda: shared.among(["a"])),
        (costs.CLAIM, lambda: shared.claim("a")),
    ]
    for n_planned, call in calls:
        with counted(monkeypatch) as statements:
            call()
        assert len(statements) == n_planned, statements
    with counted(monkeypatch) as statements:
        shared.has("a")
        shared.retain(["a"])
        shared.release("a")
    shared.release("0")
    assert len(statements) == costs.HAS + costs.FORGET + costs.RELEASE, statements


def test_changes_cost_as_many_statements_as_are_planned(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PostgresStore(Database(database_url), poll_s=3_600.0)
    monkeypatch.setattr(store, "refresh", lambda: 0)  # the follower may have read what is new before
    try:
        with counted(monkeypatch) as statements:
            made = commit(store, "a", 0, 1, 2)
        # three more come from the registry above the store: the owner, and two of the trail
        assert len(statements) == costs.UPLOAD + costs.REGISTER - 3, statements
        with counted(monkeypatch) as statements:
            store.delete("a", expected=made.revision)
        assert len(statements) == costs.CHECK + 1 + costs.DELETE - 3, statements
    finally:
        store.close()


def test_a_replica_has_the_connections_that_are_planned_for_it() -> None:
    assert CONNECTIONS == 1 + MAX_CONNECTIONS + 1
