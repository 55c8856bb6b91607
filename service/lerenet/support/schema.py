"""Tables of the SQLite index."""

from __future__ import annotations

SCHEMA_VERSION = 2

TABLES = """
CREATE TABLE generation (value INTEGER NOT NULL);
INSERT INTO generation VALUES (0);
CREATE TABLE revisions (
    name TEXT NOT NULL, revision TEXT NOT NULL, sequence INTEGER NOT NULL,
    support_digest TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (name, revision)
);
CREATE INDEX revisions_by_support ON revisions (support_digest);
CREATE TABLE classes (
    name TEXT PRIMARY KEY, revision TEXT NOT NULL,
    FOREIGN KEY (name, revision) REFERENCES revisions (name, revision)
);
CREATE TABLE blob_uses (
    sha256 TEXT NOT NULL, name TEXT NOT NULL, revision TEXT NOT NULL, PRIMARY KEY (sha256, name, revision),
    FOREIGN KEY (name, revision) REFERENCES revisions (name, revision) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX blob_uses_by_revision ON blob_uses (name, revision);
"""

ASSESSMENTS = """
CREATE TABLE assessments (
    support_digest TEXT NOT NULL, weights_digest TEXT NOT NULL,
    scale REAL NOT NULL, threshold REAL NOT NULL, loo_iou REAL, min_score REAL NOT NULL, confidence TEXT NOT NULL,
    PRIMARY KEY (support_digest, weights_digest)
) WITHOUT ROWID;
"""
