"""The way to the database: where it is, how long anybody waits for it, and transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors as states
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

from lerenet.addresses import is_database_address
from lerenet.errors import ConfigurationError, RegistryError
from lerenet.support.postgres.faults import database_faults, reason_of

Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_S = 5
SILENCE_S = 6
"""A connection on which nothing comes back for longer, in seconds, is given up."""

STATEMENT_S = 30
"""Longest statement, in seconds: the last blob of a large request, or the wait for another replica's write."""

WAIT_S = 3.0
"""Longest wait for a connection of the pool, in seconds."""

MAX_CONNECTIONS = 8
"""Of the pool: one reads, one writes, others fetch blobs. The follower has its own."""

MAX_ATTEMPTS = 5
"""How often a write starts again that PostgreSQL undid because it stood in a ring of writes waiting for each other."""


class Database:
    """A database of the registry, with a pool of connections. Methods raise RegistryError as `database_faults` does.

    Args:
        url: `postgresql://USER:PASSWORD@HOST/DATABASE`, with libpq's parameters behind a `?`.

    Attributes:
        place: Which one it is, for the log; neither who asks there nor with which password.

    Raises:
        ConfigurationError: The address cannot be read.
        RegistryError: Nobody answers there, or not to us; the detail says why, for the operator.
    """

    def __init__(self, url: str) -> None:
        self._parameters = _parameters(url)
        try:
            with psycopg.connect(**self._parameters) as connection:
                reached = connection.info
                self.place = f"database {reached.dbname} on {reached.host}, port {reached.port}"
        except psycopg.Error as err:
            raise RegistryError(f"The registry's database cannot be reached: {reason_of(err)}") from err
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            kwargs=self._parameters,
            min_size=1,
            max_size=MAX_CONNECTIONS,
            open=True,
            configure=_set_limits,
            check=ConnectionPool.check_connection,  # after an outage nobody meets a connection that died in it
            timeout=WAIT_S,
            reconnect_timeout=0.0,  # the next caller tries, and waits for nobody's growing delay
            num_workers=2,
            name="lerenet-registry",
        )

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of the pool, each statement a transaction of its own."""
        with database_faults(), self._pool.connection() as connection:
            yield connection

    @contextmanager
    def own_connection(self) -> Iterator[Connection]:
        """A connection beside the pool, for whoever keeps it."""
        with database_faults(), psycopg.connect(**self._parameters) as connection:
            _set_limits(connection)
            yield connection

    def write(self, change: Callable[[Connection], bool]) -> bool:
        """Run a change in a transaction: stored when it returns True, undone when it returns False or raises."""
        for attempt in range(MAX_ATTEMPTS):
            try:
                with database_faults(), self._pool.connection() as connection:
                    return _transact(connection, change)
            except Exception as err:
                # one of a ring of waiting writes was undone for the others' sake: now it finds their work done
                is_undone = isinstance(err.__cause__, states.DeadlockDetected | states.SerializationFailure)
                if not is_undone or attempt + 1 == MAX_ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    def revive(self) -> None:
        """After an outage, have the pool connect for those who began to wait in it: nobody else would wake them."""
        with self.connection():
            pass

    def close(self) -> None:
        """Close every connection of the pool."""
        self._pool.close()


def _transact(connection: Connection, change: Callable[[Connection], bool]) -> bool:
    is_stored = False
    with connection.transaction() as transaction:
        is_stored = change(connection)
        if not is_stored:
            raise psycopg.Rollback(transaction)
    return is_stored


def _parameters(url: str) -> dict[str, Any]:
    if not is_database_address(url):
        raise ConfigurationError("the address of the database begins with neither postgresql:// nor postgres://")
    scheme, _, rest = url.partition("://")
    try:
        given = conninfo_to_dict(f"{scheme.lower()}://{rest}")
    except psycopg.ProgrammingError:
        # libpq's message may hold the password
        raise ConfigurationError(
            "the address of the database cannot be read: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with "
            "special characters of the password percent-encoded"
        ) from None
    defaults = {
        "application_name": "lerenet",
        "connect_timeout": CONNECT_S,
        "keepalives_idle": 2,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": SILENCE_S * 1000,
    }
    ours = {
        "autocommit": True,
        "prepare_threshold": None,  # a pooler between may send each transaction to another server process
    }
    return defaults | given | ours


def _set_limits(connection: Connection) -> None:
    """A replica that is frozen in the middle of a write must not keep the others from writing."""
    connection.execute(
        f"SET statement_timeout = '{STATEMENT_S}s'; SET idle_in_transaction_session_timeout = '{STATEMENT_S}s';"
        "SET default_transaction_isolation = 'read committed'; SET client_min_messages = 'warning'"
    )
