"""Where everything lies in the data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lerenet.support.blobs import BlobFiles
from lerenet.support.files import make_folder
from lerenet.support.manifests import ManifestFiles
from lerenet.support.quarantine import Quarantine


@dataclass(frozen=True, slots=True)
class Layout:
    """The embedded store's folder.

    ```
    index.sqlite3      which revisions there are and which are current; restored from the manifests
    blobs/ab/<sha256>  images as uploaded, masks as 1-bit PNG
    revisions/<name>/<revision>.json   a manifest per revision
    unfinished/        files being written
    quarantine/        what was found damaged, kept for whoever looks into it
    owners/<name>      prefix of the API key that a class was made with
    audit/             who changed what
    ```
    """

    root: Path

    @property
    def index(self) -> Path:
        """The database."""
        return self.root / "index.sqlite3"

    @property
    def unfinished(self) -> Path:
        """Files being written; waste after a crash."""
        return self.root / "unfinished"

    @property
    def quarantine(self) -> Quarantine:
        """What was found damaged."""
        return Quarantine(self.root / "quarantine")

    @property
    def owners(self) -> Path:
        """Who made which class."""
        return self.root / "owners"

    @property
    def audit(self) -> Path:
        """Who changed what."""
        return self.root / "audit"

    @property
    def blobs(self) -> BlobFiles:
        """The blobs."""
        return BlobFiles(self.root / "blobs", self.unfinished, self.quarantine)

    @property
    def manifests(self) -> ManifestFiles:
        """The manifests."""
        return ManifestFiles(self.root / "revisions", self.unfinished)

    def make(self) -> None:
        """Make the folders that are missing; raises OSError."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in ("blobs", "revisions", "unfinished"):
            make_folder(self.root / folder)

    def clear_unfinished(self) -> None:
        """Remove what a crash left half-written; raises OSError. Nobody may be writing."""
        for path in self.unfinished.iterdir():
            path.unlink(missing_ok=True)

    def discard_index(self) -> None:
        """Put the database with its log aside; raises OSError. Nobody may have it open."""
        for suffix in ("", "-wal", "-shm"):
            self.quarantine.take(Path(f"{self.index}{suffix}"))
