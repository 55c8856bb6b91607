"""A key file with one key of each kind, and what each of them opens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lerenet.access import IssuedKey, KeyRecord, Scope, change_keys, issue_key, start_key_file


def write_keys(path: Path, records: Sequence[KeyRecord]) -> Path:
    """Makes a file hold these keys and no others."""
    start_key_file(path)
    change_keys(path, lambda kept: records)
    return path


def issued(*scopes: Scope, days: float | None = None, revoked: bool = False, **limits: int) -> IssuedKey:
    """A key made yesterday."""
    valid_for = None if days is None else timedelta(days=days)
    key = issue_key("test", scopes, now=datetime.now(UTC) - timedelta(days=1), valid_for=valid_for, **limits)
    if revoked:
        return IssuedKey(key.secret, key.record.model_copy(update={"revoked_at": datetime.now(UTC)}))
    return key


def headers(key: IssuedKey | str) -> dict[str, str]:
    """As the page sends a key."""
    return {"X-API-Key": key if isinstance(key, str) else key.secret}
