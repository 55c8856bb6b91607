"""Finding classes: the current ones in memory, followed through the store's generation; older ones in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lerenet.errors import RegistryUnreachable, UnknownClass
from lerenet.support.changes import required
from lerenet.support.records import SupportClass, is_name, is_revision
from lerenet.support.store import KEPT_REVISIONS, SupportStore


class LiveClasses:
    """Every current class by name, in order of name.

    Segmentation asks on every request. So it costs one number from the store, and only when that number has moved (by
    whichever process) the pointers are read, and the revisions not yet known. Used from one thread.
    """

    def __init__(self, store: SupportStore) -> None:
        self._store = store
        self._generation: int | None = None
        self._classes: Mapping[str, SupportClass] = {}

    def read(self) -> Mapping[str, SupportClass]:
        """The classes now. The mapping is not changed afterwards: a request keeps the classes it began with."""
        if self._store.generation() != self._generation:
            generation, pointers = self._store.pointers()
            found = ((name, self._record(name, revision)) for name, revision in pointers.items())
            self._classes = {name: record for name, record in found if record is not None}
            self._generation = generation
        return self._classes

    def find(self, reference: str) -> SupportClass:
        """The revision that `name` or `name@revision` stands for.

        Raises:
            UnknownClass: No such class or revision.
        """
        name, at, revision = reference.partition("@")
        if not is_name(name):
            return required(name, None)  # nor may every text be asked for in a database
        if not at:
            return required(name, self._current(name))
        found = self._store.revision(name, revision) if is_revision(revision) else None
        if found is None:
            newest = required(name, self._store.current(name)).revision
            raise UnknownClass(
                f"Class {name!r} has no revision {revision[:16]!r}. The last {KEPT_REVISIONS} stay, up to {newest}."
            )
        return found

    def find_all(self, references: Sequence[str]) -> Sequence[SupportClass]:
        """The revisions of several references, in order, each once; raises as `find`."""
        live = self.read()
        found = (live.get(reference) or self.find(reference) for reference in references)
        return list({(record.name, record.revision): record for record in found}.values())

    def _current(self, name: str) -> SupportClass | None:
        """The one at the source, or the one in memory where the source cannot be asked."""
        try:
            return self._store.current(name)
        except RegistryUnreachable:
            known = self._store.recalled(name, None)
            if known is None:
                raise
            return known

    def _record(self, name: str, revision: str) -> SupportClass | None:
        known = self._classes.get(name)
        if known is not None and known.revision == revision:
            return known
        # None when the class was deleted since: the next read sees another generation
        return self._store.revision(name, revision)
