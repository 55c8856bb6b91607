"""The current classes in memory, followed through notifications and, where those get lost, by asking every second.

Segmentation looks here, so it costs no way to the database, and goes on for a while when there is none. Generation and
classes change together: whoever sees a generation sees every change up to it. A change costs what it changed, a message
of a kilobyte or two; a deletion costs all names.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lerenet.errors import IndexDamaged, RegistryError, RegistryReadOnly, RegistryUnreachable
from lerenet.support.postgres.database import Connection, Database
from lerenet.support.postgres.faults import READ_ONLY, UNREACHABLE, database_faults, reason_of
from lerenet.support.postgres.statements import CHANNEL, parsed
from lerenet.support.records import SupportClass

POLL_S = 1.0
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 1.0
"""Between attempts to reach the database again, in seconds; it doubles from the first to the longest."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CurrentClasses:
    """What is current at one generation.

    Attributes:
        generation: The number of changes.
        classes: Records by name, in order of name.
        doubtful: Names whose record cannot be read.
    """

    generation: int = -1
    classes: Mapping[str, SupportClass] = field(default_factory=dict)
    doubtful: frozenset[str] = frozenset()


class Follower:
    """Keeps the current classes, on a thread and a connection of its own.

    Args:
        database: Where they are.
        stale_s: For how long, in seconds, what is in memory counts while the database cannot be asked.
        poll_s: How often the generation is asked for when nobody notifies, in seconds.
        clock: Monotonic, in seconds.

    Raises:
        RegistryError: The database cannot be reached.
    """

    def __init__(
        self,
        database: Database,
        *,
        stale_s: float,
        poll_s: float = POLL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._stale_s = stale_s
        self._poll_s = poll_s
        self._clock = clock
        self._lock = threading.Lock()
        self._known = CurrentClasses()
        self._asked_at = clock()
        self._is_reached = True
        self._is_read_only = False
        with database.connection() as connection:
            self.catch_up(connection)
        self._stop = threading.Event()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._follow, name="registry-follow", daemon=True)
        self._thread.start()

    @property
    def known(self) -> CurrentClasses:
        """What is current, as far as this replica knows.

        Raises:
            RegistryUnreachable: The database could not be asked for too long.
        """
        silent_s = self._clock() - self._asked_at
        if silent_s > self._stale_s:
            raise RegistryUnreachable(
                f"The registry's database could not be reached for {silent_s:.0f} s, and nobody knows which classes "
                f"are current. Classes are served from memory for {self._stale_s:g} s (LERENET_DATABASE_STALE_S)."
            )
        return self._known

    @property
    def trouble(self) -> RegistryError | None:
        """Why the database takes no writes now; None: no reason is known."""
        if not self._is_reached:
            return RegistryUnreachable(UNREACHABLE)
        return RegistryReadOnly(READ_ONLY) if self._is_read_only else None

    def require_reachable(self) -> None:
        """Spare a caller the wait for a database that is known to be away; raises RegistryUnreachable."""
        if not self._is_reached:
            raise RegistryUnreachable(UNREACHABLE)

    def catch_up(self, connection: Connection, *, anew: bool = False) -> int:
        """Ask at the source; the generation there. Raises `psycopg.Error`, and RegistryError for an empty table.

        Args:
            connection: To the database.
            anew: Trust nothing that is known: a backup may have been restored, and have counted on from there.
        """
        # one at a time, so that what was asked later is also kept later; a backup may have set the number back
        with self._lock:
            asked_at = self._clock()
            sql = "SELECT value, current_setting('transaction_read_only') = 'on' FROM generation"
            row = connection.execute(sql).fetchone()
            if row is None:
                raise RegistryError("The registry's table `generation` is empty. Restore the database from a backup.")
            generation, is_read_only = row
            known = self._known
            if anew or generation < known.generation:
                self._known = _everything(known, generation, connection)
            elif generation > known.generation:
                self._known = _next(known, connection) or _everything(known, generation, connection)
            self._asked_at = asked_at
            self._is_read_only = is_read_only
            return self._known.generation

    def close(self) -> None:
        """End the thread; a second time does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._wake.send(b"x")
        self._thread.join(timeout=10)
        self._wake.close()
        self._woken.close()

    def _follow(self) -> None:
        delay_s = FIRST_DELAY_S
        while not self._stop.is_set():
            try:
                with self._database.own_connection() as connection, database_faults():
                    connection.execute(f"LISTEN {CHANNEL}")
                    self.catch_up(connection, anew=not self._is_reached)
                    self._say_reached()
                    delay_s = FIRST_DELAY_S
                    while self._wait(connection):
                        self.catch_up(connection)
            except Exception as err:  # whatever it is: a replica that follows no more would segment with old classes
                self._say_lost(err)
                self._stop.wait(delay_s)
                delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    def _wait(self, connection: Connection) -> bool:
        """Until there is a notification, or it is time to ask anyway; False when the thread shall end."""
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            selector.select(self._poll_s)
        for _ in connection.notifies(timeout=0):
            pass  # however many: the next question covers them all
        return not self._stop.is_set()

    def _say_reached(self) -> None:
        if not self._is_reached:
            _log.warning("the registry's database is reached again")
            self._database.revive()
        self._is_reached = True

    def _say_lost(self, err: Exception) -> None:
        if self._is_reached:
            reason = reason_of(err.__cause__ or err)
            _log.error("the registry's database is lost; classes go on for %g s: %s", self._stale_s, reason)
        self._is_reached = False


def _next(known: CurrentClasses, connection: Connection) -> CurrentClasses | None:
    """What is known, with what changed since; None where that does not add up, and all must be read.

    A name that gets another revision, or an old one again, gets it at a higher sequence. Only one that is deleted
    leaves no trace, except in the number of names.
    """
    sql = """SELECT value, (SELECT count(*) FROM classes), name, revision, document FROM generation LEFT JOIN (
                 SELECT name, revision, document FROM classes JOIN revisions USING (name, revision) WHERE sequence > %s
                 UNION ALL
                 SELECT name, revision, document FROM classes JOIN revisions USING (name, revision)
                 WHERE name = ANY(%s) AND sequence <= %s
             ) AS news ON true"""
    since = known.generation
    rows = connection.execute(sql, (since, list(known.doubtful), since)).fetchall()
    generation, n_names, *_ = rows[0]
    news, doubtful = _read(known, (row[2:] for row in rows), connection)
    held = {name: record for name, record in known.classes.items() if name not in doubtful} | news
    if generation < since or len(held) + len(doubtful) != n_names:
        return None
    return CurrentClasses(generation, dict(sorted(held.items())), doubtful)


def _everything(known: CurrentClasses, generation: int, connection: Connection) -> CurrentClasses:
    """Every name at the generation of one moment; records are sent only where they are new."""
    since = known.generation if generation >= known.generation else -1
    sql = """SELECT value, name, classes.revision, document FROM generation LEFT JOIN classes ON true
             LEFT JOIN (SELECT name, revision, document FROM revisions WHERE sequence > %s) AS news
             USING (name, revision) ORDER BY name"""
    rows = connection.execute(sql, (since,)).fetchall()
    classes, doubtful = _read(known, (row[1:] for row in rows), connection)
    return CurrentClasses(rows[0][0], classes, doubtful)


def _read(
    known: CurrentClasses, rows: Iterable[tuple[str | None, str, str | None]], connection: Connection
) -> tuple[dict[str, SupportClass], frozenset[str]]:
    """Records by name, and names of those that cannot be read; of names, revisions and, where new, documents."""
    classes: dict[str, SupportClass] = {}
    doubtful: set[str] = set()
    for name, revision, document in rows:
        if name is None:
            continue  # the one row of nothing
        held = known.classes.get(name)
        if document is None and held is not None and held.revision == revision:
            classes[name] = held
            continue
        try:
            classes[name] = parsed(name, document or _document(connection, name, revision))
        except IndexDamaged as err:
            _log.error("%s", err.detail)
            doubtful.add(name)
    return classes, frozenset(doubtful)


def _document(connection: Connection, name: str, revision: str) -> str:
    """Of a record that is not new, but is not held: doubtful before, and perhaps still."""
    sql = "SELECT document FROM revisions WHERE name = %s AND revision = %s"
    row = connection.execute(sql, (name, revision)).fetchone()
    return "null" if row is None else str(row[0])
