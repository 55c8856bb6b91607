"""The tables of the registry, as in `support.schema`, with blobs, owners and the trail of changes in them.

Names sort by code point, as everywhere else. Blobs are compressed images: PostgreSQL need not try again.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE generation (value bigint NOT NULL);
INSERT INTO generation VALUES (0);
CREATE TABLE revisions (
    name text COLLATE "C" NOT NULL, revision text NOT NULL, sequence bigint NOT NULL,
    support_digest text NOT NULL, document text NOT NULL, PRIMARY KEY (name, revision)
);
CREATE INDEX revisions_by_support ON revisions (support_digest);
CREATE TABLE classes (
    name text COLLATE "C" PRIMARY KEY, revision text NOT NULL,
    FOREIGN KEY (name, revision) REFERENCES revisions (name, revision)
);
CREATE TABLE blobs (sha256 text PRIMARY KEY, content bytea NOT NULL);
ALTER TABLE blobs ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE TABLE blob_uses (
    sha256 text NOT NULL REFERENCES blobs, name text COLLATE "C" NOT NULL, revision text NOT NULL,
    PRIMARY KEY (sha256, name, revision),
    FOREIGN KEY (name, revision) REFERENCES revisions (name, revision) ON DELETE CASCADE
);
CREATE INDEX blob_uses_by_revision ON blob_uses (name, revision);
CREATE TABLE assessments (
    support_digest text NOT NULL, weights_digest text NOT NULL,
    scale double precision NOT NULL, threshold double precision NOT NULL, loo_iou double precision,
    min_score double precision NOT NULL, confidence double precision[] NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (support_digest, weights_digest)
);
CREATE TABLE owners (name text COLLATE "C" PRIMARY KEY, owner text NOT NULL);
CREATE INDEX owners_by_owner ON owners (owner);
CREATE TABLE places (
    token uuid PRIMARY KEY, owner text NOT NULL, name text COLLATE "C" NOT NULL, held_until timestamptz NOT NULL
);
CREATE TABLE changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, time timestamptz NOT NULL, who text NOT NULL,
    what text NOT NULL, name text COLLATE "C" NOT NULL, before text, after text, request_id text
);
CREATE INDEX changes_by_name ON changes (name, id);
"""


def upgrade() -> None:
    """Make them."""
    for statement in filter(str.strip, TABLES.split(";")):
        op.execute(statement)
