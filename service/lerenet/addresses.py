"""What is the address of a database, and what is not."""

from __future__ import annotations

import re

SCHEMES = ("postgresql", "postgres")
"""Of the addresses that libpq takes, in any case."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(text: str) -> str | None:
    """The scheme of an address, in lower case; None for what is no address, such as a folder."""
    found = _ADDRESS.match(text)
    return None if found is None else found[1].lower()


def is_database_address(text: str) -> bool:
    """Whether a text is the address of a database that a registry may be in."""
    return scheme_of(text) in SCHEMES
