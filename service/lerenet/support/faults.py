"""What the disk and SQLite complain of, told as what to do about it."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lerenet.errors import RegistryError

RESTORE = "Stop the service and run `lerenet registry verify --rebuild`."

_FULL = "Free disk space there, or point LERENET_DATA_DIR elsewhere."
_UNWRITABLE = "Make the folder writable for the service's user, or point LERENET_DATA_DIR elsewhere."
_BUSY = "Another process kept it locked. Try again, and run one service per data folder."
_UNKNOWN = "Check the disk, then run `lerenet registry verify`."

_ERRNO_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _UNWRITABLE,
    errno.EACCES: _UNWRITABLE,
    errno.EPERM: _UNWRITABLE,
    errno.ENOTDIR: _UNWRITABLE,
    errno.EEXIST: _UNWRITABLE,
    errno.ENOENT: _UNWRITABLE,
}
_SQLITE_REMEDIES = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_CORRUPT: RESTORE,
    sqlite3.SQLITE_NOTADB: RESTORE,
}


@contextmanager
def registry_faults(root: Path) -> Iterator[None]:
    """Turn failures of files and database under `root` into RegistryError, with a remedy."""
    try:
        yield
    except OSError as err:
        remedy = _ERRNO_REMEDIES.get(err.errno or 0, _UNKNOWN)
        raise RegistryError(f"The registry at {root} failed: {err.strerror or err}. {remedy}") from err
    except sqlite3.Error as err:
        raise RegistryError(f"The registry at {root} failed: {err}. {_sqlite_remedy(err)}") from err


def _sqlite_remedy(err: sqlite3.Error) -> str:
    code = getattr(err, "sqlite_errorcode", None)
    if code is None:
        # raised by ourselves over a malformed record
        return RESTORE
    # extended codes carry the primary one in their low byte
    return _SQLITE_REMEDIES.get(code & 0xFF, _UNKNOWN)
