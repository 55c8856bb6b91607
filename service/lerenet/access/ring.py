"""The keys in force: those of the file, which is looked at again while the service runs."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from lerenet.access.file import read_keys
from lerenet.access.keys import KeyRecord, digest
from lerenet.access.rates import Rates, Standing
from lerenet.errors import ConfigurationError, Unauthorized

LOOK_AGAIN_S = 1.0
LONGEST_KEY = 512

Look = tuple[int, int, int] | None

_log = structlog.get_logger(__name__)


class KeyRing:
    """Keys in force. Belongs to one event loop.

    Args:
        path: Of the key file.
        clock: Monotonic time in seconds.
        now: Time of day.

    Raises:
        ConfigurationError: There is no file yet, or it is damaged.

    Attributes:
        fault: What is wrong with the file as it lies there; None while the keys in force are its own.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = path
        self._clock = clock
        self._now = now
        self._rates = Rates(clock)
        self._look = _look_at(path)
        self._keys = read_keys(path)
        self._looked_at = clock()
        self.fault: str | None = None

    def refresh(self) -> None:
        """Reads the file again if it has changed. A damaged or missing one changes nothing: the last good keys stay."""
        if self._clock() - self._looked_at < LOOK_AGAIN_S:
            return
        self._looked_at = self._clock()
        look = _look_at(self._path)
        if look == self._look:
            return
        self._look = look
        try:
            self._keys = read_keys(self._path)
        except ConfigurationError as error:
            self.fault = error.detail
            _log.error("the last good keys stay in force", reason=error.detail, keys=len(self._keys))
        else:
            self.fault = None
            _log.info("keys were read again", keys=len(self._keys))

    def find(self, secret: str) -> KeyRecord:
        """The key that a secret is. Every key is compared, in constant time, whichever it is.

        Raises:
            Unauthorized: None, or one that is expired or revoked.
        """
        sent, found = digest(secret[:LONGEST_KEY]), None
        for each in self._keys:
            if hmac.compare_digest(each.sha256, sent):
                found = each
        if found is None:
            raise Unauthorized("no such key: check that it was copied whole, or ask the operator for one")
        state = found.state_at(self._now())
        if state != "valid":
            raise Unauthorized(f"the key {found.prefix} is {state}: ask the operator for another")
        return found

    async def count(self, key: KeyRecord) -> Standing | None:
        """Counts a request against the key's rate; None for a key without one."""
        return self._rates.count(key)


def _look_at(path: Path) -> Look:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
