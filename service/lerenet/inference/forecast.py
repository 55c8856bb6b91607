"""How long the next batches will take, learned from the last ones."""

from __future__ import annotations

import threading
from collections import deque

WINDOW = 50
"""Batches that are remembered."""

LARGEST_SURPRISE = 4.0
"""A batch counts as at most this many times its forecast: one hiccup of seconds would spoil the fit for long."""


class BatchForecast:
    """A live least-squares line, seconds = slope * weight + offset, over the last batches that succeeded.

    Both coefficients are kept at or above zero: a batch never gets cheaper by growing. Safe to use from any thread.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._samples: deque[tuple[int, float]] = deque(maxlen=window)
        self._line = (0.0, 0.0)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._samples)

    def observe(self, weight: int, seconds: float) -> None:
        """Adds one batch that ran `seconds` for a total job weight of `weight`, and fits again."""
        with self._lock:
            expected_s = self.seconds(weight)
            if expected_s:  # a real change of pace is believed in a few steps
                seconds = min(seconds, LARGEST_SURPRISE * expected_s)
            self._samples.append((weight, seconds))
            self._line = self._fit()

    def seconds(self, weight: int, n_batches: int = 1) -> float | None:
        """Forecast for `n_batches` batches of `weight` in total, in seconds; None before the first sample."""
        if not self._samples:
            return None
        slope, offset = self._line
        return slope * weight + offset * n_batches

    def _fit(self) -> tuple[float, float]:
        n = len(self._samples)
        mean_weight = sum(w for w, _ in self._samples) / n
        mean_seconds = sum(s for _, s in self._samples) / n
        variance = sum((w - mean_weight) ** 2 for w, _ in self._samples)
        covariance = sum((w - mean_weight) * (s - mean_seconds) for w, s in self._samples)
        # One weight only: nothing tells cost per weight from cost per batch, so all of it goes to the weight.
        slope = covariance / variance if variance else mean_seconds / max(mean_weight, 1.0)
        slope = min(max(slope, 0.0), mean_seconds / max(mean_weight, 1.0))
        return slope, mean_seconds - slope * mean_weight
