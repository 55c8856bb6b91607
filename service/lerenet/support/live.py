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
    whichever process) the pointers are read, and the revisions not yet known. `read` and `look_up` wait for no other
    host, and are used from one thread; `find` asks at the source.
    """

    def __init__(self, store: SupportStore) -> None:
        self._store = store
        self._generation: int | None = None
        self._classes: Mapping[str, SupportClass] = {}

    def read(self) -> Mapping[str, SupportClass]:
        """The classes now. The mapping is not changed afterwards: a request keeps the classes it began with."""
        while self._store.generation() != self._generation:
            generation, pointers = self._store.pointers()
            found = ((name, self._record(name, revision)) for name, revision in pointers.items())
            # one that is not there was changed since: then the generation has moved, too, and all is read again
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

    def look_up(self, references: Sequence[str]) -> Mapping[str, SupportClass]:
        """The revisions of those references, by reference, that are known here."""
        live = self.read()
        found = {reference: live.get(reference) or self._recalled(reference) for reference in references}
        return {reference: record for reference, record in found.items() if record is not None}

    def _recalled(self, reference: str) -> SupportClass | None:
        name, at, revision = reference.partition("@")
        return self._store.recalled(name, revision) if at and is_name(name) and is_revision(revision) else None

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
        return self._store.recalled(name, revision)
