"""Which classes are asked for: Zipf's law, and what share of requests a least-recently-used memory then answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def shares(n_classes: int, exponent: float) -> NDArray[np.float64]:
    """Share of the requests of each class (C,), the most popular first; sums to 1."""
    weights = np.arange(1, n_classes + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum())


def hit_share(popularity: NDArray[np.float64], n_held: int) -> float:
    """Share of requests whose class is in a memory of `n_held` classes that drops the least recently used.

    Source: Che's approximation (Che, Tung, Wang 2002): a class is there if it was asked for within a time that is the
    same for all, at which the expected number of classes there is `n_held`.
    """
    if n_held >= len(popularity):
        return 1.0
    low, high = 0.0, n_held / popularity[-1]
    for _ in range(100):
        middle = (low + high) / 2
        if -np.expm1(-popularity * middle).sum() < n_held:
            low = middle
        else:
            high = middle
    return float(popularity @ -np.expm1(-popularity * low))


def n_for_share(popularity: NDArray[np.float64], share: float) -> int:
    """Least number of classes that memory must hold for a share of the requests, below 1, to find theirs there."""
    low, high = 1, len(popularity)
    while low < high:
        middle = (low + high) // 2
        if hit_share(popularity, middle) < share:
            low = middle + 1
        else:
            high = middle
    return low
