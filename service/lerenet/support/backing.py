"""Where a registry lives: in a data folder, or in a database that several replicas share. Either is opened here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lerenet.addresses import SCHEMES, scheme_of
from lerenet.errors import ConfigurationError
from lerenet.support.audit import AuditTrail, Listener, log_change
from lerenet.support.layout import Layout
from lerenet.support.ownership import Owners, Ownership
from lerenet.support.sharing import SharedPrototypes
from lerenet.support.sqlite import SqliteStore
from lerenet.support.store import SupportStore
from lerenet.support.verify import VerifyReport, verify_store

if TYPE_CHECKING:
    from lerenet.support.postgres import Database

Place = Path | str
"""A data folder, or the address of a database."""


class Trail(Protocol):
    """Changes of a registry, one line each."""

    def read(self) -> Iterator[Mapping[str, Any]]:
        """Lines, oldest first, in the words of `RegistryChange.as_line`."""

    def take(self, lines: Iterable[Mapping[str, Any]]) -> int:
        """Take over the lines of another trail where there are none yet; the number taken."""


@dataclass(frozen=True)
class Backing:
    """All that is kept of a registry.

    Attributes:
        place: Which folder or database it is, for the log.
        store: Its classes.
        owners: Which key made which.
        trail: Who changed what.
        listeners: Whom a service tells of each change.
        keepers: Those of them that a command tells: it makes nobody an owner, and has no log.
        share: Where replicas share prototypes, by what made them; None where nobody shares.
    """

    place: str
    store: SupportStore
    owners: Owners
    trail: Trail
    listeners: Sequence[Listener]
    keepers: Sequence[Listener]
    share: Callable[[str], SharedPrototypes] | None = None


def open_folder(root: Path, *, may_fall_back: bool = False) -> Backing:
    """The registry of a data folder; made when missing.

    Args:
        root: The folder.
        may_fall_back: As in `SqliteStore`.

    Raises:
        RegistryError: The folder cannot be used.
    """
    layout = Layout(root)
    owners, trail = Ownership(layout.owners, layout.unfinished), AuditTrail(layout.audit)
    store = SqliteStore(root, may_fall_back=may_fall_back)
    return Backing(f"folder {root.resolve()}", store, owners, trail, (owners.note, trail.note), (trail.keep,))


def open_database(url: str, *, stale_s: float | None = None) -> Backing:
    """The registry of a database; its tables are made when missing.

    Args:
        url: `postgresql://USER:PASSWORD@HOST/DATABASE`.
        stale_s: As in `PostgresStore`; None for its default.

    Raises:
        ConfigurationError: The extra `postgres` is not installed, the address cannot be read, or the tables are of
            another version.
        RegistryError: The database cannot be used.
    """
    database = connect(url)
    from lerenet.support import postgres  # noqa: PLC0415 (an extra)

    store = postgres.PostgresStore(database, stale_s=postgres.STALE_S if stale_s is None else stale_s)
    # owners and trail are stored with each change
    owners, trail = postgres.DatabaseOwnership(database), postgres.DatabaseTrail(database)
    share = partial(postgres.DatabasePrototypes, database)
    return Backing(database.place, store, owners, trail, (log_change,), (), share)


def connect(url: str) -> Database:
    """The way to a database; raises as `open_database`."""
    try:
        from lerenet.support.postgres import Database  # noqa: PLC0415 (an extra)
    except ImportError as err:
        raise ConfigurationError(
            f"a registry in PostgreSQL needs a library that is not installed ({err.name}): "
            "pip install 'lerenet[postgres]'"
        ) from err
    return Database(url)


def is_database(place: Place) -> bool:
    """Whether a place is the address of a database; otherwise it is a folder.

    Raises:
        ConfigurationError: It is an address of something else, which must not become the name of a folder.
    """
    scheme = scheme_of(place) if isinstance(place, str) else None
    if scheme is not None and scheme not in SCHEMES:
        raise ConfigurationError(f"a registry is in a folder, or in a database at postgresql://, not at {scheme}://")
    return scheme is not None


@contextmanager
def opened(place: Place) -> Iterator[Backing]:
    """The registry of a place, closed at the end; raises as `open_folder` and `open_database`."""
    backing = open_database(str(place)) if is_database(place) else open_folder(Path(place))
    try:
        yield backing
    finally:
        backing.store.close()


@contextmanager
def reached(url: str) -> Iterator[Database]:
    """A database whatever its tables, closed at the end; raises ConfigurationError as `open_database`."""
    database = connect(url)
    try:
        yield database
    finally:
        database.close()


def verify_place(place: Place, *, rebuild: bool = False) -> VerifyReport:
    """Check a registry, and hash every image in it; services may go on, except where a folder's index is restored.

    Raises:
        ConfigurationError: A database shall be rebuilt.
        RegistryError: There is no registry, or it cannot be read.
    """
    if not is_database(place):
        return verify_store(Path(place), rebuild=rebuild)
    if rebuild:
        raise ConfigurationError("only a data folder can be rebuilt, from its manifests: restore the database's backup")
    with reached(str(place)) as database:
        from lerenet.support.postgres import check_database  # noqa: PLC0415 (an extra)

        return check_database(database)


def migrate_database(url: str) -> tuple[str | None, str]:
    """Bring the tables of a database to the version of this code; version before (None: no tables) and now.

    Raises:
        ConfigurationError: As `open_database`, or the user may not change them.
        RegistryError: The database cannot be reached.
    """
    if not is_database(url):
        raise ConfigurationError("only a database has tables to migrate: name it as postgresql://USER@HOST/DATABASE")
    with reached(url) as database:
        from lerenet.support.postgres import migrate  # noqa: PLC0415 (an extra)

        return migrate(database)


def read_changes(place: Place) -> Iterator[Mapping[str, Any]]:
    """Who changed what, oldest first.

    Raises:
        OSError: A file of the folder cannot be read.
        RegistryError: The database cannot be read.
    """
    if not is_database(place):
        yield from AuditTrail(Layout(Path(place)).audit).read()
        return
    with reached(str(place)) as database:
        from lerenet.support.postgres import DatabaseTrail  # noqa: PLC0415 (an extra)

        yield from DatabaseTrail(database).read()
