"""Results that the device has made and nobody has let go yet: the bound between the device and the encoders."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Outstanding:
    """Weighs results for as long as they live. Safe to use from several threads.

    Room comes back when a result is garbage, whoever held it last: nobody has to remember to give it back, and a
    caller who leaves cannot keep it. The device thread rests while there is no room, so encoders that lag hold it up;
    the reader of an answer cannot, for an answer no longer holds its result.

    Args:
        limit: Weight that may be outstanding, in the results' unit.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.listener: Callable[[], None] = lambda: None
        self._held = 0
        # a finaliser may run at any point of this very thread, also inside of `watch`
        self._lock = threading.RLock()

    @property
    def held(self) -> int:
        """Weight that is outstanding."""
        return self._held

    @property
    def room(self) -> float:
        """Weight that may be added."""
        return self.limit - self._held if self._held else self.limit

    def watch(self, result: object, weight: int) -> None:
        """Counts `result` until it is garbage, and then tells `listener`."""
        with self._lock:
            self._held += weight
        weakref.finalize(result, self._let_go, weight).atexit = False

    def has_room(self, weight: int) -> bool:
        """Whether as much may be added; where nothing is outstanding, anything may."""
        return self._held == 0 or self._held + weight <= self.limit

    def _let_go(self, weight: int) -> None:
        with self._lock:
            self._held -= weight
        self.listener()
