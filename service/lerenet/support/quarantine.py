"""Where damaged files go instead of being used or removed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from lerenet.support.files import make_folder, sync_folder


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A folder that is only ever added to; it is made with the first file."""

    folder: Path

    def take(self, path: Path) -> Path | None:
        """Move a file here, beside any of the same name; None when there is no such file. Raises OSError."""
        if not path.exists():
            return None
        make_folder(self.folder)
        names = (path.name if n == 0 else f"{path.name}.{n}" for n in count())
        target = next(place for name in names if not (place := self.folder / name).exists())
        path.replace(target)
        sync_folder(self.folder)
        return target
