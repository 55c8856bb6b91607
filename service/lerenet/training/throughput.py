"""How fast a run learns, and how much of its time it waits for plates."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor


class Throughput:
    """Counts the images of a run and the seconds spent waiting for them, from its first batch on.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started: float | None = None
        self._n_images = 0
        self._waited_s = 0.0

    def timed(self, batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        """The same batches. The wait for the first, while workers start, is not counted."""
        asked = self._clock()
        for images, masks in batches:
            if self._started is None:
                self._started = self._clock()
            else:
                self._waited_s += self._clock() - asked
            yield images, masks
            self._n_images += images.shape[0] * images.shape[1]
            asked = self._clock()

    def describe(self) -> str:
        """One line, such as `17.2 queries a second, 3 % of the time waiting for plates`."""
        spent_s = 0.0 if self._started is None else self._clock() - self._started
        if not spent_s:
            return "nothing learned yet"
        return f"{self._n_images / spent_s:.1f} queries a second, {self._waited_s / spent_s:.0%} waiting for plates"
