"""Classes that can be used although the index cannot, or cannot be written: a copy in memory, made of the manifests."""

from __future__ import annotations

from dataclasses import dataclass

from lerenet.errors import ClassDamaged, IndexDamaged, RegistryError
from lerenet.support.faults import RESTORE
from lerenet.support.index import SqliteIndex
from lerenet.support.layout import Layout
from lerenet.support.upkeep import fill, read_remains


@dataclass(frozen=True)
class Fallback:
    """What stands in for the index on disk.

    Attributes:
        index: In memory, and not to be written.
        detail: Why, and what to do, for whoever wants to write.
        is_index_damaged: Only a restored index ends it; otherwise a folder that can be written to again does.
        doubtful: Names left out, because a damaged manifest may have been their newest.
    """

    index: SqliteIndex
    detail: str
    is_index_damaged: bool
    doubtful: frozenset[str]

    def check(self, name: str) -> None:
        """Refuse a class of which nobody knows what is current.

        Raises:
            ClassDamaged: It is one of the doubtful.
        """
        if name in self.doubtful:
            raise ClassDamaged(f"A manifest of class {name!r} is damaged, maybe that of its newest revision. {RESTORE}")


def fall_back(layout: Layout, err: RegistryError) -> Fallback | None:
    """What the manifests give, or None when there are none; raises OSError."""
    if not (layout.root / "revisions").is_dir():
        return None
    remains = read_remains(layout)
    if not remains.whole:
        return None
    index = SqliteIndex.in_memory()
    with index.writing():
        index.create_schema()
        fill(index, [manifest for manifest in remains.whole if manifest.record.name not in remains.doubtful])
    is_index_damaged = isinstance(err, IndexDamaged)
    detail = f"The index of the registry is damaged. {RESTORE}" if is_index_damaged else err.detail
    return Fallback(index, f"{detail} Registered classes go on being used.", is_index_damaged, remains.doubtful)
