"""Versions of the tables, for alembic; `support.postgres.schema` applies them."""
