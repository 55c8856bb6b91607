"""Statements over the registry's tables and nothing else. All take a connection and raise `psycopg.Error`.

Those that change something belong inside a transaction that has called `lock`: the row of the generation is what keeps
writers apart, across replicas. Whoever holds it sees all earlier changes, and its number is given out in the order in
which the changes can be seen.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple
from typing import Any

from lerenet.errors import IndexDamaged, MalformedRequest
from lerenet.support.manifests import from_document, to_document
from lerenet.support.postgres.database import Connection
from lerenet.support.records import SupportClass
from lerenet.support.store import KEPT_REVISIONS, AssessmentRecord

CHANNEL = "lerenet_registry"


def lock(connection: Connection) -> None:
    """Wait for other writers; they wait until the transaction ends."""
    connection.execute("SELECT value FROM generation FOR UPDATE")


def next_generation(connection: Connection) -> int:
    """Count one change, which is told to the other replicas with the commit."""
    value: int = _one(connection, "UPDATE generation SET value = value + 1 RETURNING value")[0]
    connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(value)))
    return value


def pointer(connection: Connection, name: str) -> str | None:
    """The current revision of one name."""
    row = connection.execute("SELECT revision FROM classes WHERE name = %s", (name,)).fetchone()
    return None if row is None else row[0]


def count(connection: Connection) -> int:
    """Number of names."""
    n_names: int = _one(connection, "SELECT count(*) FROM classes")[0]
    return n_names


def record(connection: Connection, name: str, revision: str) -> SupportClass | None:
    """One revision."""
    sql = "SELECT document FROM revisions WHERE name = %s AND revision = %s"
    row = connection.execute(sql, (name, revision)).fetchone()
    return None if row is None else parsed(name, row[0])


def current(connection: Connection, name: str) -> SupportClass | None:
    """The record that a name points at."""
    sql = "SELECT document FROM classes JOIN revisions USING (name, revision) WHERE name = %s"
    row = connection.execute(sql, (name,)).fetchone()
    return None if row is None else parsed(name, row[0])


def page(connection: Connection, after: str, limit: int) -> list[SupportClass]:
    """Current records behind a name, in order of name."""
    sql = """SELECT name, document FROM classes JOIN revisions USING (name, revision)
             WHERE name > %s ORDER BY name LIMIT %s"""
    return [parsed(name, document) for name, document in connection.execute(sql, (after, limit))]


def revisions(connection: Connection, name: str) -> list[str]:
    """Revisions of a name, newest first."""
    return _column(connection, "SELECT revision FROM revisions WHERE name = %s ORDER BY sequence DESC", name)


def put_revision(connection: Connection, made: SupportClass, sequence: int) -> None:
    """Add a revision, or move a known one to a new place in the order of changes; then point its name at it."""
    sql = """INSERT INTO revisions (name, revision, sequence, support_digest, document) VALUES (%s, %s, %s, %s, %s)
             ON CONFLICT (name, revision) DO UPDATE SET sequence = excluded.sequence, document = excluded.document"""
    key, document = (made.name, made.revision), json.dumps(to_document(made))
    connection.execute(sql, (*key, sequence, made.support_digest, document))
    uses = """INSERT INTO blob_uses (sha256, name, revision) SELECT unnest(%s::text[]), %s, %s ON CONFLICT DO NOTHING"""
    connection.execute(uses, (sorted(made.blobs), *key))
    point = "INSERT INTO classes VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision"
    connection.execute(point, key)


def prune(connection: Connection, name: str) -> None:
    """Forget all but the last `KEPT_REVISIONS` revisions of a name."""
    sql = """DELETE FROM revisions WHERE name = %s AND sequence NOT IN
             (SELECT sequence FROM revisions WHERE name = %s ORDER BY sequence DESC LIMIT %s)"""
    connection.execute(sql, (name, name, KEPT_REVISIONS))


def delete(connection: Connection, name: str) -> None:
    """Forget a name with all its revisions."""
    connection.execute("DELETE FROM classes WHERE name = %s", (name,))
    connection.execute("DELETE FROM revisions WHERE name = %s", (name,))


def blobs_of(connection: Connection, name: str) -> set[str]:
    """Blobs that some revision of a name uses."""
    return set(_column(connection, "SELECT DISTINCT sha256 FROM blob_uses WHERE name = %s", name))


def blob(connection: Connection, sha256: str) -> bytes | None:
    """The content of a blob."""
    row = connection.execute("SELECT content FROM blobs WHERE sha256 = %s", (sha256,), binary=True).fetchone()
    return None if row is None else bytes(row[0])


def put_blobs(connection: Connection, blobs: Mapping[str, bytes]) -> None:
    """Add those that are not there."""
    # in order of digest, so that writers of the same ones wait for each other in turn
    known = set(_column(connection, "SELECT sha256 FROM blobs WHERE sha256 = ANY(%s)", list(blobs)))
    for sha256 in sorted(blobs.keys() - known):
        connection.execute("INSERT INTO blobs VALUES (%s, %b) ON CONFLICT DO NOTHING", (sha256, blobs[sha256]))


def drop_unused_blobs(connection: Connection, sha256s: Collection[str]) -> None:
    """Forget those of the blobs that no revision uses."""
    sql = """DELETE FROM blobs WHERE sha256 = ANY(%s)
             AND NOT EXISTS (SELECT FROM blob_uses WHERE blob_uses.sha256 = blobs.sha256)"""
    connection.execute(sql, (list(sha256s),))


def damaged_blobs(connection: Connection, sha256s: Collection[str]) -> list[str]:
    """Those of the blobs whose content is not what it was; hashed by the server."""
    sql = """SELECT sha256 FROM blobs WHERE sha256 = ANY(%s) AND encode(sha256(content), 'hex') <> sha256
             ORDER BY sha256"""
    return _column(connection, sql, list(sha256s))


def mend_blob(connection: Connection, sha256: str, content: bytes) -> None:
    """Replace the content of a damaged blob."""
    connection.execute("UPDATE blobs SET content = %b WHERE sha256 = %s", (content, sha256))


def support_digests(connection: Connection) -> set[str]:
    """Support digests of all revisions."""
    return set(_column(connection, "SELECT DISTINCT support_digest FROM revisions"))


def support_digests_of(connection: Connection, name: str) -> set[str]:
    """Support digests of all revisions of a name."""
    return set(_column(connection, "SELECT support_digest FROM revisions WHERE name = %s", name))


def assessments(
    connection: Connection, support_digests: Iterable[str], weights_digest: str
) -> dict[str, AssessmentRecord]:
    """Those there are."""
    sql = """SELECT support_digest, scale, threshold, loo_iou, min_score, confidence FROM assessments
             WHERE support_digest = ANY(%s) AND weights_digest = %s"""
    rows = connection.execute(sql, (list(support_digests), weights_digest))
    return {digest: _assessment(*row) for digest, *row in rows}


def all_assessments(connection: Connection) -> list[tuple[str, str, AssessmentRecord]]:
    """Support digest, weights digest and assessment of all there are."""
    sql = """SELECT support_digest, weights_digest, scale, threshold, loo_iou, min_score, confidence FROM assessments
             ORDER BY support_digest, weights_digest"""
    return [(support, weights, _assessment(*row)) for support, weights, *row in connection.execute(sql)]


def put_assessment(
    connection: Connection, support_digest: str, weights_digest: str, assessment: AssessmentRecord
) -> None:
    """Keep or replace an assessment."""
    sql = """INSERT INTO assessments
             (support_digest, weights_digest, scale, threshold, loo_iou, min_score, confidence)
             VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (support_digest, weights_digest) DO UPDATE
             SET scale = excluded.scale, threshold = excluded.threshold, loo_iou = excluded.loo_iou,
                 min_score = excluded.min_score, confidence = excluded.confidence, made_at = now()"""
    *numbers, confidence = astuple(assessment)
    connection.execute(sql, (support_digest, weights_digest, *numbers, list(confidence)))


def drop_unused_assessments(connection: Connection, support_digests: Iterable[str]) -> None:
    """Forget the assessments of those contents that no revision has any more."""
    sql = """DELETE FROM assessments WHERE support_digest = ANY(%s)
             AND NOT EXISTS (SELECT FROM revisions WHERE revisions.support_digest = assessments.support_digest)"""
    connection.execute(sql, (list(support_digests),))


def drop_forgotten_assessments(connection: Connection) -> None:
    """Forget assessments whose class was never stored. A day is given to registrations that other replicas make."""
    sql = """DELETE FROM assessments WHERE made_at < now() - interval '1 day'
             AND NOT EXISTS (SELECT FROM revisions WHERE revisions.support_digest = assessments.support_digest)"""
    connection.execute(sql)


def parsed(name: str, document: str) -> SupportClass:
    """A stored record; raises IndexDamaged for one that this code cannot read."""
    try:
        return from_document(json.loads(document))
    except (ValueError, LookupError, TypeError, MalformedRequest) as err:
        raise IndexDamaged(f"The stored record of class {name} cannot be read: {err}. Restore a backup.") from err


def _assessment(
    scale: float, threshold: float, loo_iou: float | None, min_score: float, confidence: Iterable[float]
) -> AssessmentRecord:
    a, b, c = confidence
    return AssessmentRecord(scale, threshold, loo_iou, min_score, (a, b, c))


def _column(connection: Connection, sql: str, *values: object) -> list[str]:
    return [row[0] for row in connection.execute(sql, values)]


def _one(connection: Connection, sql: str, *values: object) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(sql, values).fetchone()
    assert row is not None  # only statements that always answer come here
    return row
