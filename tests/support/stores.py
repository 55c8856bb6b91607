"""Stores of both kinds, for what is asked of either."""

from __future__ import annotations

from pathlib import Path

from lerenet.support import SqliteStore, SupportStore, verify_store
from lerenet.support.postgres import Database, PostgresStore, check_database

Place = Path | str
"""A data folder, or the address of a database."""


def open_store(place: Place) -> SupportStore:
    return SqliteStore(place) if isinstance(place, Path) else PostgresStore(Database(place))


def is_whole(store: SupportStore) -> bool:
    """Whether nothing is lost, damaged or left over where a store lies."""
    if isinstance(store, SqliteStore):
        return verify_store(store.root).is_clean
    assert isinstance(store, PostgresStore)
    return check_database(store.database).is_clean
