"""The `index.csv` of groups: which images show the same physical view."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lerenet.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INDEX_FILE = "index.csv"


@dataclass(frozen=True, slots=True)
class Groups:
    """Group of each image of an index.

    Attributes:
        path: The file.
        by_image: (class, id) to group; the class is "" when the file has no column `cls`.
    """

    path: Path
    by_image: Mapping[tuple[str, str], str]

    def of(self, class_name: str, image_id: str) -> str:
        """The group of an image.

        Raises:
            DatasetError: The index has no row for it: its view is unknown, so no episode can be sure not to leak it.
        """
        group = self.find(class_name, image_id)
        if group is None:
            raise DatasetError(
                f"{self.path} has no group for image {image_id!r} of class {class_name!r}; "
                f"add a row for it, or remove the file if every image shows a view of its own"
            )
        return group

    def find(self, class_name: str, image_id: str) -> str | None:
        """The group of an image; None when the index has no row for it, or an empty one."""
        return self.by_image.get((class_name, image_id)) or self.by_image.get(("", image_id)) or None


def read_groups(folder: Path) -> Groups | None:
    """Reads the index of a class folder, else of its pack (the folder above).

    Returns:
        None when neither has an `index.csv`.

    Raises:
        DatasetError: The file cannot be read as CSV or lacks the columns `id` and `group`.
    """
    for path in (folder / INDEX_FILE, folder.parent / INDEX_FILE):
        if path.is_file():
            return _parse(path)
    return None


def _parse(path: Path) -> Groups:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"id", "group"} <= set(rows.fieldnames or ()):
                raise DatasetError(f"{path} lacks the columns id and group; its first line holds {rows.fieldnames}")
            return Groups(path, {((row.get("cls") or ""), row["id"]): row["group"] for row in rows})
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} is no UTF-8 CSV file ({error}); write it with columns id, group, cls") from error
