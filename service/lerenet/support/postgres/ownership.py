"""Which API key made which class, for all replicas.

An owner is stored with the class; while a class is made, a place is held for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from lerenet.errors import RegistryError
from lerenet.observability.caller import Caller, current_caller
from lerenet.support.audit import RegistryChange
from lerenet.support.ownership import Names, is_owned, quota_exceeded
from lerenet.support.postgres.database import Connection, Database
from lerenet.support.postgres.schema import LOCK_SPACE

HOLD_S = 900.0
"""A place that a killed replica held is free again after so many seconds; no registration should take longer."""

_log = logging.getLogger(__name__)


def note_owner(connection: Connection, change: RegistryChange) -> None:
    """Keep who made a class, until it is deleted; inside the transaction of the change."""
    if change.before is not None and change.after is not None:
        return
    if is_owned(change):
        _assign(connection, change.name, change.who)
    else:
        connection.execute("DELETE FROM owners WHERE name = %s", (change.name,))


class DatabaseOwnership:
    """Which key made which class. Methods raise RegistryError.

    Args:
        database: Where the classes are.
        hold_s: Longest time that making a class takes, in seconds.
    """

    def __init__(self, database: Database, hold_s: float = HOLD_S) -> None:
        self._database = database
        self._hold_s = hold_s

    def owners(self) -> Mapping[str, str]:
        """Prefix of the key by name of the class."""
        with self._database.connection() as connection:
            return dict(connection.execute("SELECT name, owner FROM owners JOIN classes USING (name) ORDER BY name"))

    def assign(self, name: str, owner: str) -> None:
        """Say that a class was made with a key."""
        with self._database.connection() as connection:
            _assign(connection, name, owner)

    @asynccontextmanager
    async def place(self, name: str, registered: Callable[[], Awaitable[Names]]) -> AsyncIterator[None]:
        """See `Ownership.place`; the database counts what is registered."""
        caller = current_caller()
        if caller.max_classes is None:
            yield
            return
        token = uuid4()
        holding = asyncio.ensure_future(asyncio.to_thread(self._hold, token, caller, caller.max_classes, name))
        try:  # a caller who leaves now still holds the place, once the thread has come to it
            await asyncio.shield(holding)
            yield
        finally:
            await asyncio.shield(self._released(token, holding))

    async def _released(self, token: UUID, holding: asyncio.Future[None]) -> None:
        await asyncio.wait([holding])
        if not holding.exception():
            await asyncio.to_thread(self._release, token)

    def _hold(self, token: UUID, caller: Caller, max_classes: int, name: str) -> None:
        def hold(connection: Connection) -> bool:
            # those of one key take turns: two replicas must not both count the last place as free
            connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (LOCK_SPACE + 1, caller.name))
            connection.execute("DELETE FROM places WHERE held_until < now()")
            sql = """SELECT count(*) FROM
                     (SELECT name FROM owners JOIN classes USING (name) WHERE owner = %(owner)s
                      UNION SELECT name FROM places WHERE owner = %(owner)s) AS taken WHERE name <> %(name)s"""
            [(n_taken,)] = connection.execute(sql, {"owner": caller.name, "name": name})
            if n_taken >= max_classes:
                raise quota_exceeded(caller.name, max_classes)
            insert = "INSERT INTO places VALUES (%s, %s, %s, now() + make_interval(secs => %s))"
            connection.execute(insert, (token, caller.name, name, self._hold_s))
            return True

        self._database.write(hold)

    def _release(self, token: UUID) -> None:
        try:
            with self._database.connection() as connection:
                connection.execute("DELETE FROM places WHERE token = %s", (token,))
        except RegistryError as err:
            _log.warning("a place for a class stays held for %g s: %s", self._hold_s, err.detail)


def _assign(connection: Connection, name: str, owner: str) -> None:
    sql = "INSERT INTO owners VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET owner = excluded.owner"
    connection.execute(sql, (name, owner))
