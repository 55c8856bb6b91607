"""The prototype cache: support encodings in memory by least recent use, and on disk behind them.

A cache and nothing more. Entries are keyed by weights digest and `support_digest`, the content of shots and normals, so
a changed threshold or description finds its prototypes again, and new weights start with an empty folder. A file that
is missing, damaged or cannot be written costs a new encoding, never an answer.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from lerenet.support.files import TEMPORARY, write_atomically

Encoding = TypeVar("Encoding")

KEPT_WEIGHTS = 2
"""Folders of prototypes that stay: those of the weights in use and of the weights before, for the way back."""

_SUFFIX = ".prototypes"
_DIGEST_BYTES = 32
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """What happened since the start, and what is held now."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    n_held: int = 0
    held_bytes: int = 0


class PrototypeCache(Generic[Encoding]):
    """Support encodings made with one weights file. Safe to call from several threads.

    Args:
        directory: Folder for all prototypes; made when missing.
        weights_digest: Names the weights, and whatever else changes an encoding. Letters, digits, `.`, `_`, `-`.
        dump: Encoding to bytes.
        load: The reverse; raises ValueError on bytes it cannot read.
        budget_bytes: Held in memory at most, counted as dumped bytes. The last entry used stays even when larger.
    """

    def __init__(
        self,
        directory: Path,
        weights_digest: str,
        *,
        dump: Callable[[Encoding], bytes],
        load: Callable[[bytes], Encoding],
        budget_bytes: int,
    ) -> None:
        self._folder = directory / weights_digest
        self._dump = dump
        self._load = load
        self._budget_bytes = budget_bytes
        self._held: OrderedDict[str, tuple[Encoding, int]] = OrderedDict()
        self._held_bytes = 0
        self._hits = self._misses = self._evictions = 0
        self._lock = threading.Lock()
        _prepare_folder(self._folder)

    def held(self, support_digest: str) -> Encoding | None:
        """The encoding if it is in memory. Touches no disk, so the event loop may ask."""
        with self._lock:
            entry = self._held.get(support_digest)
            if entry is None:
                return None
            self._held.move_to_end(support_digest)
            self._hits += 1
            return entry[0]

    def get(self, support_digest: str) -> Encoding | None:
        """The encoding from memory or disk. A damaged file is removed and counts as a miss."""
        encoding = self.held(support_digest)
        if encoding is not None:
            return encoding
        payload = self._read(support_digest)
        encoding = None if payload is None else self._decode(support_digest, payload)
        if encoding is None or payload is None:
            with self._lock:
                self._misses += 1
            return None
        self._hold(support_digest, encoding, len(payload))
        with self._lock:
            self._hits += 1
        return encoding

    def put(self, support_digest: str, encoding: Encoding) -> None:
        """Keep an encoding in memory and, where the disk allows, in a file."""
        payload = self._dump(encoding)
        self._hold(support_digest, encoding, len(payload))
        try:
            write_atomically(self._path(support_digest), hashlib.sha256(payload).digest() + payload, self._folder)
        except OSError as err:
            _log.warning("prototypes of %s stay in memory only: %s", support_digest[:16], err)

    def retain(self, support_digests: Collection[str]) -> None:
        """Forget every entry whose content is not named, in memory and on disk."""
        for path in self._folder.glob(f"*{_SUFFIX}"):
            if path.stem not in support_digests:
                _remove(path)
        with self._lock:
            for support_digest in [held for held in self._held if held not in support_digests]:
                self._held_bytes -= self._held.pop(support_digest)[1]

    @property
    def counts(self) -> CacheCounts:
        """Hits, misses and evictions since the start, and what memory holds."""
        with self._lock:
            return CacheCounts(self._hits, self._misses, self._evictions, len(self._held), self._held_bytes)

    def _path(self, support_digest: str) -> Path:
        return self._folder / f"{support_digest}{_SUFFIX}"

    def _read(self, support_digest: str) -> bytes | None:
        path = self._path(support_digest)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        digest, payload = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(payload).digest() == digest:
            return payload
        _remove(path)
        return None

    def _decode(self, support_digest: str, payload: bytes) -> Encoding | None:
        try:
            return self._load(payload)
        except ValueError as err:
            _log.warning("prototypes of %s are made again: %s", support_digest[:16], err)
            _remove(self._path(support_digest))
            return None

    def _hold(self, support_digest: str, encoding: Encoding, n_bytes: int) -> None:
        with self._lock:
            _, replaced_bytes = self._held.pop(support_digest, (None, 0))
            self._held[support_digest] = (encoding, n_bytes)
            self._held_bytes += n_bytes - replaced_bytes
            while self._held_bytes > self._budget_bytes and len(self._held) > 1:
                _, (_, evicted_bytes) = self._held.popitem(last=False)
                self._held_bytes -= evicted_bytes
                self._evictions += 1


def _prepare_folder(folder: Path) -> None:
    """Make the folder, clear what a crash left in it, and drop the folders of weights long gone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.touch()
        for leftover in folder.glob(f"*{TEMPORARY}"):
            _remove(leftover)
        others = [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError as err:
        _log.warning("prototypes stay in memory only, %s cannot be used: %s", folder, err)
        return
    for stale in others[KEPT_WEIGHTS - 1 :]:
        shutil.rmtree(stale, ignore_errors=True)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as err:
        _log.warning("%s could not be removed: %s", path, err)
