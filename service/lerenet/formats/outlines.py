"""Masks to polygons: the outlines of pixels, which `polygons.fill_polygons` turns into the same mask again.

Pixels that touch along an edge make one polygon. A walk along their border, with them at its right, leads once around
the outside and once around each hole. A hole is cut open by a horizontal bridge to the border at its left, walked there
and back, so that one closed line describes it all. Bridges lie within the marked pixels and cross no line of pixel
centres: they change nothing, whichever fill rule a tool follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lerenet.errors import NotAcceptable
from lerenet.imaging import Mask

MAX_CORNERS = 1_000_000
"""Where noise begins: a mask of 2,048 px with ten thousand spots has a twentieth of it."""

_Integers = NDArray[np.int64]
_Booleans = NDArray[np.bool_]


def mask_to_polygons(mask: Mask) -> list[list[int]]:
    """The outlines of a mask.

    Args:
        mask: (H, W) uint8 in {0, 1}.

    Returns:
        x1, y1, x2, y2, ... in pixels each, along pixel edges, clockwise as displayed; those with the highest top first.

    Raises:
        NotAcceptable: It has more than `MAX_CORNERS` corners.
    """
    is_marked = np.pad(mask != 0, 1)
    border = _border(is_marked)
    if border.x.size > MAX_CORNERS:
        detail = (
            f"a mask with {border.x.size} corners is too ragged for polygons, {MAX_CORNERS} at most: ask for another"
            " format, or leave small regions out with min_area_px"
        )
        raise NotAcceptable(detail)
    starts = _starts(border.following.tolist())
    is_hole = ~is_marked[border.y[starts] + 1, border.x[starts] + 1]
    joined = _joined(border, _bridges(border, is_marked, starts[is_hole]))
    return _walked(*joined, starts[~is_hole].tolist())


@dataclass(frozen=True, eq=False)
class _Border:
    """The border of a mask.

    Attributes:
        x: Of its corners, in order of row and column.
        y: Likewise.
        following: The corner after each on the walk.
        tops: The upper corner of each vertical line, in order of column and row.
        begins: The corner from which the walk enters that line; the same as the upper one where it leads down.
    """

    x: _Integers
    y: _Integers
    following: _Integers
    tops: _Integers
    begins: _Integers


class _Bridge(NamedTuple):
    """From a corner of a hole to its foot on the vertical line that the walk enters at the corner `line`."""

    hole: int
    line: int
    foot_x: int


def _border(is_marked: _Booleans) -> _Border:
    """Lines and corners between the pixels of a padded mask, (H + 2, W + 2); pixel (0, 0) has its corner at (0, 0)."""
    y, x, swaps = _corners(is_marked)
    following = np.empty_like(x)
    left, right = np.arange(x.size).reshape(-1, 2).T
    is_upper_edge = is_marked[y[left] + 1, x[left] + 1]
    following[np.where(is_upper_edge, left, right)] = np.where(is_upper_edge, right, left)
    by_column = np.arange(x.size) + swaps
    top, bottom = by_column[np.argsort(x, kind="stable")].reshape(-1, 2).T
    is_right_edge = is_marked[y[top] + 1, x[top]]
    begins = np.where(is_right_edge, top, bottom)
    following[begins] = np.where(is_right_edge, bottom, top)
    return _Border(x, y, following, top, begins)


def _corners(is_marked: _Booleans) -> tuple[_Integers, _Integers, _Integers]:
    """Rows and columns of corners, those where two pixels touch by their tips twice.

    Of such two the first ends the line from the left, the second begins the line to the right. The third array is what
    to add to an index so that, of such two, the first belongs to the line from above: 1 and -1 where they swap.
    """
    top_left, top_right = is_marked[:-1, :-1], is_marked[:-1, 1:]
    bottom_left, bottom_right = is_marked[1:, :-1], is_marked[1:, 1:]
    are_tips = (top_left == bottom_right) & (top_right == bottom_left) & (top_left != top_right)
    is_corner = (top_left ^ top_right ^ bottom_left ^ bottom_right) | are_tips
    y, x = np.nonzero(is_corner)
    n_each = 1 + are_tips[y, x]
    is_swapped = are_tips[y, x] & top_right[y, x]
    offsets = np.repeat(is_swapped.astype(np.int64), n_each)
    seconds = (np.cumsum(n_each) - 1)[is_swapped]
    offsets[seconds] = -1
    return np.repeat(y, n_each), np.repeat(x, n_each), offsets


def _starts(following: list[int]) -> _Integers:
    """The first corner of each walk."""
    is_seen = bytearray(len(following))
    starts = []
    for start in range(len(following)):
        if is_seen[start]:
            continue
        starts.append(start)
        corner = start
        while not is_seen[corner]:
            is_seen[corner] = 1
            corner = following[corner]
    return np.array(starts, np.int64)


def _bridges(border: _Border, is_marked: _Booleans, holes: _Integers) -> list[_Bridge]:
    """One for each hole, from its first corner; in the order in which the walk comes to them on each line."""
    x, y = border.x, border.y
    span = is_marked.shape[0]
    feet = np.array([_foot(is_marked, column, row) for column, row in zip(x[holes], y[holes], strict=True)], np.int64)
    keys = x[border.tops] * span + y[border.tops]
    lines = np.searchsorted(keys, feet * span + y[holes], side="right") - 1
    leads_down = border.begins[lines] == border.tops[lines]
    order = np.argsort(np.where(leads_down, y[holes], -y[holes]), kind="stable")
    found = np.stack([holes, border.begins[lines], feet], axis=1)[order]
    return [_Bridge(*each) for each in found.tolist()]


def _foot(is_marked: _Booleans, x: int, y: int) -> int:
    """How far left from (x, y) pixels are marked above and below."""
    is_within = is_marked[y, : x + 1] & is_marked[y + 1, : x + 1]
    return x - int(np.argmin(is_within[::-1]))


def _joined(border: _Border, bridges: list[_Bridge]) -> tuple[_Integers, _Integers, list[int]]:
    """Coordinates and order of the corners, when the walk turns into a hole at each bridge and then goes on."""
    following = border.following.tolist()
    hole, feet = (np.array([each[place] for each in bridges], np.int64) for place in (0, 2))
    x = np.concatenate([border.x, np.stack([feet, border.x[hole], feet], axis=1).ravel()])
    y = np.concatenate([border.y, np.repeat(border.y[hole], 3)])
    last_on_line: dict[int, int] = {}
    for bridge in bridges:
        before = last_on_line.get(bridge.line, bridge.line)
        foot, entrance, foot_again = range(len(following), len(following) + 3)
        following += [entrance, following[bridge.hole], following[before]]
        following[before], following[bridge.hole] = foot, foot_again
        last_on_line[bridge.line] = foot_again
        last_on_line.setdefault(bridge.hole, entrance)
    return x, y, following


def _walked(x: _Integers, y: _Integers, following: list[int], starts: list[int]) -> list[list[int]]:
    """The coordinates of each walk; a foot that lies on a corner is not named twice."""
    order: list[int] = []
    ends = []
    for start in starts:
        corner = start
        while True:
            order.append(corner)
            corner = following[corner]
            if corner == start:
                break
        ends.append(len(order))
    points = np.stack([x[order], y[order]], axis=1)
    is_new = np.ones(len(points), bool)
    is_new[1:] = (points[1:] != points[:-1]).any(axis=1)
    is_new[ends[:-1]] = True  # the first of each walk
    flat: list[int] = points[is_new].ravel().tolist()
    borders = [0, *(2 * np.cumsum(is_new)[np.array(ends, np.int64) - 1]).tolist()]
    return [flat[begin:end] for begin, end in pairwise(borders)]
