"""Prototypes in the registry's database, and who makes which: advisory locks, which end with their connection."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from functools import partial
from typing import TypeVar

import psycopg

from lerenet.errors import RegistryError
from lerenet.support.postgres.database import Connection, Database
from lerenet.support.postgres.faults import fault_of
from lerenet.support.sharing import Claim

PATIENCE_S = 5
"""Longest statement, in seconds: making prototypes anew takes about as long."""

QUIET_S = 10.0
"""How long the database is left alone after a failure, in seconds."""

NEW = "1 hour"
"""Younger prototypes stay although no revision uses them: another replica may be about to store it."""

# a host that vanishes says no farewell: without these the server would hold its claims for two hours
_KEEPALIVES = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3"

UNUSED_KIND = "30 days"
"""What one `made_by` made goes when nothing of it was kept or found for so long. Several are in use at once: CPU and
CUDA make different ones, and a roll-out has those of both releases."""

BATCH = 100
"""Prototypes that one statement removes, which must end in time."""

_FIND = """SELECT payload, checksum, used_at < now() - interval '1 day' FROM prototypes
           WHERE made_by = %s AND support_digest = %s"""
_HAS = "SELECT EXISTS (SELECT FROM prototypes WHERE made_by = %s AND support_digest = %s)"
_AMONG = "SELECT support_digest FROM prototypes WHERE made_by = %s AND support_digest = ANY(%s)"
_DROP = "DELETE FROM prototypes WHERE made_by = %s AND support_digest = %s AND checksum = %s"
_KEEP = """INSERT INTO prototypes (made_by, support_digest, payload, checksum) VALUES (%s, %s, %b, %b)
           ON CONFLICT (made_by, support_digest) DO UPDATE
           SET payload = excluded.payload, checksum = excluded.checksum,
               created_at = excluded.created_at, used_at = excluded.used_at"""
_USED = "UPDATE prototypes SET used_at = now() WHERE made_by = %s AND support_digest = %s"
_UNUSED_KINDS = f"""SELECT made_by, support_digest FROM prototypes WHERE made_by IN
                    (SELECT made_by FROM prototypes WHERE made_by <> %s
                     GROUP BY made_by HAVING max(used_at) < now() - interval '{UNUSED_KIND}')"""  # noqa: S608
_OLD = f"SELECT made_by, support_digest FROM prototypes WHERE created_at < now() - interval '{NEW}'"  # noqa: S608
_DROP_THESE = """DELETE FROM prototypes WHERE (made_by, support_digest) IN
                 (SELECT * FROM unnest(%s::text[], %s::text[]))"""

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


class DatabasePrototypes:
    """`SharedPrototypes` in a PostgreSQL database with the registry's tables.

    Args:
        database: Where it is; closed by its owner. While something is claimed, one connection beside the pool is used.
        made_by: Names weights, precision and code.
        clock: Monotonic, in seconds.
    """

    def __init__(self, database: Database, made_by: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._made_by = made_by
        self._clock = clock
        self._quiet_until = -1.0
        self._lock = threading.Lock()
        self._trying: set[str] = set()
        self._held: set[str] = set()
        self._claims: Connection | None = None
        self._opened = ExitStack()

    def find(self, support_digest: str) -> bytes | None:
        """See `SharedPrototypes.find`. A damaged row is removed."""

        def find(connection: Connection) -> bytes | None:
            row = connection.execute(_FIND, (self._made_by, support_digest)).fetchone()
            if row is None:
                return None
            payload, checksum = bytes(row[0]), bytes(row[1])
            if hashlib.sha256(payload).digest() == checksum:
                if row[2]:
                    connection.execute(_USED, (self._made_by, support_digest))
                return payload
            _log.warning("shared prototypes of %s are damaged, and made again", support_digest[:16])
            connection.execute(_DROP, (self._made_by, support_digest, checksum))
            return None

        return self._ask(find, None)

    def has(self, support_digest: str) -> bool:
        """See `SharedPrototypes.has`."""

        def has(connection: Connection) -> bool:
            [(is_there,)] = connection.execute(_HAS, (self._made_by, support_digest))
            return bool(is_there)

        return self._ask(has, otherwise=False)

    def among(self, support_digests: Collection[str]) -> set[str]:
        """See `SharedPrototypes.among`."""

        def among(connection: Connection) -> set[str]:
            return {digest for (digest,) in connection.execute(_AMONG, (self._made_by, list(support_digests)))}

        return self._ask(among, set())

    def keep(self, support_digest: str, payload: bytes) -> None:
        """See `SharedPrototypes.keep`."""

        def keep(connection: Connection) -> None:
            checksum = hashlib.sha256(payload).digest()
            connection.execute(_KEEP, (self._made_by, support_digest, payload, checksum))

        self._ask(keep, None)

    def retain(self, support_digests: Collection[str]) -> None:
        """See `SharedPrototypes.retain`; those of other weights go likewise, and all of weights out of use."""
        used = set(support_digests)

        def unused(connection: Connection) -> list[tuple[str, str]]:
            old = {key for key in connection.execute(_OLD) if key[1] not in used}
            return sorted(old.union(connection.execute(_UNUSED_KINDS, (self._made_by,))))

        def drop(connection: Connection, keys: list[tuple[str, str]]) -> None:
            connection.execute(_DROP_THESE, ([made_by for made_by, _ in keys], [digest for _, digest in keys]))

        nothing: list[tuple[str, str]] = []
        keys = self._ask(unused, nothing)
        for i in range(0, len(keys), BATCH):  # each a transaction: what is gone stays gone
            self._ask(partial(drop, keys=keys[i : i + BATCH]), None)

    def claim(self, support_digest: str) -> Claim:
        """See `SharedPrototypes.claim`."""
        with self._lock:
            if self._clock() < self._quiet_until:
                return "unknown"
            self._trying.add(support_digest)
            try:
                connection = self._claims or self._connect()
                [(is_ours,)] = connection.execute("SELECT pg_try_advisory_lock(%s)", (self._key(support_digest),))
            except (RegistryError, psycopg.Error) as err:
                self._disconnect()
                self._leave_alone(err)
                return "unknown"
            if is_ours:
                self._held.add(support_digest)
            return "ours" if is_ours else "others"

    def release(self, support_digest: str) -> None:
        """See `SharedPrototypes.release`."""
        with self._lock:
            self._trying.discard(support_digest)
            if support_digest in self._held and self._claims is not None:
                self._held.discard(support_digest)
                try:
                    self._claims.execute("SELECT pg_advisory_unlock(%s)", (self._key(support_digest),))
                except psycopg.Error:
                    self._disconnect()
            if not self._trying:
                self._disconnect()

    def _key(self, support_digest: str) -> int:
        digest = hashlib.sha256(f"{self._made_by} {support_digest}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)

    def _connect(self) -> Connection:
        connection = self._opened.enter_context(self._database.own_connection())
        connection.execute(_KEEPALIVES)
        self._claims = connection
        return connection

    def _disconnect(self) -> None:
        """Ends every claim."""
        self._claims = None
        self._held.clear()
        with suppress(RegistryError):
            self._opened.close()

    def _ask(self, ask: Callable[[Connection], Answer], otherwise: Answer) -> Answer:
        """What the database answers in a transaction, or `otherwise` where it does not, or is being left alone."""
        if self._clock() < self._quiet_until:
            return otherwise
        try:
            with self._database.connection() as connection, connection.transaction():
                connection.execute(f"SET LOCAL statement_timeout = '{PATIENCE_S}s'")
                return ask(connection)
        except RegistryError as err:
            self._leave_alone(err)
            return otherwise

    def _leave_alone(self, err: RegistryError | psycopg.Error) -> None:
        reason = err if isinstance(err, RegistryError) else fault_of(err)
        _log.warning("prototypes are not shared with other replicas for %g s: %s", QUIET_S, reason.detail)
        self._quiet_until = self._clock() + QUIET_S
