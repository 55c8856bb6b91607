"""Index and files, brought into agreement: when a store opens after a crash, and when its index was lost.

The index is the truth as long as it is at least as new as the files. Files that it does not know are then leftovers of
a write that was never acknowledged, or of a delete that was, and they go. When manifests show that the index is missing
or older than they are, nothing is removed: the store refuses to open until it is restored from the manifests.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from lerenet.errors import IndexDamaged, RegistryError
from lerenet.support.faults import RESTORE
from lerenet.support.index import SqliteIndex
from lerenet.support.layout import Layout
from lerenet.support.manifests import Manifest
from lerenet.support.schema import SCHEMA_VERSION

_MISSING = "index.sqlite3 is missing"


def index_trouble(layout: Layout, index: SqliteIndex) -> str | None:
    """Why the index cannot be trusted over the manifests, or None; inside a transaction.

    Raises:
        RegistryError: It comes from a newer version.
    """
    version = index.schema_version()
    if version > SCHEMA_VERSION:
        raise RegistryError(
            f"The registry at {layout.root} was written by a newer version (schema {version}; this one reads "
            f"{SCHEMA_VERSION}). Upgrade, or point LERENET_DATA_DIR elsewhere."
        )
    if version == 0:
        return _MISSING if any(layout.manifests.listing()) else None
    damage = index.damage()
    if damage is not None:
        return f"index.sqlite3 is damaged: {damage}"
    generation = index.generation()
    # a write that died before its commit left a manifest one generation ahead, no further
    if any(manifest.sequence > generation + 1 for manifest in _unknown_manifests(layout, index)):
        return f"index.sqlite3 (generation {generation}) is older than the manifests beside it"
    return None


def require_index(layout: Layout, index: SqliteIndex) -> None:
    """Make the schema in a new folder, and bring an older one up to date; inside a write transaction.

    Raises:
        IndexDamaged: It was lost.
        RegistryError: It comes from a newer version.
    """
    trouble = index_trouble(layout, index)
    if trouble is not None:
        raise IndexDamaged(f"The registry at {layout.root} cannot be opened: {trouble}. {RESTORE}")
    if index.schema_version() == 0:
        index.create_schema()
    elif index.schema_version() < SCHEMA_VERSION:
        index.upgrade_schema()


def sweep(layout: Layout, index: SqliteIndex) -> None:
    """Remove what no revision uses, and write manifests that are missing or stale; inside a write transaction."""
    layout.clear_unfinished()
    known = index.all_revisions()
    for name, revision in set(layout.manifests.listing()) - known:
        layout.manifests.remove(name, revision)
    for name, revision in _stale_manifests(layout, index):
        rewrite_manifest(layout, index, name, revision)
    for sha256 in set(layout.blobs.listing()) - index.used_blobs():
        layout.blobs.remove(sha256)
    index.drop_unused_assessments(index.assessed_digests())


def rewrite_manifest(layout: Layout, index: SqliteIndex, name: str, revision: str) -> None:
    """Write a revision's manifest as the index has it."""
    manifest = index.manifest(name, revision)
    if manifest is not None:
        layout.manifests.write(manifest)


@dataclass(frozen=True)
class Remains:
    """What the manifests hold of a registry.

    Attributes:
        whole: Manifests in the order of changes.
        damaged: Name and revision of those that cannot be read; nobody knows whether they were the newest.
    """

    whole: tuple[Manifest, ...]
    damaged: tuple[tuple[str, str], ...]

    @property
    def doubtful(self) -> frozenset[str]:
        """Names whose current revision is not known for certain."""
        return frozenset(name for name, _ in self.damaged)


def read_remains(layout: Layout) -> Remains:
    """Reads every manifest; raises OSError."""
    found = {key: layout.manifests.read(*key) for key in sorted(layout.manifests.listing())}
    whole = sorted((m for m in found.values() if m is not None), key=lambda m: (m.sequence, m.record.revised_at))
    return Remains(tuple(whole), tuple(key for key, manifest in found.items() if manifest is None))


def restore_index(layout: Layout) -> Remains:
    """Make the index anew from the manifests. No other process may have it open.

    Of each name the manifest with the highest sequence becomes current. The old index and damaged manifests go into
    quarantine, and so do blobs that nobody seems to use when a manifest that may have used them is damaged.
    """
    remains = read_remains(layout)
    layout.discard_index()
    for name, revision in remains.damaged:
        layout.manifests.put_aside(name, revision, layout.quarantine)
    index = SqliteIndex(layout.index)
    try:
        with index.writing():
            index.create_schema()
            fill(index, remains.whole)
            unused = set(layout.blobs.listing()) - index.used_blobs() if remains.damaged else ()
        for sha256 in unused:
            layout.blobs.put_aside(sha256)
    finally:
        index.close()
    return remains


def has_trouble(layout: Layout) -> str | None:
    """Why the index on disk cannot be used, or None. Unlike opening the store, this changes nothing."""
    if not layout.index.exists():
        return _MISSING
    index = SqliteIndex(layout.index)
    try:
        with index.reading():
            trouble = index_trouble(layout, index) or (_MISSING if index.schema_version() == 0 else None)
            if trouble is None:
                index.read_every_record()
            return trouble
    except sqlite3.DatabaseError as err:
        return f"index.sqlite3 cannot be read: {err}"
    finally:
        index.close()


def fill(index: SqliteIndex, manifests: Sequence[Manifest]) -> None:
    """Put revisions, in the order of changes, into an empty index; inside a write transaction."""
    newest: dict[str, str] = {}
    for manifest in manifests:
        index.put_revision(manifest)
        newest[manifest.record.name] = manifest.record.revision
    for name, revision in newest.items():
        index.point(name, revision)
    if manifests:
        index.set_generation(manifests[-1].sequence)


def _unknown_manifests(layout: Layout, index: SqliteIndex) -> list[Manifest]:
    unknown = set(layout.manifests.listing()) - index.all_revisions()
    manifests = (layout.manifests.read(name, revision) for name, revision in unknown)
    return [manifest for manifest in manifests if manifest is not None]


def _stale_manifests(layout: Layout, index: SqliteIndex) -> set[tuple[str, str]]:
    """Revisions whose manifest is missing, damaged, or at another place in the order of changes."""
    return {
        (name, revision)
        for name, revision in index.all_revisions()
        if layout.manifests.read(name, revision) != index.manifest(name, revision)
    }
