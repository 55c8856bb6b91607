"""The embedded store: SQLite as the index, content-addressed files for images and masks, a manifest per revision.

A write happens inside one SQLite write transaction, which is also the lock between processes: blobs, then the manifest,
each synced with its folder, then the rows, then the commit. Killed anywhere before the commit it leaves files that the
index does not know, which the next opening sweeps. Removal goes the other way: the commit first, then the files.

An index that is damaged, or a folder that cannot be written to, does not keep the classes from being used: the store
then reads from a copy in memory, made of the manifests, and refuses writes.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from lerenet.errors import IndexDamaged, RegistryError, RegistryReadOnly, StorageFull
from lerenet.support.fallback import Fallback, fall_back
from lerenet.support.faults import registry_faults, unwritable
from lerenet.support.files import sync_folder
from lerenet.support.index import SqliteIndex
from lerenet.support.layout import Layout
from lerenet.support.limits import Limits
from lerenet.support.manifests import Manifest
from lerenet.support.records import SupportClass
from lerenet.support.store import AssessmentRecord, Page
from lerenet.support.upkeep import require_index, rewrite_manifest, sweep
from lerenet.support.verify import VerifyReport, inspect

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


class SqliteStore:
    """A `SupportStore` in one folder of one host. Several processes may share it; a network file system may not.

    Args:
        root: The data folder; made when missing. What a crash left in it is swept.
        may_fall_back: Whether to read from the manifests, rather than to raise, when the index is lost or damaged, or
            the folder cannot be written to.

    Raises:
        RegistryError: The folder cannot be used, or its index was lost and must be restored.
    """

    def __init__(self, root: Path, *, may_fall_back: bool = False) -> None:
        self._layout = Layout(root)
        self._may_fall_back = may_fall_back
        self._lock = threading.Lock()
        self._retired: list[SqliteIndex] = []
        self._fallback: Fallback | None = None
        try:
            self._index = self._opened()
        except (IndexDamaged, RegistryReadOnly, StorageFull) as err:
            self._index = self._fallen_back(err)

    @property
    def root(self) -> Path:
        """The data folder."""
        return self._layout.root

    @property
    def trouble(self) -> RegistryError | None:
        """Why writes would be refused now, as far as can be told without a write; None: no reason is known."""
        if self._fallback is not None and self._fallback.is_index_damaged:
            return RegistryReadOnly(self._fallback.detail)
        return unwritable(self._layout.root)

    @property
    def doubtful(self) -> Collection[str]:
        """Names of classes of which nobody knows what is current; they are missing in `pointers`."""
        return () if self._fallback is None else self._fallback.doubtful

    def current(self, name: str) -> SupportClass | None:
        """See `SupportStore.current`."""
        found = self._read(lambda index: index.current(name))
        if self._fallback is not None:
            self._fallback.check(name)
        return found

    def revision(self, name: str, revision: str) -> SupportClass | None:
        """See `SupportStore.revision`."""
        manifest = self._read(lambda index: index.manifest(name, revision))
        return None if manifest is None else manifest.record

    def recalled(self, name: str, revision: str | None) -> SupportClass | None:
        """See `SupportStore.recalled`."""
        return self.current(name) if revision is None else self.revision(name, revision)

    def revisions(self, name: str) -> list[str]:
        """See `SupportStore.revisions`."""
        return self._read(lambda index: index.revisions(name))

    def page(self, after: str | None, limit: int) -> Page:
        """See `SupportStore.page`."""
        # one more than asked for tells whether there is a next page
        found = self._read(lambda index: index.page(after or "", limit + 1))
        classes = tuple(found[:limit])
        return Page(classes, classes[-1].name if classes and len(found) > limit else None)

    def count(self) -> int:
        """See `SupportStore.count`."""
        return self._read(lambda index: index.count())

    def generation(self) -> int:
        """See `SupportStore.generation`."""
        return self._read(lambda index: index.generation())

    def refresh(self) -> int:
        """See `SupportStore.refresh`."""
        return self.generation()

    def pointers(self) -> tuple[int, dict[str, str]]:
        """See `SupportStore.pointers`."""

        def ask(index: SqliteIndex) -> tuple[int, dict[str, str]]:
            with index.reading():
                return index.generation(), index.pointers()

        return self._read(ask)

    def commit(self, record: SupportClass, blobs: Mapping[str, bytes], *, expected: str | None, limits: Limits) -> bool:
        """See `SupportStore.commit`."""
        self._require_writable()
        touched = {*blobs}
        try:
            with registry_faults(self._layout.root), self._index.writing():
                if self._index.pointer(record.name) != expected:
                    return False
                if expected is None:
                    limits.check_count(self._index.count())
                touched |= self._index.blobs_of(record.name)
                is_known = self._store(record, blobs)
        except BaseException:
            self._tidy(record.name, touched)
            raise
        # a revision that comes back has its manifest already: its new place is written once the index has decided
        self._tidy(record.name, touched, returned=record.revision if is_known else None)
        return True

    def delete(self, name: str, *, expected: str) -> bool:
        """See `SupportStore.delete`."""
        self._require_writable()
        with registry_faults(self._layout.root), self._index.writing():
            if self._index.pointer(name) != expected:
                return False
            blobs, contents = self._index.blobs_of(name), self._index.support_digests_of(name)
            self._index.delete(name)
            self._index.drop_unused_assessments(contents)
            self._index.next_generation()
        self._tidy(name, blobs)
        return True

    def read_blob(self, sha256: str) -> bytes:
        """See `SupportStore.read_blob`."""
        return self._layout.blobs.read(sha256)

    def assessments(self, support_digests: Iterable[str], weights_digest: str) -> dict[str, AssessmentRecord]:
        """See `SupportStore.assessments`."""
        wanted = list(support_digests)
        return self._read(lambda index: index.assessments(wanted, weights_digest))

    def save_assessment(self, support_digest: str, weights_digest: str, assessment: AssessmentRecord) -> None:
        """See `SupportStore.save_assessment`."""
        self._require_writable()
        with registry_faults(self._layout.root), self._index.writing():
            self._index.put_assessment(support_digest, weights_digest, assessment)

    def all_assessments(self) -> list[tuple[str, str, AssessmentRecord]]:
        """See `SupportStore.all_assessments`."""
        return self._read(lambda index: index.all_assessments())

    def support_digests(self) -> set[str]:
        """See `SupportStore.support_digests`."""
        return self._read(lambda index: index.support_digests())

    def mend(self, blobs: Mapping[str, bytes]) -> None:
        """See `SupportStore.mend`."""
        missing = [sha256 for sha256 in blobs if not self._layout.blobs.exists(sha256)]
        if missing:
            self._require_writable()
            with registry_faults(self._layout.root), self._index.writing():
                for sha256 in filter(self._index.is_used, missing):
                    self._layout.blobs.write(sha256, blobs[sha256])

    def verify(self) -> VerifyReport:
        """Compare index and files, and hash every blob; slow for a large registry."""
        with registry_faults(self._layout.root):
            return inspect(self._layout, self._index)

    def close(self) -> None:
        """See `SupportStore.close`."""
        for index in (self._index, *self._retired):
            index.close()

    def _opened(self) -> SqliteIndex:
        """The index on disk, in agreement with the files."""
        index = SqliteIndex(self._layout.index)
        try:
            with registry_faults(self._layout.root):
                self._layout.make()
                with index.writing():
                    require_index(self._layout, index)
                    sweep(self._layout, index)
                sync_folder(self._layout.root)
        except BaseException:
            index.close()
            raise
        return index

    def _read(self, ask: Callable[[SqliteIndex], Answer]) -> Answer:
        """What the index answers; when it proves damaged, what its copy from the manifests answers."""
        index = self._index
        try:
            with registry_faults(self._layout.root):
                return ask(index)
        except IndexDamaged as err:
            with self._lock:
                if self._index is index:  # otherwise another thread was quicker
                    self._index = self._fallen_back(err)
                    self._retired.append(index)  # others may still be reading
        with registry_faults(self._layout.root):
            return ask(self._index)

    def _fallen_back(self, err: RegistryError) -> SqliteIndex:
        """A copy of the index in memory, made of the manifests; raises `err` where there is nothing to fall back on."""
        if not self._may_fall_back or self._fallback is not None:
            raise err
        with registry_faults(self._layout.root):
            fallback = fall_back(self._layout, err)
        if fallback is None:
            raise err
        _log.error("the registry is read from its manifests, and takes no writes: %s", err.detail)
        self._fallback = fallback
        return fallback.index

    def _require_writable(self) -> None:
        """Raise RegistryReadOnly in fallback, unless what made the folder unwritable has passed."""
        with self._lock:
            fallback = self._fallback
            if fallback is None:
                return
            if fallback.is_index_damaged or unwritable(self._layout.root) is not None:
                raise RegistryReadOnly(fallback.detail)
            self._index = self._opened()
            self._fallback = None
            self._retired.append(fallback.index)
            _log.warning("the registry takes writes again")

    def _store(self, record: SupportClass, blobs: Mapping[str, bytes]) -> bool:
        """Files, rows, pointer, in this order, inside a write transaction; True for a revision that had stayed."""
        for sha256, data in blobs.items():
            self._layout.blobs.write(sha256, data)
        manifest = Manifest(record, self._index.next_generation())
        is_known = self._index.manifest(record.name, record.revision) is not None
        if not is_known:
            self._layout.manifests.write(manifest)
        contents = self._index.support_digests_of(record.name)
        self._index.put_revision(manifest)
        self._index.point(record.name, record.revision)
        self._index.prune(record.name)
        self._index.drop_unused_assessments(contents)
        return is_known

    def _tidy(self, name: str, blobs: Iterable[str], *, returned: str | None = None) -> None:
        """Bring the files of a name into line with the index after a write, whatever became of it.

        A fault here is only logged: the write itself is decided, and the next opening sweeps again.
        """
        try:
            with self._index.writing():
                if returned is not None:
                    rewrite_manifest(self._layout, self._index, name, returned)
                known = set(self._index.revisions(name))
                for _, revision in self._layout.manifests.listing(name):
                    if revision not in known:
                        self._layout.manifests.remove(name, revision)
                for sha256 in blobs:
                    if not self._index.is_used(sha256):
                        self._layout.blobs.remove(sha256)
        except (OSError, sqlite3.Error) as err:
            _log.warning("leftovers of class %s stay until the next start: %s", name, err)
