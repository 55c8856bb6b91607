"""How long the next batches will take, learned from the last ones."""

from __future__ import annotations

from collections import deque

WINDOW = 50
"""Batches that are remembered."""


class BatchForecast:
    """A live least-squares line, seconds = slope * weight + offset, over the last batches that succeeded.

    Both coefficients are kept at or above zero: a batch never gets cheaper by growing. Not thread-safe.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._samples: deque[tuple[int, float]] = deque(maxlen=window)
        self._slope = 0.0
        self._offset = 0.0

    def __len__(self) -> int:
        return len(self._samples)

    def observe(self, weight: int, seconds: float) -> None:
        """Adds one batch that ran `seconds` for a total job weight of `weight`, and fits again."""
        self._samples.append((weight, seconds))
        n = len(self._samples)
        mean_weight = sum(w for w, _ in self._samples) / n
        mean_seconds = sum(s for _, s in self._samples) / n
        variance = sum((w - mean_weight) ** 2 for w, _ in self._samples)
        covariance = sum((w - mean_weight) * (s - mean_seconds) for w, s in self._samples)
        # One weight only: nothing tells cost per weight from cost per batch, so all of it goes to the weight.
        slope = covariance / variance if variance else mean_seconds / max(mean_weight, 1.0)
        self._slope = min(max(slope, 0.0), mean_seconds / max(mean_weight, 1.0))
        self._offset = mean_seconds - self._slope * mean_weight

    def seconds(self, weight: int, n_batches: int = 1) -> float | None:
        """Forecast for `n_batches` batches of `weight` in total, in seconds; None before the first sample."""
        if not self._samples:
            return None
        return self._slope * weight + self._offset * n_batches
