"""From a probability map to an answer: the mask, its defect regions and how sure each is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from lerenet.imaging import mask_from_probability
from lerenet.inference.confidence import PLAIN, Confidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lerenet.imaging import Mask

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.int8)

_CORNER = (slice(0, 1), slice(0, 1))


@dataclass(frozen=True, slots=True)
class MaskRule:
    """What makes a mask of a probability map: which pixels are marked, and which of their regions stay.

    Attributes:
        threshold: Probability from which a pixel is marked, 0 to 1.
        min_area_px: Regions of fewer pixels, at original size, are taken out of the mask.
        min_score: Regions of a lower score are taken out too, 0 to 1.
        confidence: Scores regions.
        scale: Working scale of the class, at which areas count for the score.
    """

    threshold: float
    min_area_px: int = 0
    min_score: float = 0.0
    confidence: Confidence = PLAIN
    scale: float = 1.0

    def scores(self, means: NDArray[np.float64], areas_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of regions from their mean probabilities and areas at original size."""
        return self.confidence.scores(means, areas_px * self.scale**2)


@dataclass(frozen=True, slots=True)
class DefectRegion:
    """An 8-connected region of a mask.

    Attributes:
        bbox: [x, y, w, h] in pixels of the original image.
        area_px: Its pixels.
        score: Probability that the region is right, 0 to 1.
    """

    bbox: tuple[int, int, int, int]
    area_px: int
    score: float


@dataclass(frozen=True, eq=False)
class SegmentedClass:
    """What one image shows of one class.

    Attributes:
        mask: (H, W) uint8 in {0, 1}, original size.
        regions: Its regions, largest first.
        score: The highest score of a region, also of one that was too unsure or too small to stay; where no pixel
            is marked, the score that the most probable one would have as a region.
        area_px: Marked pixels.
        area_fraction: Their share of the image, 0 to 1.
        bbox: [x, y, w, h] around all of them; None when nothing is marked.
    """

    mask: Mask
    regions: tuple[DefectRegion, ...]
    score: float
    area_px: int
    area_fraction: float
    bbox: tuple[int, int, int, int] | None


@dataclass(frozen=True, eq=False)
class MarkedRegions:
    """Every region of pixels above a threshold, before any is dropped. Arrays have one entry a region.

    Attributes:
        mask: (H, W) uint8 in {0, 1}, all that is marked.
        window: Rows and columns of the image that hold it.
        labels: (h, w) integers of the window: 1 + index of the region, 0 where nothing is marked.
        means: (n,) mean probability, 0 to 1.
        areas_px: (n,) pixels.
    """

    mask: Mask
    window: tuple[slice, slice]
    labels: NDArray[np.integer[Any]]
    means: NDArray[np.float64]
    areas_px: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.areas_px)

    def hits_px(self, truth: Mask) -> NDArray[np.int64]:
        """How many pixels of each region (n,) lie where `truth`, (H, W) uint8, is 1."""
        return _per_region(self.labels[truth[self.window] == 1], len(self))

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """[x, y, w, h] of each region in the image."""
        if len(self) == 1:
            return [_box(self.window, 0, 0)]
        top, left = (side.start for side in self.window)
        return [_box(slices, top, left) for slices in ndimage.find_objects(self.labels)]

    def mask_of(self, is_kept: NDArray[np.bool_]) -> Mask:
        """(H, W) uint8 in {0, 1}, the regions (n,) that are to be kept; shares its memory with `mask` for all."""
        if is_kept.all():
            return self.mask
        mask = np.zeros_like(self.mask)
        mask[self.window] = np.concatenate([[False], is_kept]).take(self.labels)
        return mask


def mark_regions(q: NDArray[np.uint8], threshold: float) -> MarkedRegions:
    """Regions of a probability map.

    Args:
        q: (H, W) uint8, probabilities as round(255 p).
        threshold: Probability from which a pixel is marked, 0 to 1.
    """
    mask = mask_from_probability(q, threshold)
    window = _extent(mask.view(bool))
    if window is None:
        return MarkedRegions(mask, _CORNER, np.zeros((1, 1), np.int32), np.zeros(0), np.zeros(0, np.int64))
    marked = mask[window]  # labelling a whole large frame is slow, and most are empty
    labels, n = ndimage.label(marked, structure=EIGHT_NEIGHBOURS)
    places = np.flatnonzero(marked)
    owners, values = labels.ravel()[places], q[window].ravel()[places]
    areas = _per_region(owners, n)
    sums = np.bincount(owners, weights=values, minlength=n + 1)[1:]
    return MarkedRegions(mask, window, labels, sums / (255 * areas), areas)


def read_map(q: NDArray[np.uint8], rule: MaskRule) -> SegmentedClass:
    """Everything an answer says about one class in one image.

    Args:
        q: (H, W) uint8, probabilities as round(255 p), original size.
        rule: What makes the mask.
    """
    found = mark_regions(q, rule.threshold)
    if not len(found):
        return SegmentedClass(found.mask, (), _score_of_peak(int(q.max()), rule), 0, 0.0, None)
    scores = rule.scores(found.means, found.areas_px.astype(float))
    is_kept = (found.areas_px >= rule.min_area_px) & (scores >= rule.min_score)
    regions = [
        DefectRegion(box, area, score)
        for box, area, score, kept in zip(
            found.boxes(), found.areas_px.tolist(), scores.tolist(), is_kept.tolist(), strict=True
        )
        if kept
    ]
    regions.sort(key=lambda region: -region.area_px)
    return _answer(found.mask_of(is_kept), regions, float(scores.max()))


@lru_cache(maxsize=4096)
def _score_of_peak(peak: int, rule: MaskRule) -> float:
    """Most frames are clean, and have one of 256 peaks."""
    return float(rule.scores(np.array([peak / 255]), np.ones(1))[0])


def _answer(mask: Mask, regions: Sequence[DefectRegion], score: float) -> SegmentedClass:
    area_px = sum(region.area_px for region in regions)
    bbox = _box_around([region.bbox for region in regions]) if regions else None
    return SegmentedClass(mask, tuple(regions), score, area_px, area_px / mask.size, bbox)


def _per_region(owners: NDArray[np.integer[Any]], n: int) -> NDArray[np.int64]:
    return np.bincount(owners, minlength=n + 1)[1:]


def _extent(is_marked: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Rows and columns that hold all that is marked; None where nothing is."""
    rows = np.flatnonzero(is_marked.any(axis=1))
    if not rows.size:
        return None
    height = slice(int(rows[0]), int(rows[-1]) + 1)
    columns = np.flatnonzero(is_marked[height].any(axis=0))
    return height, slice(int(columns[0]), int(columns[-1]) + 1)


def _box(slices: Sequence[slice], top: int, left: int) -> tuple[int, int, int, int]:
    rows, columns = slices
    return left + columns.start, top + rows.start, columns.stop - columns.start, rows.stop - rows.start


def _box_around(boxes: Sequence[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    left, top = min(x for x, _, _, _ in boxes), min(y for _, y, _, _ in boxes)
    right, bottom = max(x + w for x, _, w, _ in boxes), max(y + h for _, y, _, h in boxes)
    return left, top, right - left, bottom - top
