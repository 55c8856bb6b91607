"""How fast a run learns, how fast its plates are made, and how much of its time it waits for them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from lerenet.training.episodes import Batch


class Throughput:
    """Counts the images of a run, the seconds that making them took and those spent waiting, from its first batch on.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started: float | None = None
        self._n_images = 0
        self._waited_s = 0.0
        self._made_s = 0.0

    def timed(self, batches: Iterator[Batch]) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and masks of the same batches. The wait for the first, while workers start, is not counted."""
        asked = self._clock()
        for images, masks, made_s in batches:
            if self._started is None:
                self._started = self._clock()
            else:
                self._waited_s += self._clock() - asked
            yield images, masks
            self._n_images += images.shape[0] * images.shape[1]
            self._made_s += made_s
            asked = self._clock()

    def describe(self) -> str:
        """One line: the rate of the run, what steps and plates would do by themselves, and who waits for whom."""
        spent_s = 0.0 if self._started is None else self._clock() - self._started
        if not spent_s:
            return "nothing learned yet"
        learned_s = spent_s - self._waited_s
        return (
            f"{self._n_images / spent_s:.1f} queries a second; steps alone {_rate(self._n_images, learned_s)},"
            f" plates alone {_rate(self._n_images, self._made_s)} per worker;"
            f" {self._waited_s / spent_s:.0%} of the time waiting for plates"
        )


def _rate(n_images: int, seconds: float) -> str:
    return f"{n_images / seconds:.1f}" if seconds else "at once"
