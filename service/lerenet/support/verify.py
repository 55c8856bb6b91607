"""Does the registry on disk hold together? And its restoration when the index was lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lerenet.errors import RegistryError
from lerenet.support.faults import RESTORE, registry_faults
from lerenet.support.index import SqliteIndex
from lerenet.support.layout import Layout
from lerenet.support.upkeep import has_trouble, restore_index


@dataclass(frozen=True)
class VerifyReport:
    """What was found in a data folder.

    Attributes:
        n_classes: Names in the index.
        n_revisions: Revisions in the index.
        n_blobs: Blobs that they use.
        problems: A sentence each: something is lost or damaged.
        leftovers: A sentence each: waste that the next start removes.
        is_restored: The index was made anew from the manifests.
    """

    n_classes: int = 0
    n_revisions: int = 0
    n_blobs: int = 0
    problems: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    is_restored: bool = False

    @property
    def is_clean(self) -> bool:
        """Nothing is lost, nothing is left over."""
        return not self.problems and not self.leftovers


def verify_store(root: Path, *, rebuild: bool = False) -> VerifyReport:
    """Check a data folder without opening it as a store, so without sweeping it.

    Args:
        root: The data folder.
        rebuild: Restore the index from the manifests where it is missing, damaged or older than they are. A sound
            index is left as it is. Stop the service first.

    Raises:
        RegistryError: There is no registry at `root`, or its files cannot be read.
    """
    layout = Layout(root)
    if not (root / "blobs").is_dir():
        raise RegistryError(f"There is no registry at {root}. Point LERENET_DATA_DIR at the service's data folder.")
    problems: tuple[str, ...] = ()
    with registry_faults(root):
        trouble = has_trouble(layout)
        if trouble is not None:
            if not rebuild:
                return VerifyReport(problems=(f"{trouble[0].upper()}{trouble[1:]}. {RESTORE}",))
            problems = tuple(map(_doubt, restore_index(layout).damaged))
        index = SqliteIndex(layout.index)
        try:
            report = inspect(layout, index, is_restored=trouble is not None)
            return replace(report, problems=(*problems, *report.problems))
        finally:
            index.close()


def inspect(layout: Layout, index: SqliteIndex, *, is_restored: bool = False) -> VerifyReport:
    """Compare index and files, then hash every blob."""
    # writers are kept out while both sides are listed, and let in again for the hashing, which takes long
    with index.writing():
        known = index.all_revisions()
        used = index.used_blobs()
        problems = list(_manifest_problems(layout, index, known))
        leftovers = list(_leftovers(layout, known, used))
        n_classes = index.count()
    problems += _blob_problems(layout, index, used)
    return VerifyReport(n_classes, len(known), len(used), tuple(problems), tuple(leftovers), is_restored)


def _doubt(damaged: tuple[str, str]) -> str:
    name, revision = damaged
    return (
        f"The manifest of {name}@{revision} was damaged and is in quarantine. If it was the newest of {name}, an "
        "earlier revision is current now, or none: look at the class, or register it anew."
    )


def _manifest_problems(layout: Layout, index: SqliteIndex, known: set[tuple[str, str]]) -> Iterator[str]:
    for name, revision in sorted(known):
        manifest = layout.manifests.read(name, revision)
        if manifest is None:
            yield f"The manifest of {name}@{revision} is missing or damaged."
        elif manifest != index.manifest(name, revision):
            yield f"The manifest of {name}@{revision} does not agree with the index."


def _leftovers(layout: Layout, known: set[tuple[str, str]], used: set[str]) -> Iterator[str]:
    for name, revision in sorted(set(layout.manifests.listing()) - known):
        yield f"The manifest of {name}@{revision} belongs to no revision."
    for sha256 in sorted(set(layout.blobs.listing()) - used):
        yield f"Blob {sha256} is used by nobody."
    for path in sorted(layout.unfinished.iterdir()):
        yield f"{path.name} was never finished."


def _blob_problems(layout: Layout, index: SqliteIndex, used: set[str]) -> Iterator[str]:
    for sha256 in sorted(used):
        # asked again afterwards: it may have been deleted, with its last class, while others were hashed
        if not layout.blobs.is_whole(sha256) and index.is_used(sha256):
            state = "damaged" if layout.blobs.exists(sha256) else "missing"
            users = ", ".join(f"{name}@{revision}" for name, revision in index.users(sha256))
            yield f"Blob {sha256} is {state}; {users} cannot be encoded again. Restore a backup or register anew."
