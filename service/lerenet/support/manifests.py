"""One manifest file per revision: all that the index knows of it, so that the index can be restored.

`revisions/<name>/<revision>.json` holds the record and a `sequence`, the generation at which the revision became
current. The current revision of a name is the one with the highest sequence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lerenet.errors import MalformedRequest
from lerenet.support.files import make_folder, write_atomically
from lerenet.support.quarantine import Quarantine
from lerenet.support.records import NormalRecord, Parameters, ShotRecord, SupportClass, is_name

FORMAT = 1
_SUFFIX = ".json"


@dataclass(frozen=True)
class Manifest:
    """A revision and when, in the order of all changes, it became current."""

    record: SupportClass
    sequence: int


class ManifestFiles:
    """The folder of manifests. The caller sees to it that there is one writer at a time."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self._root = root
        self._scratch = scratch

    def write(self, manifest: Manifest) -> None:
        """Write or replace a manifest, durably; raises OSError."""
        path = self._path(manifest.record.name, manifest.record.revision)
        make_folder(path.parent)
        content = {"format": FORMAT, "sequence": manifest.sequence, "class": to_document(manifest.record)}
        write_atomically(path, json.dumps(content, indent=1).encode(), self._scratch)

    def read(self, name: str, revision: str) -> Manifest | None:
        """A manifest whose content agrees with its file name; None when it is missing or damaged."""
        try:
            content = json.loads(self._path(name, revision).read_bytes())
            manifest = Manifest(from_document(content["class"]), int(content["sequence"]))
        except (OSError, ValueError, LookupError, TypeError, MalformedRequest):
            return None
        is_whole = content["format"] == FORMAT and (manifest.record.name, manifest.record.revision) == (name, revision)
        return manifest if is_whole else None

    def listing(self, name: str | None = None) -> Iterator[tuple[str, str]]:
        """Name and revision of every manifest file there is, or of those of one name."""
        names = (folder.name for folder in self._root.iterdir()) if name is None else (name,)
        for found in filter(is_name, names):
            yield from ((found, path.stem) for path in (self._root / found).glob(f"*{_SUFFIX}"))

    def put_aside(self, name: str, revision: str, quarantine: Quarantine) -> None:
        """Move a damaged manifest into quarantine; raises OSError."""
        path = self._path(name, revision)
        labelled = path.with_name(f"{name}@{revision}{_SUFFIX}")  # in quarantine nothing else tells whose it was
        path.replace(labelled)
        quarantine.take(labelled)

    def remove(self, name: str, revision: str) -> None:
        """Remove a manifest, and the folder of its name with the last one; raises OSError."""
        path = self._path(name, revision)
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()

    def _path(self, name: str, revision: str) -> Path:
        return self._root / name / f"{revision}{_SUFFIX}"


def to_document(record: SupportClass) -> dict[str, Any]:
    """A record as JSON values, with the digests that `from_document` checks."""
    return {
        "name": record.name,
        "revision": record.revision,
        "created_at": record.created_at.isoformat(),
        "revised_at": record.revised_at.isoformat(),
        "parameters": asdict(record.parameters),
        "shots": [asdict(shot) for shot in record.shots],
        "normals": [asdict(normal) for normal in record.normals],
    }


def from_document(document: dict[str, Any]) -> SupportClass:
    """The record that `to_document` wrote.

    Raises:
        ValueError: The content does not give the revision written beside it.
        LookupError, TypeError, MalformedRequest: It is not such a document.
    """
    record = SupportClass(
        name=document["name"],
        shots=tuple(ShotRecord(**shot) for shot in document["shots"]),
        normals=tuple(NormalRecord(**normal) for normal in document["normals"]),
        parameters=Parameters(**document["parameters"]),
        created_at=datetime.fromisoformat(document["created_at"]),
        revised_at=datetime.fromisoformat(document["revised_at"]),
    )
    if record.revision != document["revision"]:
        raise ValueError(f"the content is that of {record.revision}, not {document['revision']}")
    return record
