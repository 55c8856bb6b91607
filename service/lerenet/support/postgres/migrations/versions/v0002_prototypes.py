"""Prototypes that replicas share: a cache, which may be emptied at any time.

They are numbers that hardly compress: PostgreSQL need not try.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

PROTOTYPES = """
CREATE TABLE prototypes (
    made_by text NOT NULL, support_digest text NOT NULL, payload bytea NOT NULL, checksum bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), used_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (made_by, support_digest)
);
ALTER TABLE prototypes ALTER COLUMN payload SET STORAGE EXTERNAL;
"""


def upgrade() -> None:
    """Make the table."""
    for statement in filter(str.strip, PROTOTYPES.split(";")):
        op.execute(statement)
