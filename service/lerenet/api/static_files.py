"""The files of the page, from the package: read once, each known by the hash of its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePath

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""By name and not by the host's own table, which has been known to call a module `text/plain`."""

PAGE_FILE = "index.html"


@dataclass(frozen=True, eq=False)
class StaticFile:
    """A file as it is sent.

    Attributes:
        data: Its bytes.
        media_type: Value of `Content-Type`.
        tag: Hash of the bytes. Modification times tell nothing: in a wheel all are the same.
    """

    data: bytes
    media_type: str
    tag: str


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Every file of the page by name; names that are not here do not exist."""
    folder = files("lerenet.api") / "static"
    return {
        each.name: as_static(each.read_bytes(), MEDIA_TYPES[PurePath(each.name).suffix])
        for each in folder.iterdir()
        if PurePath(each.name).suffix in MEDIA_TYPES
    }


def as_static(data: bytes, media_type: str) -> StaticFile:
    """Bytes with their tag."""
    return StaticFile(data, media_type, sha256(data).hexdigest()[:16])
