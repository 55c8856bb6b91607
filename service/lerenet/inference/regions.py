"""From a probability map to an answer: the mask, its defect regions and how sure each is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from lerenet.imaging import mask_from_probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lerenet.imaging import Mask

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.int8)


@dataclass(frozen=True, slots=True)
class DefectRegion:
    """An 8-connected region of a mask.

    Attributes:
        bbox: [x, y, w, h] in pixels of the original image.
        area_px: Its pixels.
        score: Mean probability of its pixels, 0 to 1.
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
        score: The highest score of a region; without regions, the highest probability in the image.
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


def read_map(q: NDArray[np.uint8], threshold: float, min_area_px: int = 0) -> SegmentedClass:
    """Everything an answer says about one class in one image.

    Args:
        q: (H, W) uint8, probabilities as round(255 p), original size.
        threshold: Probability from which a pixel is marked, 0 to 1.
        min_area_px: Regions of fewer pixels are taken out of the mask.
    """
    mask, regions = find_regions(q, threshold, min_area_px)
    area_px = sum(region.area_px for region in regions)
    bbox = _box_around([region.bbox for region in regions]) if regions else None
    return SegmentedClass(mask, tuple(regions), class_score(q, regions), area_px, area_px / q.size, bbox)


def find_regions(q: NDArray[np.uint8], threshold: float, min_area_px: int = 0) -> tuple[Mask, list[DefectRegion]]:
    """Mask of a probability map without its small regions, and the regions that stay, largest first.

    Args:
        q: (H, W) uint8, probabilities as round(255 p).
        threshold: Probability from which a pixel is marked, 0 to 1.
        min_area_px: Least area of a region, in pixels.
    """
    mask = mask_from_probability(q, threshold)
    if not mask.any():
        return mask, []
    rows, columns = _extent(mask, axis=1), _extent(mask, axis=0)
    part, q_part = mask[rows, columns], q[rows, columns]  # labelling a whole large frame is slow, and most are empty
    labels, n = ndimage.label(part, structure=EIGHT_NEIGHBOURS)
    marked = part != 0
    owners = labels[marked]
    areas = np.bincount(owners, minlength=n + 1)
    sums = np.bincount(owners, weights=q_part[marked], minlength=n + 1)
    is_kept = areas >= min_area_px
    part[marked] = is_kept[owners]
    regions = [
        DefectRegion(
            _box(slices, rows.start, columns.start), int(areas[label]), float(sums[label] / (255 * areas[label]))
        )
        for label, slices in enumerate(ndimage.find_objects(labels), start=1)
        if is_kept[label]
    ]
    return mask, sorted(regions, key=lambda region: -region.area_px)


def class_score(q: NDArray[np.uint8], regions: Sequence[DefectRegion]) -> float:
    """Confidence, 0 to 1, that the image shows the class: its best region's score, else its highest probability."""
    return max((region.score for region in regions), default=float(q.max()) / 255)


def _extent(mask: Mask, axis: int) -> slice:
    positions = np.flatnonzero(mask.max(axis=axis))
    return slice(int(positions[0]), int(positions[-1]) + 1)


def _box(slices: Sequence[slice], top: int, left: int) -> tuple[int, int, int, int]:
    rows, columns = slices
    return left + columns.start, top + rows.start, columns.stop - columns.start, rows.stop - rows.start


def _box_around(boxes: Sequence[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    left, top = min(x for x, _, _, _ in boxes), min(y for _, y, _, _ in boxes)
    right, bottom = max(x + w for x, _, w, _ in boxes), max(y + h for _, y, _, h in boxes)
    return left, top, right - left, bottom - top
