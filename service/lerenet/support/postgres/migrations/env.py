"""What alembic runs: the versions, inside the transaction of the connection that it is given."""

from __future__ import annotations

from alembic import context

from lerenet.support.postgres.schema import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
