"""Polygons to masks: a pixel is marked when its centre lies inside, by the even-odd rule.

Pillow draws polygons too, but it adds the outline and rounds corners to whole pixels, which doubles a hair scratch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lerenet.imaging import Mask

MAX_POLYGONS = 1_000
MAX_CORNER_PX = 1e6

MAX_COVERINGS = 32
"""How often the boxes around the polygons of one image, and their edges, may cover it all in all."""

MAX_CROSSINGS = 2_000_000
"""Of edges with rows of pixels, in all polygons of an image: each takes about 150 bytes while it is filled."""

Points = NDArray[np.float64]


def fill_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> Mask:
    """Fills closed polygons; their union is marked.

    Args:
        polygons: x1, y1, x2, y2, ... in pixels each; the first pixel spans 0 to 1, its centre is at 0.5.
        height: Of the mask, in pixels.
        width: Of the mask, in pixels.

    Returns:
        (H, W) uint8 in {0, 1}; what lies outside of it is cut off.

    Raises:
        ValueError: They are so many or so tangled that filling them would take very long.
    """
    shapes = [np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in polygons]
    if sum(_work(points, height, width) for points in shapes) > MAX_COVERINGS * (height * width + 10_000):
        raise ValueError("the polygons are too many or too tangled for their image: simplify them, or send a mask")
    if sum(int(_rows(points, height)[1].sum()) for points in shapes) > MAX_CROSSINGS:
        raise ValueError(f"the polygons cross rows of pixels more than {MAX_CROSSINGS} times: simplify, or send a mask")
    mask = np.zeros((height, width), np.uint8)
    for points in shapes:
        _fill(mask, points)
    return mask


def is_corner(number: Any) -> bool:
    """Whether a value is a coordinate that can be worked with, which NaN is not."""
    return type(number) in (int, float) and abs(number) < MAX_CORNER_PX


def checked_polygons(polygons: Any) -> list[list[float]]:
    """Polygons that somebody sent as JSON: `[[x1, y1, x2, y2, x3, y3, ...], ...]`.

    Raises:
        ValueError: They are of another form, or more than `MAX_POLYGONS`.
    """
    if not isinstance(polygons, list) or len(polygons) > MAX_POLYGONS or not all(map(_is_polygon, polygons)):
        raise ValueError(
            f"a polygon is a list of 3 or more points as x1, y1, x2, y2, ...; there are {MAX_POLYGONS} at most"
        )
    return polygons


def _is_polygon(polygon: Any) -> bool:
    return isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0 and all(map(is_corner, polygon))


def _fill(mask: Mask, points: Points) -> None:
    height, width = mask.shape
    rows, columns = _crossings(points, height)
    if not rows.size:
        return
    columns = np.clip(columns, 0, width)
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max()
    # one column more holds the crossings right of the last pixel
    toggles = np.zeros((bottom - top, right - left + 1), np.uint8)
    np.bitwise_xor.at(toggles, (rows - top, columns - left), 1)
    mask[top:bottom, left:right] |= np.bitwise_xor.accumulate(toggles, axis=1)[:, :-1]


def _crossings(points: Points, height: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where edges cross the centre lines of pixel rows: the row, and the first column whose centre lies right of it."""
    following = np.roll(points, -1, axis=0)
    first, n_rows = _rows(points, height)
    edge = np.repeat(np.arange(len(points)), n_rows)
    rows = np.arange(edge.size) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows) + first[edge]
    begin, end = points[edge], following[edge]
    slope = (end[:, 0] - begin[:, 0]) / (end[:, 1] - begin[:, 1])
    x = begin[:, 0] + (rows + 0.5 - begin[:, 1]) * slope
    return rows, np.ceil(x - 0.5).astype(np.int64)


def _rows(points: Points, height: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each edge, the first row whose centre line it crosses, and how many it crosses."""
    y, following = points[:, 1], np.roll(points[:, 1], -1)
    first, end = (np.clip(np.ceil(side(y, following) - 0.5), 0, height) for side in (np.minimum, np.maximum))
    return first.astype(np.int64), (end - first).astype(np.int64)


def _work(points: Points, height: int, width: int) -> int:
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    box = (np.clip(right, 0, width) - np.clip(left, 0, width)) * (np.clip(bottom, 0, height) - np.clip(top, 0, height))
    return int(box) + int(_rows(points, height)[1].sum()) + len(points)
