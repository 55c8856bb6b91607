"""The store in PostgreSQL: the same tables as the embedded one, with images and masks in them, shared by all replicas.

A write is one transaction. Images go over first, while others write; then it takes the lock that all writes take, looks
whether the pointer is still where it should be, and moves it. Reads of what is current come from memory (see
`following`); whatever is not there is asked for at the source.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import TypeVar

from lerenet.errors import RegistryError, RegistryReadOnly
from lerenet.support.audit import change_being_stored
from lerenet.support.limits import Limits
from lerenet.support.postgres import statements
from lerenet.support.postgres.database import Connection, Database
from lerenet.support.postgres.following import POLL_S, Follower
from lerenet.support.postgres.ownership import note_owner
from lerenet.support.postgres.schema import require_tables
from lerenet.support.postgres.trail import keep_change
from lerenet.support.records import SupportClass
from lerenet.support.store import AssessmentRecord, Page

STALE_S = 60.0
MAX_REMEMBERED = 1_000
"""Older revisions kept in memory, for callers that name one in every request."""

Answer = TypeVar("Answer")


class PostgresStore:
    """A `SupportStore` in a PostgreSQL database. Makes its tables where they are missing.

    Args:
        database: Where it is; closed by `close`.
        stale_s: For how long, in seconds, current classes are served from memory while it cannot be reached.
        poll_s: How often it is asked for changes that nobody notified of, in seconds.

    Raises:
        ConfigurationError: The tables are of another version, and cannot be brought to this one.
        RegistryError: The database cannot be used.
    """

    def __init__(self, database: Database, *, stale_s: float = STALE_S, poll_s: float = POLL_S) -> None:
        self._database = database
        self._remembered: dict[tuple[str, str], SupportClass] = {}
        self._remembered_at = -1
        self._lock = threading.Lock()
        try:
            require_tables(database)
            with suppress(RegistryReadOnly), database.connection() as connection:
                statements.drop_forgotten_assessments(connection)
            self._follower = Follower(database, stale_s=stale_s, poll_s=poll_s)
        except BaseException:
            database.close()
            raise

    @property
    def database(self) -> Database:
        """Where it lies."""
        return self._database

    @property
    def trouble(self) -> RegistryError | None:
        """See `SupportStore.trouble`."""
        return self._follower.trouble

    @property
    def doubtful(self) -> Collection[str]:
        """See `SupportStore.doubtful`."""
        return self._follower.known.doubtful

    def current(self, name: str) -> SupportClass | None:
        """See `SupportStore.current`."""
        return self._ask(lambda connection: statements.current(connection, name))

    def revision(self, name: str, revision: str) -> SupportClass | None:
        """See `SupportStore.revision`. One that is in memory was there at the generation this replica knows."""
        generation = self._follower.known.generation
        found = self.recalled(name, revision)
        if found is None:
            found = self._ask(lambda connection: statements.record(connection, name, revision))
            if found is not None:
                self._remember(generation, found)
        return found

    def recalled(self, name: str, revision: str | None) -> SupportClass | None:
        """See `SupportStore.recalled`."""
        known = self._follower.known
        current = known.classes.get(name)
        if revision is None or (current is not None and current.revision == revision):
            return current
        return self._recall(known.generation, name, revision)

    def revisions(self, name: str) -> list[str]:
        """See `SupportStore.revisions`."""
        return self._ask(lambda connection: statements.revisions(connection, name))

    def page(self, after: str | None, limit: int) -> Page:
        """See `SupportStore.page`."""
        # one more than asked for tells whether there is a next page
        found = self._ask(lambda connection: statements.page(connection, after or "", limit + 1))
        classes = tuple(found[:limit])
        return Page(classes, classes[-1].name if classes and len(found) > limit else None)

    def count(self) -> int:
        """See `SupportStore.count`."""
        return self._ask(statements.count)

    def generation(self) -> int:
        """See `SupportStore.generation`: the one in memory, of a second ago at worst while the database is there."""
        return self._follower.known.generation

    def refresh(self) -> int:
        """See `SupportStore.refresh`."""
        return self._ask(self._follower.catch_up)

    def pointers(self) -> tuple[int, dict[str, str]]:
        """See `SupportStore.pointers`."""
        known = self._follower.known
        return known.generation, {name: record.revision for name, record in known.classes.items()}

    def commit(self, record: SupportClass, blobs: Mapping[str, bytes], *, expected: str | None, limits: Limits) -> bool:
        """See `SupportStore.commit`."""

        def change(connection: Connection) -> bool:
            if statements.pointer(connection, record.name) != expected:
                return False  # nobody need wait while images go over for nothing
            statements.put_blobs(connection, blobs)
            statements.lock(connection)
            if statements.pointer(connection, record.name) != expected:
                return False
            if expected is None:
                limits.check_count(statements.count(connection))
            _store(connection, record, blobs)
            return True

        return self._write(change)

    def delete(self, name: str, *, expected: str) -> bool:
        """See `SupportStore.delete`."""

        def change(connection: Connection) -> bool:
            statements.lock(connection)
            if statements.pointer(connection, name) != expected:
                return False
            blobs, contents = statements.blobs_of(connection, name), statements.support_digests_of(connection, name)
            statements.delete(connection, name)
            _forget_unused(connection, blobs, contents)
            _finish(connection, name)
            return True

        return self._write(change)

    def read_blob(self, sha256: str) -> bytes:
        """See `SupportStore.read_blob`."""
        data = self._ask(lambda connection: statements.blob(connection, sha256))
        if data is None:
            raise _lost(sha256, "cannot be read: it is not in the database")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise _lost(sha256, "is damaged")
        return data

    def mend(self, blobs: Mapping[str, bytes]) -> None:
        """See `SupportStore.mend`. None can be lost while it is in use, so this is about damaged ones."""

        def mend(connection: Connection) -> None:
            for sha256 in statements.damaged_blobs(connection, list(blobs)):
                statements.mend_blob(connection, sha256, blobs[sha256])

        if blobs:
            self._ask(mend)

    def assessments(self, support_digests: Iterable[str], weights_digest: str) -> dict[str, AssessmentRecord]:
        """See `SupportStore.assessments`."""
        wanted = list(support_digests)
        return self._ask(lambda connection: statements.assessments(connection, wanted, weights_digest))

    def save_assessment(self, support_digest: str, weights_digest: str, assessment: AssessmentRecord) -> None:
        """See `SupportStore.save_assessment`."""
        self._ask(lambda connection: statements.put_assessment(connection, support_digest, weights_digest, assessment))

    def all_assessments(self) -> list[tuple[str, str, AssessmentRecord]]:
        """See `SupportStore.all_assessments`."""
        return self._ask(statements.all_assessments)

    def support_digests(self) -> set[str]:
        """See `SupportStore.support_digests`."""
        return self._ask(statements.support_digests)

    def close(self) -> None:
        """See `SupportStore.close`."""
        self._follower.close()
        self._database.close()

    def _ask(self, ask: Callable[[Connection], Answer]) -> Answer:
        self._follower.require_reachable()
        with self._database.connection() as connection:
            return ask(connection)

    def _write(self, change: Callable[[Connection], bool]) -> bool:
        self._follower.require_reachable()
        is_stored = self._database.write(change)
        if is_stored:
            with suppress(RegistryError):  # it is stored: the follower will see it, too
                self.refresh()
        return is_stored

    def _recall(self, generation: int, name: str, revision: str) -> SupportClass | None:
        with self._lock:
            return self._remembered.get((name, revision)) if self._remembered_at == generation else None

    def _remember(self, generation: int, record: SupportClass) -> None:
        """Keep an older revision for as long as nothing changes: it goes when its class does."""
        with self._lock:
            if self._remembered_at != generation or len(self._remembered) >= MAX_REMEMBERED:
                self._remembered, self._remembered_at = {}, generation
            self._remembered[record.name, record.revision] = record


def _store(connection: Connection, record: SupportClass, blobs: Mapping[str, bytes]) -> None:
    """Rows and pointer; the lock is held."""
    statements.put_blobs(connection, blobs)  # those that a deletion took away while we waited for the lock
    touched = statements.blobs_of(connection, record.name) | blobs.keys()
    contents = statements.support_digests_of(connection, record.name)
    sequence = _finish(connection, record.name)
    statements.put_revision(connection, record, sequence)
    statements.prune(connection, record.name)
    _forget_unused(connection, touched, contents)


def _forget_unused(connection: Connection, blobs: Collection[str], contents: Collection[str]) -> None:
    statements.drop_unused_blobs(connection, blobs)
    statements.drop_unused_assessments(connection, contents)


def _finish(connection: Connection, name: str) -> int:
    """Count the change, and write down whose it was; the lock is held."""
    change = change_being_stored()
    if change is not None and change.name == name:
        note_owner(connection, change)
        keep_change(connection, change)
    return statements.next_generation(connection)


def _lost(sha256: str, what: str) -> RegistryError:
    return RegistryError(
        f"Stored file {sha256[:16]} {what}. Register the same images again, restore the database from a backup, or "
        "delete the class; `lerenet registry verify` lists what is damaged."
    )
