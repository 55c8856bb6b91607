"""Content-addressed files: `blobs/ab/<sha256>` holds the bytes with that digest, and never others."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from lerenet.errors import RegistryError
from lerenet.support.files import make_folder, write_atomically
from lerenet.support.quarantine import Quarantine

_log = logging.getLogger(__name__)

_BLOB_NAME = re.compile("[0-9a-f]{64}")


class BlobFiles:
    """The folder of blobs. Reading is free; the caller sees to it that there is one writer at a time."""

    def __init__(self, root: Path, scratch: Path, quarantine: Quarantine) -> None:
        self._root = root
        self._scratch = scratch
        self._quarantine = quarantine

    def write(self, sha256: str, data: bytes) -> None:
        """Store bytes durably; a whole file is left alone, a damaged one is mended. Raises OSError."""
        if not self.is_whole(sha256):
            path = self._path(sha256)
            make_folder(path.parent)
            write_atomically(path, data, self._scratch)

    def read(self, sha256: str) -> bytes:
        """The bytes of that digest. A file that holds others goes into quarantine.

        Raises:
            RegistryError: The file is missing or damaged.
        """
        for _ in range(2):  # the second time in case it was the reading that went wrong
            try:
                data = self._path(sha256).read_bytes()
            except OSError as err:
                raise _lost(sha256, f"cannot be read: {err.strerror}") from err
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
        self.put_aside(sha256)
        raise _lost(sha256, "is damaged")

    def put_aside(self, sha256: str) -> None:
        """Move a blob into quarantine, where the disk allows it."""
        try:
            moved = self._quarantine.take(self._path(sha256))
        except OSError as err:
            _log.warning("damaged file %s stays where it is: %s", sha256, err)
        else:
            _log.error("damaged file %s was moved to %s", sha256, moved)

    def is_whole(self, sha256: str) -> bool:
        """Whether the file is there with the content its name promises."""
        try:
            with self._path(sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def exists(self, sha256: str) -> bool:
        """Whether there is a file of that name, whole or not."""
        return self._path(sha256).is_file()

    def remove(self, sha256: str) -> None:
        """Remove a blob, if it is there; raises OSError."""
        self._path(sha256).unlink(missing_ok=True)

    def listing(self) -> Iterator[str]:
        """Names of all files there are."""
        yield from (path.name for path in self._root.glob("??/*") if _BLOB_NAME.fullmatch(path.name))

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256


def _lost(sha256: str, what: str) -> RegistryError:
    return RegistryError(
        f"Stored file {sha256[:16]} {what}. Register the same images again, restore the data folder from a "
        "backup, or delete the class; `lerenet registry verify` lists what is damaged."
    )
