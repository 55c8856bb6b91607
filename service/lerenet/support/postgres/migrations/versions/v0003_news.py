"""What changed since a generation is found without a look at every revision."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the index."""
    op.execute("CREATE INDEX revisions_by_sequence ON revisions (sequence)")
