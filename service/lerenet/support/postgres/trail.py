"""The trail of changes as a table: each line is stored with its change, or neither is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from lerenet.support.audit import RegistryChange
from lerenet.support.postgres.database import Connection, Database

KEPT_CHANGES = 500_000
"""About as many as the ten files of a data folder hold."""

_INSERT = """INSERT INTO changes (time, who, what, name, before, after, request_id)
             VALUES (%(time)s, %(who)s, %(what)s, %(class)s, %(before)s, %(after)s, %(request_id)s)"""
_PAGE = 1_000


def keep_change(connection: Connection, change: RegistryChange) -> None:
    """Add a line, and let the oldest go; inside the transaction of the change."""
    [(number,)] = connection.execute(f"{_INSERT} RETURNING id", change.as_line())
    connection.execute("DELETE FROM changes WHERE id <= %s", (number - KEPT_CHANGES,))


class DatabaseTrail:
    """The lines there are. Methods raise RegistryError.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> Iterator[dict[str, Any]]:
        """Changes, oldest first, in the words of the trail's file."""
        sql = """SELECT id, time, who, what, name, before, after, request_id FROM changes
                 WHERE id > %s ORDER BY id LIMIT %s"""
        last = 0
        while True:
            with self._database.connection() as connection:
                rows = connection.execute(sql, (last, _PAGE)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            for _, time, *rest in rows:
                names = ("who", "what", "class", "before", "after", "request_id")
                yield {"time": _text(time), **dict(zip(names, rest, strict=True))}

    def take(self, lines: Iterable[Mapping[str, Any]]) -> int:
        """Take over the lines of another trail, all or none, where there are none yet; the number taken."""
        n_taken = 0

        def add(connection: Connection) -> bool:
            nonlocal n_taken
            n_taken = 0
            [(has_lines,)] = connection.execute("SELECT EXISTS (SELECT FROM changes)")
            for line in () if has_lines else lines:
                connection.execute(_INSERT, {"request_id": None, **line})
                n_taken += 1
            return True

        self._database.write(add)
        return n_taken


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds")
