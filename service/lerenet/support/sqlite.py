"""The embedded store: SQLite as the index, content-addressed files for images and masks, a manifest per revision.

A write happens inside one SQLite write transaction, which is also the lock between processes: blobs, then the manifest,
each synced with its folder, then the rows, then the commit. Killed anywhere before the commit it leaves files that the
index does not know, which the next opening sweeps. Removal goes the other way: the commit first, then the files.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from lerenet.support.faults import registry_faults
from lerenet.support.files import sync_folder
from lerenet.support.index import SqliteIndex
from lerenet.support.layout import Layout
from lerenet.support.limits import Limits
from lerenet.support.manifests import Manifest
from lerenet.support.records import SupportClass
from lerenet.support.store import AssessmentRecord, Page
from lerenet.support.upkeep import require_index, rewrite_manifest, sweep
from lerenet.support.verify import VerifyReport, inspect

_log = logging.getLogger(__name__)


class SqliteStore:
    """A `SupportStore` in one folder of one host. Several processes may share it; a network file system may not.

    Args:
        root: The data folder; made when missing. What a crash left in it is swept.

    Raises:
        RegistryError: The folder cannot be used, or its index was lost and must be restored.
    """

    def __init__(self, root: Path) -> None:
        self._layout = Layout(root)
        self._index = SqliteIndex(self._layout.index)
        try:
            with registry_faults(root):
                self._layout.make()
                with self._index.writing():
                    require_index(self._layout, self._index)
                    sweep(self._layout, self._index)
                sync_folder(root)
        except BaseException:
            self._index.close()
            raise

    @property
    def root(self) -> Path:
        """The data folder."""
        return self._layout.root

    def current(self, name: str) -> SupportClass | None:
        """See `SupportStore.current`."""
        with registry_faults(self._layout.root):
            return self._index.current(name)

    def revision(self, name: str, revision: str) -> SupportClass | None:
        """See `SupportStore.revision`."""
        with registry_faults(self._layout.root):
            manifest = self._index.manifest(name, revision)
            return None if manifest is None else manifest.record

    def revisions(self, name: str) -> list[str]:
        """See `SupportStore.revisions`."""
        with registry_faults(self._layout.root):
            return self._index.revisions(name)

    def page(self, after: str | None, limit: int) -> Page:
        """See `SupportStore.page`."""
        with registry_faults(self._layout.root):
            # one more than asked for tells whether there is a next page
            found = self._index.page(after or "", limit + 1)
        classes = tuple(found[:limit])
        return Page(classes, classes[-1].name if classes and len(found) > limit else None)

    def count(self) -> int:
        """See `SupportStore.count`."""
        with registry_faults(self._layout.root):
            return self._index.count()

    def generation(self) -> int:
        """See `SupportStore.generation`."""
        with registry_faults(self._layout.root):
            return self._index.generation()

    def pointers(self) -> tuple[int, dict[str, str]]:
        """See `SupportStore.pointers`."""
        with registry_faults(self._layout.root), self._index.reading():
            return self._index.generation(), self._index.pointers()

    def commit(self, record: SupportClass, blobs: Mapping[str, bytes], *, expected: str | None, limits: Limits) -> bool:
        """See `SupportStore.commit`."""
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
        with registry_faults(self._layout.root):
            return self._index.assessments(support_digests, weights_digest)

    def save_assessment(self, support_digest: str, weights_digest: str, assessment: AssessmentRecord) -> None:
        """See `SupportStore.save_assessment`."""
        with registry_faults(self._layout.root), self._index.writing():
            self._index.put_assessment(support_digest, weights_digest, assessment)

    def support_digests(self) -> set[str]:
        """See `SupportStore.support_digests`."""
        with registry_faults(self._layout.root):
            return self._index.support_digests()

    def verify(self) -> VerifyReport:
        """Compare index and files, and hash every blob; slow for a large registry."""
        with registry_faults(self._layout.root):
            return inspect(self._layout, self._index)

    def close(self) -> None:
        """See `SupportStore.close`."""
        self._index.close()

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
