"""Does the registry in the database hold together?"""

from __future__ import annotations

from collections.abc import Iterator

from lerenet.errors import IndexDamaged
from lerenet.support.postgres.database import Connection, Database
from lerenet.support.postgres.statements import damaged_blobs, parsed
from lerenet.support.verify import VerifyReport

_BATCH = 10
"""Blobs that the server hashes in one statement, which must end in time."""


def check_database(database: Database) -> VerifyReport:
    """Read every record and hash every blob; services may go on. Slow for a large registry.

    Raises:
        RegistryError: The database cannot be read.
    """
    with database.connection() as connection:
        problems = [*_record_problems(connection), *_blob_problems(connection)]
        leftovers = [f"Blob {sha256} is used by nobody." for sha256 in _unused(connection)]
        sql = "SELECT (SELECT count(*) FROM classes), (SELECT count(*) FROM revisions), (SELECT count(*) FROM blobs)"
        [(n_classes, n_revisions, n_blobs)] = connection.execute(sql)
    return VerifyReport(n_classes, n_revisions, n_blobs, tuple(problems), tuple(leftovers))


def _record_problems(connection: Connection) -> Iterator[str]:
    with connection.transaction(), connection.cursor("records") as rows:  # a cursor on the server: there may be many
        rows.execute("SELECT name, revision, document FROM revisions ORDER BY name, sequence")
        for name, revision, document in rows:
            try:
                found = parsed(name, document)
            except IndexDamaged as err:
                yield err.detail
                continue
            if (found.name, found.revision) != (name, revision):
                yield f"The record of {name}@{revision} is that of {found.name}@{found.revision}."


def _blob_problems(connection: Connection) -> Iterator[str]:
    names = [sha256 for (sha256,) in connection.execute("SELECT sha256 FROM blobs ORDER BY sha256")]
    users = "SELECT string_agg(name || '@' || revision, ', ' ORDER BY name, revision) FROM blob_uses WHERE sha256 = %s"
    for i in range(0, len(names), _BATCH):
        for sha256 in damaged_blobs(connection, names[i : i + _BATCH]):
            [(used_by,)] = connection.execute(users, (sha256,))
            yield f"Blob {sha256} is damaged; {used_by} cannot be encoded again. Restore a backup or register anew."


def _unused(connection: Connection) -> list[str]:
    sql = """SELECT sha256 FROM blobs WHERE NOT EXISTS (SELECT FROM blob_uses WHERE blob_uses.sha256 = blobs.sha256)
             ORDER BY sha256"""
    return [sha256 for (sha256,) in connection.execute(sql)]
