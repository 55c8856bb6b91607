"""Inspection metadata as the service takes it: three fields by name, the others in one JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

Value = str | int | float | bool | None
Metadata = Mapping[str, Value | datetime]

_NAMED = ("station", "part", "timestamp")


def metadata_fields(metadata: Metadata) -> dict[str, str | None]:
    """Form fields; None for those that are not sent.

    Args:
        metadata: Times are written in ISO 8601.
    """
    plain = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in metadata.items()}
    named = {name: None if plain.get(name) is None else str(plain[name]) for name in _NAMED}
    free = {name: value for name, value in plain.items() if name not in _NAMED}
    return {**named, "metadata": json.dumps(free) if free else None}
