"""The prototype cache: encodings on the device, behind them as bytes in host memory, on disk, and with other replicas.

A cache and nothing more. Entries are keyed by what makes an encoding (weights, precision, code) and `support_digest`,
the content of shots and normals, so a changed threshold or description finds its prototypes again, and new weights
start with an empty folder. A file that is missing, damaged or cannot be written costs a new encoding, never an answer.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from lerenet.support.files import TEMPORARY, write_atomically
from lerenet.support.sharing import SharedPrototypes
from lerenet.support.tiers import Tier

Encoding = TypeVar("Encoding")

KEPT_WEIGHTS = 2
"""Folders of prototypes that stay: those of the weights in use and of the weights before, for the way back."""

_Found = Literal["device", "host", "disk", "shared", "nowhere"]
_SUFFIX = ".prototypes"
_DIGEST_BYTES = 32
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """What happened since the start, and what is held now.

    Attributes:
        device_hits: Found on the device.
        host_hits: Found in host memory.
        disk_hits: Found on disk.
        shared_hits: Found with other replicas.
        misses: Found nowhere.
        evictions: Dropped from the device.
        n_held: Encodings on the device.
        held_bytes: Their bytes.
        host_bytes: Bytes in host memory.
    """

    device_hits: int = 0
    host_hits: int = 0
    disk_hits: int = 0
    shared_hits: int = 0
    misses: int = 0
    evictions: int = 0
    n_held: int = 0
    held_bytes: int = 0
    host_bytes: int = 0

    @property
    def hits(self) -> int:
        """Found anywhere."""
        return self.device_hits + self.host_hits + self.disk_hits + self.shared_hits


class PrototypeCache(Generic[Encoding]):
    """Support encodings made with one weights file. Safe to call from several threads.

    Args:
        directory: Folder for all prototypes; made when missing.
        weights_digest: Names the weights, and whatever else changes an encoding. Letters, digits, `.`, `_`, `-`.
        dump: Encoding to bytes.
        load: The reverse, onto the device; raises ValueError on bytes it cannot read.
        budget_bytes: On the device at most, counted as dumped bytes. The last entry used stays even when larger.
        host_budget_bytes: In host memory at most, as dumped; what the device holds is there too while there is room.
        shared: Behind all of these, what other replicas have made with the same weights.
    """

    def __init__(
        self,
        directory: Path,
        weights_digest: str,
        *,
        dump: Callable[[Encoding], bytes],
        load: Callable[[bytes], Encoding],
        budget_bytes: int,
        host_budget_bytes: int = 0,
        shared: SharedPrototypes | None = None,
    ) -> None:
        self.shared = shared
        self._folder = directory / weights_digest
        self._dump = dump
        self._load = load
        self._device = Tier[Encoding](budget_bytes, n_least=1)
        self._host = Tier[bytes](host_budget_bytes)
        self._found: Counter[_Found] = Counter()
        self._lock = threading.Lock()
        _prepare_folder(self._folder)

    def held(self, support_digest: str) -> Encoding | None:
        """The encoding if it is on the device. Touches no disk, so the event loop may ask."""
        with self._lock:
            encoding = self._device.find(support_digest)
            if encoding is not None:
                self._host.find(support_digest)  # used there too: what the device evicts next is behind it still
                self._found["device"] += 1
            return encoding

    def get(self, support_digest: str) -> Encoding | None:
        """The encoding from wherever it is, then on the device. A damaged file is removed and counts as none."""
        encoding = self.held(support_digest)
        if encoding is not None:
            return encoding
        tiers: dict[_Found, Callable[[str], bytes | None]] = {
            "host": self._in_host_memory,
            "disk": self._read,
            "shared": self._shared_by_others,
        }
        for found, find in tiers.items():
            payload = find(support_digest)
            encoding = None if payload is None else self._decode(support_digest, payload)
            if payload is not None and encoding is not None:
                self._hold(support_digest, encoding, payload)
                if found == "shared":
                    self._write(support_digest, payload)
                self._count(found)
                return encoding
        self._count("nowhere")
        return None

    def made(self, support_digests: Collection[str]) -> set[str]:
        """Those that `get` would find on disk or with other replicas, as far as can be told without reading them."""
        on_disk = {digest for digest in support_digests if self._path(digest).is_file()}
        elsewhere = set(support_digests) - on_disk
        return on_disk | self.shared.among(elsewhere) if self.shared is not None and elsewhere else on_disk

    @property
    def has_room(self) -> bool:
        """Whether memory, on the device or of the host, has not had to drop anything yet."""
        with self._lock:
            return 0 in (self._device.n_evicted, self._host.n_evicted)

    def put(self, support_digest: str, encoding: Encoding) -> None:
        """Keep an encoding in memory, in a file where the disk allows, and for other replicas."""
        payload = self._dump(encoding)
        self._hold(support_digest, encoding, payload)
        self._write(support_digest, payload)
        if self.shared is not None:
            self.shared.keep(support_digest, payload)

    def retain(self, support_digests: Collection[str]) -> None:
        """Forget every entry whose content is not named, in memory, on disk and for other replicas."""
        if self.shared is not None:
            self.shared.retain(support_digests)
        for path in self._folder.glob(f"*{_SUFFIX}"):
            if path.stem not in support_digests:
                _remove(path)
        with self._lock:
            self._device.retain(support_digests)
            self._host.retain(support_digests)

    @property
    def counts(self) -> CacheCounts:
        """Hits, misses and evictions since the start, and what memory holds."""
        with self._lock:
            found, device = self._found, self._device
            return CacheCounts(
                device_hits=found["device"],
                host_hits=found["host"],
                disk_hits=found["disk"],
                shared_hits=found["shared"],
                misses=found["nowhere"],
                evictions=device.n_evicted,
                n_held=len(device),
                held_bytes=device.held_bytes,
                host_bytes=self._host.held_bytes,
            )

    def _path(self, support_digest: str) -> Path:
        return self._folder / f"{support_digest}{_SUFFIX}"

    def _count(self, found: _Found) -> None:
        with self._lock:
            self._found[found] += 1

    def _in_host_memory(self, support_digest: str) -> bytes | None:
        with self._lock:
            return self._host.find(support_digest)

    def _shared_by_others(self, support_digest: str) -> bytes | None:
        return None if self.shared is None else self.shared.find(support_digest)

    def _write(self, support_digest: str, payload: bytes) -> None:
        try:
            write_atomically(self._path(support_digest), hashlib.sha256(payload).digest() + payload, self._folder)
        except OSError as err:
            _log.warning("prototypes of %s stay in memory only: %s", support_digest[:16], err)

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
        except ValueError as err:  # written by other code under the same name, or damaged in memory
            _log.warning("prototypes of %s are made again: %s", support_digest[:16], err)
            _remove(self._path(support_digest))
            return None

    def _hold(self, support_digest: str, encoding: Encoding, payload: bytes) -> None:
        with self._lock:
            self._device.hold(support_digest, encoding, len(payload))
            self._host.hold(support_digest, payload, len(payload))


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
