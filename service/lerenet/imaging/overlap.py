"""Counts of agreement between two masks, from which every IoU is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lerenet.imaging.masks import Mask


@dataclass(frozen=True, slots=True)
class OverlapCounts:
    """Pixels by prediction and target. `sum(counts, OverlapCounts())` pools images before an IoU is taken.

    Attributes:
        tp: Defect in both.
        fp: Defect in the prediction only.
        fn: Defect in the target only.
        tn: Background in both.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, other: OverlapCounts) -> OverlapCounts:
        return OverlapCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @property
    def intersection(self) -> int:
        """Pixels of the defect in both masks."""
        return self.tp

    @property
    def union(self) -> int:
        """Pixels of the defect in either mask."""
        return self.tp + self.fp + self.fn

    @property
    def iou(self) -> float:
        """Intersection over union of the defect, 0 to 1; 1 when neither mask marks anything."""
        return _ratio(self.tp, self.union)

    @property
    def background_iou(self) -> float:
        """Intersection over union of the background, 0 to 1; 1 when neither mask leaves any."""
        return _ratio(self.tn, self.tn + self.fp + self.fn)


def overlap(prediction: Mask, target: Mask, ignore: Mask | None = None) -> OverlapCounts:
    """Counts the agreement of a prediction with its target.

    Args:
        prediction: (H, W) uint8 in {0, 1}.
        target: (H, W) uint8 in {0, 1}.
        ignore: (H, W) uint8 in {0, 1}; pixels marked here are left out of every count.

    Raises:
        ValueError: The shapes differ.
    """
    others = (target,) if ignore is None else (target, ignore)
    if any(mask.shape != prediction.shape for mask in others):
        raise ValueError(f"masks of one size are compared, not {[m.shape for m in (prediction, *others)]}")
    predicted, actual = prediction.astype(bool), target.astype(bool)
    if ignore is not None:
        kept = ignore == 0
        predicted, actual = predicted[kept], actual[kept]
    tp = int(np.count_nonzero(predicted & actual))
    fp = int(np.count_nonzero(predicted)) - tp
    fn = int(np.count_nonzero(actual)) - tp
    return OverlapCounts(tp, fp, fn, predicted.size - tp - fp - fn)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
