"""Classes out of a registry into an archive, and back into this or another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal

from lerenet.conflicts import OnConflict
from lerenet.errors import ClassExists, PreconditionFailed, RegistryError
from lerenet.support.archive import ArchivedClass, read_archive, write_archive
from lerenet.support.audit import Listener, RegistryChange, noting
from lerenet.support.backing import Place, is_database, opened
from lerenet.support.changes import required
from lerenet.support.layout import Layout
from lerenet.support.limits import Limits
from lerenet.support.records import SupportClass, check_name
from lerenet.support.store import SupportStore, all_current
from lerenet.support.stored import read_stored_records

WHO = "lerenet registry import"
"""Who made a change, in the trail of changes."""

Outcome = Literal["added", "unchanged", "renamed", "replaced"]


@dataclass(frozen=True)
class Imported:
    """What became of a class of an archive: the name in it, and the name and revision here."""

    archived_name: str
    name: str
    revision: str
    outcome: Outcome


def export_classes(place: Place, archive: Path, names: Sequence[str] = ()) -> int:
    """Write the current revisions of classes to an archive; services may go on.

    Args:
        place: The data folder or database.
        archive: The tar file.
        names: Which classes; none: all.

    Returns:
        Number of classes.

    Raises:
        UnknownClass: There is no class of a name.
        RegistryError: The registry cannot be read, a file in it is damaged, or the archive cannot be written.
    """
    with _readable(place) as (found, read_blob):
        records = {record.name: record for record in found}
        chosen = [required(name, records.get(name)) for name in names] or list(records.values())

        def read() -> Iterator[ArchivedClass]:
            for record in chosen:
                yield ArchivedClass(record, {sha256: read_blob(sha256) for sha256 in sorted(record.blobs)})

        return write_archive(archive, read())


@contextmanager
def _readable(place: Place) -> Iterator[tuple[Sequence[SupportClass], Callable[[str], bytes]]]:
    """The current revisions, and how to read a file; a folder is not even opened as a store."""
    if not is_database(place):
        yield read_stored_records(Path(place)), Layout(Path(place)).blobs.read
        return
    with opened(place) as backing:
        yield list(all_current(backing.store)), backing.store.read_blob


def import_classes(
    place: Place, archive: Path, *, on_conflict: OnConflict = "refuse", limits: Limits | None = None
) -> list[Imported]:
    """Take the classes of an archive into a registry, beside running services or without one.

    The archive is read and checked whole before anything is written. Imported again, it changes nothing.

    Args:
        place: The data folder or database; made when missing.
        archive: What `export_classes` wrote.
        on_conflict: Of a class whose name is taken by other content: refuse all, take it under NAME-2 (or the next
            number that is free), or replace what is there.
        limits: How much the registry takes.

    Raises:
        ClassExists: A name is taken, and conflicts are refused.
        RegistryError: The archive is damaged, or the registry cannot be used.
        LimitExceeded: Too many images or classes.
    """
    limits = limits or Limits()
    archived = [each.record for each in read_archive(archive)]  # once for the checks: blobs are let go
    with opened(place) as backing:
        for record in archived:
            limits.check_class(record)
            if on_conflict == "refuse":
                _refuse_conflict(record, backing.store.current(record.name))
        take = partial(_take, backing.store, backing.keepers, on_conflict=on_conflict, limits=limits)
        return [take(each) for each in read_archive(archive)]


def _refuse_conflict(record: SupportClass, current: SupportClass | None) -> None:
    if current is not None and current.revision != record.revision:
        raise ClassExists(
            f"Class {record.name!r} exists with other content (revision {current.revision}, in the archive "
            f"{record.revision}); nothing was imported. Choose `rename` or `replace`."
        )


def _take(
    store: SupportStore,
    keepers: Sequence[Listener],
    archived: ArchivedClass,
    *,
    on_conflict: OnConflict,
    limits: Limits,
) -> Imported:
    record = archived.record
    name = _free_name(record, store.current) if on_conflict == "rename" else record.name
    current = store.current(name)
    if on_conflict == "refuse":
        _refuse_conflict(record, current)  # asked again: a service may have been quicker
    outcome: Outcome = "renamed" if name != record.name else "added" if current is None else "replaced"
    if current is not None and current.revision == record.revision:
        store.mend(archived.blobs)
        return Imported(record.name, name, record.revision, "unchanged")
    expected = None if current is None else current.revision
    commit = partial(store.commit, replace(record, name=name), archived.blobs, expected=expected, limits=limits)
    change = RegistryChange("import", name, expected, record.revision, who=WHO)
    if not noting(change, commit, keepers)():
        raise PreconditionFailed(f"Class {name!r} was changed meanwhile. Import again.")
    return Imported(record.name, name, record.revision, outcome)


def _free_name(record: SupportClass, current: Callable[[str], SupportClass | None]) -> str:
    """The class's own name, or the first numbered one, that is free or holds this very content."""
    for n in count(1):
        name = record.name if n == 1 else f"{record.name}-{n}"
        check_name(name)
        found = current(name)
        if found is None or found.revision == record.revision:
            return name
    raise RegistryError("no name is free")  # pragma: no cover
