"""The threshold a class starts with, from how well its shots predict each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lerenet.imaging import OverlapCounts, threshold_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_THRESHOLD = 0.5
GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Thresholds to choose from: 0.05, 0.10, ... 0.95."""

INDIFFERENCE = 0.01
"""IoUs this close are taken as equal, and the threshold nearest to the default wins."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What registration says about a class.

    Attributes:
        threshold: Suggested threshold, of `GRID`.
        loo_iou: IoU, 0 to 1, at that threshold when each shot is segmented by the others, pooled over the shots; None
            for a single shot, which nothing can be held against.
    """

    threshold: float = DEFAULT_THRESHOLD
    loo_iou: float | None = None


class ProbabilityTally:
    """Counts of 8-bit probabilities on defect and on background, from which the IoU at any threshold follows."""

    def __init__(self) -> None:
        self._defect = np.zeros(256, np.int64)
        self._background = np.zeros(256, np.int64)

    def add(self, q: NDArray[np.uint8], masks: NDArray[np.uint8]) -> None:
        """Counts maps against their masks.

        Args:
            q: uint8 of any shape, round(255 p).
            masks: uint8 of the same shape: 1 defect, 0 background, anything else not counted.
        """
        self._defect += np.bincount(q[masks == 1], minlength=256)
        self._background += np.bincount(q[masks == 0], minlength=256)

    def counts(self, threshold: float) -> OverlapCounts:
        """Agreement of the masks cut at a threshold with the truth."""
        level = threshold_level(threshold)
        tp, fp = int(self._defect[level:].sum()), int(self._background[level:].sum())
        return OverlapCounts(tp, fp, int(self._defect[:level].sum()), int(self._background[:level].sum()))

    def assess(self) -> Assessment:
        """The threshold of the grid with the best IoU; among near equals the one nearest to the default.

        Of two equally near, the higher is taken: it raises fewer false alarms.
        """
        ious = {threshold: self.counts(threshold).iou for threshold in GRID}
        least = max(ious.values()) - INDIFFERENCE
        good = [threshold for threshold, iou in ious.items() if iou >= least]
        threshold = min(good, key=lambda t: (round(abs(t - DEFAULT_THRESHOLD), 6), -t))
        return Assessment(threshold, ious[threshold])
