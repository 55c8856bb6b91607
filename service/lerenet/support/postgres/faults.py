"""What PostgreSQL and the way to it complain of, told as what to do about it.

Callers read most of these details, so none names a host, a user or a database; the log has the cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as states

from lerenet.errors import RegistryError, RegistryReadOnly, RegistryUnreachable, StorageFull

Fault = tuple[type[RegistryError], str]

UNREACHABLE = (
    "The registry's database cannot be reached. Send the request again in a moment. A change that was under way is "
    "stored whole or not at all. Before you send a deletion, or a change with If-Match, again, look what is there; any "
    "other may be sent twice."
)
READ_ONLY = "The registry's database takes no writes now: it is a standby, or set to read-only. Point at the primary."
_SLOW = "The registry's database did not answer in time. Send the request again in a moment."
_CROWDED = "The registry's database takes no more connections. Raise its max_connections, or run fewer replicas."
_FULL = "The registry's database has no disk space left. Free some on its host."
_DENIED = "The database user of the registry may not do this. Grant it SELECT, INSERT, UPDATE and DELETE on all tables."
_TABLES = "The registry's tables are not there, or of another version. Run `lerenet registry migrate`."
_DAMAGED = "The registry's database is damaged. Restore it from a backup."

_FAULTS: tuple[tuple[type[psycopg.Error] | tuple[type[psycopg.Error], ...], Fault], ...] = (
    ((states.QueryCanceled, states.LockNotAvailable), (RegistryUnreachable, _SLOW)),
    (states.TooManyConnections, (RegistryUnreachable, _CROWDED)),
    (states.ReadOnlySqlTransaction, (RegistryReadOnly, READ_ONLY)),
    (states.DiskFull, (StorageFull, _FULL)),
    (states.InsufficientPrivilege, (RegistryReadOnly, _DENIED)),
    ((states.UndefinedTable, states.UndefinedColumn), (RegistryError, _TABLES)),
    ((states.DataCorrupted, states.IndexCorrupted), (RegistryError, _DAMAGED)),
    # the connection itself, whatever broke it, refusals of a server that starts or stops included
    ((psycopg.OperationalError, psycopg.InterfaceError), (RegistryUnreachable, UNREACHABLE)),
)


@contextmanager
def database_faults() -> Iterator[None]:
    """Turn failures of the database, and of the way to it, into RegistryError with a remedy."""
    try:
        yield
    except psycopg.Error as err:
        raise fault_of(err) from err


def reason_of(err: BaseException) -> str:
    """What libpq or the server said, in one line, with host and user but never a password; for logs and operators."""
    return next(iter(str(err).splitlines()), type(err).__name__)


def fault_of(err: psycopg.Error) -> RegistryError:
    """What to tell of a failure."""
    for kinds, (kind, detail) in _FAULTS:
        if isinstance(err, kinds):
            return kind(detail)
    return RegistryError(f"The registry's database refused a statement ({err.sqlstate}): {err}")
