"""At which size a class is looked at: one step of a ladder, from the thickness of its defects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lerenet.imaging import Mask

LADDER = (1.0, 1 / 2, 1 / 4, 1 / 8)
"""Working scales, as factors of the original size. Their inverses are whole numbers, so that pixels nest."""

MIN_THICKNESS_PX = 24.0
"""No defect is shrunk below this thickness."""

MIN_SIDE_PX = 192
"""No support image is shrunk below this longest side."""


def choose_scale(masks: Sequence[Mask], ladder: Sequence[float] = LADDER) -> float:
    """Working scale of a class: the smallest of the ladder that keeps its defects and its images large enough.

    The median thickness over the shots decides, so that one odd shot does not; every image must stay large enough.

    Args:
        masks: (H, W) uint8 in {0, 1} each, of any sizes. Masks that mark nothing have no say in the thickness.
        ladder: Scales to choose from, each the inverse of a whole number.

    Returns:
        A scale of the ladder; its largest when none keeps the sizes.
    """
    thicknesses = [thickness_px(mask) for mask in masks if mask.any()]
    if not thicknesses:
        return max(ladder)
    thickness = float(np.median(thicknesses))
    longest = min(max(mask.shape) for mask in masks)
    kept = [s for s in ladder if s * thickness >= MIN_THICKNESS_PX and s * longest >= MIN_SIDE_PX]
    return min(kept, default=max(ladder))


def thickness_px(mask: Mask) -> float:
    """Typical thickness of what a mask marks: twice its area by its perimeter, in pixels.

    A long stroke of width w gives w whatever its course, a disc its radius; many regions give their mean, weighted by
    perimeter. Never more than the shorter side of the box around the marked pixels. The image's border is no perimeter.

    Args:
        mask: (H, W) uint8 in {0, 1}, something marked.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1)
    around = mask[max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2] != 0
    area, perimeter = np.count_nonzero(around), _perimeter_px(around)
    return float(min(*box, 2 * area / perimeter)) if perimeter else float(min(box))


def _perimeter_px(marked: NDArray[np.bool_]) -> float:
    """Length of the boundary, by counting crossings along four directions (Cauchy-Crofton); within 6 % at any angle."""
    straight = np.count_nonzero(marked[1:] != marked[:-1]) + np.count_nonzero(marked[:, 1:] != marked[:, :-1])
    diagonal = np.count_nonzero(marked[1:, 1:] != marked[:-1, :-1])
    diagonal += np.count_nonzero(marked[1:, :-1] != marked[:-1, 1:])
    return math.pi / 8 * (straight + diagonal / math.sqrt(2))
