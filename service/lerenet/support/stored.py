"""The registry of a data folder as it lies there, for tools: nothing is opened for writing, swept or encoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lerenet.errors import RegistryError
from lerenet.support.faults import RESTORE, registry_faults
from lerenet.support.index import SqliteIndex
from lerenet.support.layout import Layout
from lerenet.support.material import Material, decode_stored_image, read_material
from lerenet.support.records import SupportClass
from lerenet.support.upkeep import has_trouble
from lerenet.support.uploads import NO_UPLOADS

_PAGE = 100


@dataclass(frozen=True, eq=False)
class StoredClass:
    """The current revision of a class, with its pixels.

    Attributes:
        record: The revision.
        material: Its shots and normals, decoded.
    """

    record: SupportClass
    material: Material


def read_stored_classes(root: Path) -> Iterator[StoredClass]:
    """The current classes of a data folder, in order of name; a service may go on using it.

    Args:
        root: The data folder.

    Raises:
        RegistryError: There is no registry, its index is lost, or a stored file is missing or damaged.
    """
    layout = Layout(root)
    for record in read_stored_records(root):
        yield StoredClass(record, read_material(record, NO_UPLOADS, layout.blobs.read, decode_stored_image))


def read_stored_records(root: Path) -> list[SupportClass]:
    """The current revisions of a data folder, in order of name; raises RegistryError as `read_stored_classes`."""
    layout = Layout(root)
    if not (root / "blobs").is_dir():
        raise RegistryError(f"There is no registry at {root}. Name the service's data folder.")
    with registry_faults(root):
        trouble = has_trouble(layout)
        if trouble is not None:
            raise RegistryError(f"The registry at {root} cannot be read: {trouble}. {RESTORE}")
        return _read_records(layout)


def _read_records(layout: Layout) -> list[SupportClass]:
    index = SqliteIndex(layout.index)
    records: list[SupportClass] = []
    try:
        with index.reading():
            while page := index.page(records[-1].name if records else "", _PAGE):
                records += page
    finally:
        index.close()
    return records
