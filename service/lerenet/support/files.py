"""Files and folders whose entries, too, survive a power cut: the folder is synced after them."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from lerenet.files import replacing

TEMPORARY = ".tmp"
"""Suffix of a file that is still being written; what bears it after a crash is waste."""


def write_atomically(path: Path, data: bytes, scratch: Path) -> None:
    """Write `path` so that a crash leaves the old file or the new one.

    Args:
        path: Where the file goes; its folder exists.
        data: Its content.
        scratch: Folder on the same file system for the unfinished file.

    Raises:
        OSError: The disk is full, read-only or failing; nothing is left behind.
    """
    with replacing(path, scratch / f"{uuid4().hex}{TEMPORARY}") as file:
        file.write(data)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make one folder so that its entry survives a power cut; an existing one is fine."""
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk: a rename is durable only after this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
