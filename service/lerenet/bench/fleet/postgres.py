"""What a PostgreSQL can do, measured through its own driver."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from psycopg import sql

from lerenet.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLERS, WINDOW_S = 8, 3.0
N_NOTICES = 50
LARGE_BYTES = 1 << 20
CONNECT_S = 5


def measure_database(url: str) -> dict[str, Any]:
    """Numbers of a plan, by name; takes ten seconds, in a table of its own that is dropped again.

    Args:
        url: `postgresql://...`; may create tables.

    Raises:
        ServiceError: It does not answer, or refuses.
    """
    table = sql.Identifier(f"lerenet_bench_{uuid4().hex[:12]}")
    read = sql.SQL("SELECT id FROM {} WHERE id = 1").format(table)
    write = sql.SQL("INSERT INTO {} (payload) VALUES ('x')").format(table)
    large = sql.SQL("SELECT payload FROM {} WHERE id = 1").format(table)
    try:
        with _table(url, table):
            return {
                "database_reads_per_s": _rate(url, read),
                "database_writes_per_s": _rate(url, write),
                "database_bytes_per_s": _rate(url, large) * LARGE_BYTES,
                "notify_s": _notice_s(url),
            }
    except (psycopg.Error, threading.BrokenBarrierError) as error:
        raise ServiceError(f"the database cannot be measured: {type(error).__name__}") from error


@contextmanager
def _table(url: str, table: sql.Identifier) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as connection:
        create = "CREATE TABLE {} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload bytea)"
        connection.execute(sql.SQL(create).format(table))
        try:
            # random, since PostgreSQL would compress anything else
            payload = "SELECT decode(string_agg(md5(random()::text), ''), 'hex') FROM generate_series(1, %s)"
            fill = sql.SQL("INSERT INTO {} (payload) " + payload).format(table)
            connection.execute(fill, (LARGE_BYTES // 16,))
            yield
        finally:
            connection.execute(sql.SQL("DROP TABLE {}").format(table))


def _rate(url: str, statement: sql.Composed) -> float:
    """Statements a second by several callers, each with a connection and every statement a transaction."""
    start = threading.Barrier(CALLERS)

    def call(_: int) -> int:
        n_done = 0
        try:
            connection = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_S)
        except psycopg.Error:
            start.abort()  # else those that have a connection would wait for this one for ever
            raise
        with connection, connection.cursor(binary=True) as cursor:
            start.wait()
            until = time.monotonic() + WINDOW_S
            while time.monotonic() < until:
                cursor.execute(statement)
                n_done += 1
        return n_done

    with ThreadPoolExecutor(CALLERS) as callers:
        return sum(callers.map(call, range(CALLERS))) / WINDOW_S


def _notice_s(url: str) -> float:
    """Mean seconds from a NOTIFY's sending until a listener has it."""
    channel = sql.Identifier(f"lerenet_bench_{uuid4().hex[:12]}")
    with psycopg.connect(url, autocommit=True) as listener, psycopg.connect(url, autocommit=True) as sender:
        listener.execute(sql.SQL("LISTEN {}").format(channel))
        spent_s = 0.0
        for _ in range(N_NOTICES):
            sent_s = time.perf_counter()
            sender.execute(sql.SQL("NOTIFY {}").format(channel))
            for _notice in listener.notifies(timeout=5, stop_after=1):
                spent_s += time.perf_counter() - sent_s
    return spent_s / N_NOTICES
