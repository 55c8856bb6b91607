"""What the disk and SQLite complain of, told as what to do about it."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lerenet.errors import IndexDamaged, RegistryError, RegistryReadOnly, StorageFull

RESTORE = "Stop the service and run `lerenet registry verify --rebuild`."

FULL = "Free disk space there, or point LERENET_DATA_DIR elsewhere."
UNWRITABLE = "Make the folder writable for the service's user, or point LERENET_DATA_DIR elsewhere."
_BUSY = "Another process kept it locked. Try again, and run one service per data folder."
_UNKNOWN = "Check the disk, then run `lerenet registry verify`."

LEAST_FREE_BYTES = 1 << 20
"""With less the disk counts as full: SQLite alone may ask for that much before it writes a row."""

Fault = tuple[type[RegistryError], str]

_ERRNO_FAULTS: dict[int, Fault] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), (StorageFull, FULL)),
    **dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENOENT),
        (RegistryReadOnly, UNWRITABLE),
    ),
}
_SQLITE_FAULTS: dict[int, Fault] = {
    sqlite3.SQLITE_FULL: (StorageFull, FULL),
    sqlite3.SQLITE_READONLY: (RegistryReadOnly, UNWRITABLE),
    sqlite3.SQLITE_CANTOPEN: (RegistryReadOnly, UNWRITABLE),
    sqlite3.SQLITE_PERM: (RegistryReadOnly, UNWRITABLE),
    sqlite3.SQLITE_BUSY: (RegistryError, _BUSY),
    sqlite3.SQLITE_LOCKED: (RegistryError, _BUSY),
    sqlite3.SQLITE_CORRUPT: (IndexDamaged, RESTORE),
    sqlite3.SQLITE_NOTADB: (IndexDamaged, RESTORE),
}


@contextmanager
def registry_faults(root: Path) -> Iterator[None]:
    """Turn failures of files and database under `root` into RegistryError, with a remedy."""
    try:
        yield
    except OSError as err:
        kind, remedy = _ERRNO_FAULTS.get(err.errno or 0, (RegistryError, _UNKNOWN))
        raise kind(f"The registry{_place(kind, root)} failed: {err.strerror or err}. {remedy}") from err
    except sqlite3.Error as err:
        kind, remedy = _sqlite_fault(err, root)
        raise kind(f"The registry{_place(kind, root)} failed: {err}. {remedy}") from err


def unwritable(root: Path) -> RegistryError | None:
    """Why nothing can be written under `root`, as far as the file system says so without a try; None: no reason."""
    try:
        system = os.statvfs(root)
    except OSError as err:
        return RegistryReadOnly(f"The registry cannot be reached: {err.strerror}. {UNWRITABLE}")
    if system.f_flag & os.ST_RDONLY or not os.access(root, os.W_OK):
        return RegistryReadOnly(f"The registry lies in a read-only folder. {UNWRITABLE}")
    free_bytes = system.f_bavail * system.f_frsize
    if free_bytes < LEAST_FREE_BYTES:
        return StorageFull(f"The registry's disk is full: {free_bytes} bytes are free. {FULL}")
    return None


def _place(kind: type[RegistryError], root: Path) -> str:
    """Callers read the detail of some faults, and they need not know where the data folder lies."""
    return "" if kind in (StorageFull, RegistryReadOnly) else f" at {root}"


def _sqlite_fault(err: sqlite3.Error, root: Path) -> Fault:
    code = getattr(err, "sqlite_errorcode", None)
    if code is None:
        # raised by ourselves over a malformed record
        return (IndexDamaged, RESTORE)
    # extended codes carry the primary one in their low byte
    primary = code & 0xFF
    trouble = unwritable(root) if primary == sqlite3.SQLITE_IOERR else None
    if trouble is not None:  # SQLite says no more than `disk I/O error` of a write that finds no room
        return (type(trouble), FULL if isinstance(trouble, StorageFull) else UNWRITABLE)
    return _SQLITE_FAULTS.get(primary, (RegistryError, _UNKNOWN))
