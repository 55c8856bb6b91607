"""What a job has done, one JSON line for each file, on the disk before the next one starts.

    {"lerenet": "0.1.0", "asked": {...}}                            the question, first
    {"file": "a.png", "sha256": "...", "found": {...}}              segmented
    {"file": "b.png", "sha256": "...", "error": "...", "is_final"}  passed over; final: it would be again

A later line about a file takes the place of an earlier one. Memory holds a place for each file, never what was found.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Self

from lerenet import __version__
from lerenet.errors import ConfigurationError
from lerenet.jobs.asked import Asked

if sys.platform != "win32":
    import fcntl

Entry = dict[str, Any]


class _Place(NamedTuple):
    offset: int
    sha256: str
    is_settled: bool

    @classmethod
    def of(cls, offset: int, entry: Entry) -> Self:
        return cls(offset, entry["sha256"], "found" in entry or bool(entry["is_final"]))


class JobRecord:
    """The record in a results folder; safe to use from several threads.

    Args:
        path: Of the record; made when missing.
        asked: The question.
        restart: Forget what is in it.

    Raises:
        ConfigurationError: The record answers another question, is damaged, or belongs to a job that still runs.
        OSError: The file cannot be read or written.
    """

    def __init__(self, path: Path, asked: Asked, *, restart: bool = False) -> None:
        self.path = path
        self._lock = Lock()
        self._places: dict[str, _Place] = {}
        self._weights: str | None = None
        self._file = path.open("ab", buffering=0)
        self._reader = path.open("rb")
        try:
            _claim(self._file, path)
            if restart:
                self._file.truncate(0)
            self._read(asked)
        except BaseException:
            self.close()
            raise

    def __contains__(self, file: str) -> bool:
        return file in self._places

    def close(self) -> None:
        """Closes the file and lets another job in."""
        self._reader.close()
        self._file.close()

    @property
    def files(self) -> list[str]:
        """Names of the files there are entries about, sorted."""
        return sorted(self._places)

    def is_settled(self, file: str, sha256: str) -> bool:
        """Whether a file of this content needs no other attempt."""
        place = self._places.get(file)
        return place is not None and place.is_settled and place.sha256 == sha256

    def append(self, entry: Entry) -> None:
        """Adds an entry; it is on the disk when this returns.

        Raises:
            ConfigurationError: Other weights found what is in it than what is in the others.
            OSError: The disk is full or failing.
        """
        line = _line(entry)
        with self._lock:
            self._note_weights(entry)
            offset = self._write(line)
            self._places[entry["file"]] = _Place.of(offset, entry)

    def entry(self, file: str) -> Entry:
        """The entry about a file; `KeyError` when there is none."""
        offset = self._places[file].offset
        with self._lock:
            self._reader.seek(offset)
            line = self._reader.readline()
        entry: Entry = json.loads(line)
        return entry

    def entries(self) -> Iterator[Entry]:
        """All entries by name of file, read one at a time."""
        return map(self.entry, self.files)

    def _write(self, line: bytes) -> int:
        """Adds a line whole or not at all, and says where it begins."""
        offset = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(offset)
            raise
        return offset

    def _note_weights(self, entry: Entry) -> None:
        weights = entry["found"]["weights"] if "found" in entry else None
        self._weights = self._weights or weights
        if weights is not None and weights != self._weights:
            raise ConfigurationError(
                f"{entry['file']} was segmented with the weights {weights:.12}, files before it with"
                f" {self._weights:.12}: choose another results folder, or restart this one"
            )

    def _read(self, asked: Asked) -> None:
        offset = 0
        for number, line in enumerate(self._reader):
            if not line.endswith(b"\n"):
                self._file.truncate(offset)  # cut off when the job was killed: its file is done again
                break
            self._take(number, offset, line, asked)
            offset += len(line)
        if offset == 0:
            self._write(_line({"lerenet": __version__, "asked": asked.document()}))

    def _take(self, number: int, offset: int, line: bytes, asked: Asked) -> None:
        try:
            entry = json.loads(line)
            if number:
                self._places[entry["file"]] = _Place.of(offset, entry)
                self._note_weights(entry)
                return
            differences = list(asked.differences(entry["asked"]))
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            detail = (
                f"{self.path}, line {number + 1}, cannot be read: choose another results folder, or restart this one"
            )
            raise ConfigurationError(detail) from err
        if differences:
            raise ConfigurationError(
                f"{self.path.parent} answers another question ({'; '.join(differences)}): ask as before, choose another"
                " results folder, or restart this one"
            )


def _line(entry: Entry) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def _claim(file: FileIO, path: Path) -> None:
    """Keeps a second job out for as long as the file is open; where there are no such locks, nobody is kept out."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        raise ConfigurationError(f"another job works in {path.parent}: wait for it, or choose another folder") from err
    except OSError as err:
        if err.errno not in (errno.ENOLCK, errno.ENOTSUP):  # some network file systems
            raise
