"""The SQLite index: which revisions there are, which are current, which blobs they use. Statements and nothing else."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from lerenet.errors import MalformedRequest
from lerenet.support.manifests import Manifest, from_document, to_document
from lerenet.support.records import SupportClass
from lerenet.support.schema import ASSESSMENTS, SCHEMA_VERSION, TABLES
from lerenet.support.store import KEPT_REVISIONS, AssessmentRecord

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another process. A writer holds the lock while it syncs its blobs, seconds at worst."""


class SqliteIndex:
    """The database behind the embedded store, one connection per thread. Methods raise `sqlite3.Error`.

    Methods that change something belong inside `writing`, which is also the lock that keeps writers apart, across
    processes: whoever is inside may touch the files, and a kill releases it.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    @classmethod
    def in_memory(cls) -> Self:
        """An empty one that goes with its connections; all threads see the same."""
        index = cls(f"file:lerenet-{uuid4().hex}?mode=memory&cache=shared")
        index._connection()
        return index

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A write transaction: committed and synced at the end, undone by any exception."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Several reads of one state."""
        connection = self._connection()
        connection.execute("BEGIN")
        try:
            yield
        finally:
            connection.execute("COMMIT")

    def schema_version(self) -> int:
        """0 for a database without tables."""
        return int(self._one("PRAGMA user_version")[0])

    def create_schema(self) -> None:
        """Make the tables."""
        self._create(TABLES + ASSESSMENTS)

    def upgrade_schema(self) -> None:
        """Bring the tables of an older version up to this one. Assessments are made again: they are a cache."""
        self._run("DROP TABLE assessments")
        self._create(ASSESSMENTS)

    def damage(self) -> str | None:
        """What SQLite finds wrong with its file, if anything."""
        answer = str(self._one("PRAGMA quick_check(1)")[0])
        return None if answer == "ok" else answer

    def generation(self) -> int:
        """Grows by one with every change."""
        return int(self._one("SELECT value FROM generation")[0])

    def pointers(self) -> dict[str, str]:
        """Current revision by name, in order of name."""
        return dict(self._run("SELECT name, revision FROM classes ORDER BY name").fetchall())

    def pointer(self, name: str) -> str | None:
        """The current revision of one name."""
        row = self._run("SELECT revision FROM classes WHERE name = ?", name).fetchone()
        return None if row is None else str(row[0])

    def count(self) -> int:
        """Number of names."""
        return int(self._one("SELECT count(*) FROM classes")[0])

    def manifest(self, name: str, revision: str) -> Manifest | None:
        """One revision."""
        sql = "SELECT document, sequence FROM revisions WHERE name = ? AND revision = ?"
        row = self._run(sql, name, revision).fetchone()
        return None if row is None else Manifest(_parsed(row[0]), row[1])

    def read_every_record(self) -> None:
        """Read every revision; raises `sqlite3.DatabaseError` for a row whose content is not what it was."""
        for (document,) in self._run("SELECT document FROM revisions"):
            _parsed(document)

    def current(self, name: str) -> SupportClass | None:
        """The record that a name points at."""
        sql = "SELECT document FROM classes JOIN revisions USING (name, revision) WHERE name = ?"
        row = self._run(sql, name).fetchone()
        return None if row is None else _parsed(row[0])

    def page(self, after: str, limit: int) -> list[SupportClass]:
        """Current records behind a name, in order of name."""
        sql = """SELECT document FROM classes JOIN revisions USING (name, revision)
                 WHERE name > ? ORDER BY name LIMIT ?"""
        return [_parsed(document) for (document,) in self._run(sql, after, limit)]

    def revisions(self, name: str) -> list[str]:
        """Revisions of a name, newest first."""
        rows = self._run("SELECT revision FROM revisions WHERE name = ? ORDER BY sequence DESC", name)
        return [revision for (revision,) in rows]

    def all_revisions(self) -> set[tuple[str, str]]:
        """Name and revision of everything."""
        return set(self._run("SELECT name, revision FROM revisions").fetchall())

    def used_blobs(self) -> set[str]:
        """Blobs that some revision uses."""
        return {sha256 for (sha256,) in self._run("SELECT DISTINCT sha256 FROM blob_uses")}

    def blobs_of(self, name: str) -> set[str]:
        """Blobs that some revision of a name uses."""
        return {sha256 for (sha256,) in self._run("SELECT DISTINCT sha256 FROM blob_uses WHERE name = ?", name)}

    def is_used(self, sha256: str) -> bool:
        """Whether some revision uses a blob."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM blob_uses WHERE sha256 = ?)", sha256)[0])

    def users(self, sha256: str) -> list[tuple[str, str]]:
        """Name and revision of those that use a blob."""
        sql = "SELECT name, revision FROM blob_uses WHERE sha256 = ? ORDER BY name, revision"
        return self._run(sql, sha256).fetchall()

    def support_digests(self) -> set[str]:
        """Support digests of all revisions."""
        return {digest for (digest,) in self._run("SELECT DISTINCT support_digest FROM revisions")}

    def support_digests_of(self, name: str) -> set[str]:
        """Support digests of all revisions of a name."""
        return {digest for (digest,) in self._run("SELECT support_digest FROM revisions WHERE name = ?", name)}

    def assessments(self, support_digests: Iterable[str], weights_digest: str) -> dict[str, AssessmentRecord]:
        """Those there are."""
        sql = """SELECT scale, threshold, loo_iou, min_score, confidence FROM assessments
                 WHERE support_digest = ? AND weights_digest = ?"""
        found = ((digest, self._run(sql, digest, weights_digest).fetchone()) for digest in support_digests)
        return {digest: _assessment(*row) for digest, row in found if row is not None}

    def all_assessments(self) -> list[tuple[str, str, AssessmentRecord]]:
        """Support digest, weights digest and assessment of all there are."""
        sql = """SELECT support_digest, weights_digest, scale, threshold, loo_iou, min_score, confidence
                 FROM assessments ORDER BY support_digest, weights_digest"""
        return [(support, weights, _assessment(*row)) for support, weights, *row in self._run(sql)]

    def next_generation(self) -> int:
        """Count one change; the number is its sequence."""
        self._run("UPDATE generation SET value = value + 1")
        return self.generation()

    def set_generation(self, value: int) -> None:
        """Go on counting from a number found elsewhere."""
        self._run("UPDATE generation SET value = ?", value)

    def put_revision(self, manifest: Manifest) -> None:
        """Add a revision, or move a known one to a new place in the order of changes."""
        record = manifest.record
        sql = """INSERT INTO revisions (name, revision, sequence, support_digest, document) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT (name, revision)
                 DO UPDATE SET sequence = excluded.sequence, document = excluded.document"""
        document = json.dumps(to_document(record))
        self._run(sql, record.name, record.revision, manifest.sequence, record.support_digest, document)
        for sha256 in record.blobs:
            self._run("INSERT OR IGNORE INTO blob_uses VALUES (?, ?, ?)", sha256, record.name, record.revision)

    def point(self, name: str, revision: str) -> None:
        """Make a revision current."""
        sql = "INSERT INTO classes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision"
        self._run(sql, name, revision)

    def prune(self, name: str) -> None:
        """Forget all but the last `KEPT_REVISIONS` revisions of a name."""
        sql = """DELETE FROM revisions WHERE name = ?1 AND sequence NOT IN
                 (SELECT sequence FROM revisions WHERE name = ?1 ORDER BY sequence DESC LIMIT ?2)"""
        self._run(sql, name, KEPT_REVISIONS)

    def delete(self, name: str) -> None:
        """Forget a name with all its revisions."""
        self._run("DELETE FROM classes WHERE name = ?", name)
        self._run("DELETE FROM revisions WHERE name = ?", name)

    def put_assessment(self, support_digest: str, weights_digest: str, assessment: AssessmentRecord) -> None:
        """Keep or replace an assessment."""
        sql = "INSERT OR REPLACE INTO assessments VALUES (?, ?, ?, ?, ?, ?, ?)"
        *numbers, confidence = astuple(assessment)
        self._run(sql, support_digest, weights_digest, *numbers, json.dumps(confidence))

    def drop_unused_assessments(self, support_digests: Iterable[str]) -> None:
        """Forget the assessments of those contents that no revision has any more."""
        sql = """DELETE FROM assessments WHERE support_digest = ?1
                 AND NOT EXISTS (SELECT 1 FROM revisions WHERE support_digest = ?1)"""
        for support_digest in support_digests:
            self._run(sql, support_digest)

    def assessed_digests(self) -> set[str]:
        """Support digests of all assessments."""
        return {digest for (digest,) in self._run("SELECT DISTINCT support_digest FROM assessments")}

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
        self._local = threading.local()

    def _create(self, schema: str) -> None:
        for statement in filter(str.strip, schema.split(";")):
            self._run(statement)
        self._run(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _run(self, sql: str, *values: object) -> sqlite3.Cursor:
        return self._connection().execute(sql, values)

    def _one(self, sql: str, *values: object) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._run(sql, *values).fetchone()
        return row

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = _connect(self._path)
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection


def _connect(path: Path | str) -> sqlite3.Connection:
    # isolation_level None: transactions are ours alone; close() comes from another thread than the one that connects
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=isinstance(path, str)
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _assessment(
    scale: float, threshold: float, loo_iou: float | None, min_score: float, confidence: str
) -> AssessmentRecord:
    return AssessmentRecord(scale, threshold, loo_iou, min_score, tuple(json.loads(confidence)))


def _parsed(document: str) -> SupportClass:
    try:
        return from_document(json.loads(document))
    except (ValueError, LookupError, TypeError, MalformedRequest) as err:
        raise sqlite3.DatabaseError(f"a stored record is malformed: {err}") from err
