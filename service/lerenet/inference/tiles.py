"""How a large frame is cut into overlapping tiles, and how much each tile counts where they overlap. Geometry only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE_PX = 768
"""Longest side of a tile, at the working scale."""

OVERLAP_PX = 128
"""Least overlap of neighbouring tiles, at the working scale: what a cell sees of its surroundings, mostly."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A window of a frame, in pixels of the working scale: rows [top, top + height), columns [left, left + width)."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """First row below the tile."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """First column right of the tile."""
        return self.left + self.width


@dataclass(frozen=True, eq=False)
class Axis:
    """Cuts along one side of a frame.

    Attributes:
        starts: First pixel of each window, ascending; windows overlap and the last one ends at the side's end.
        length: Length of every window.
        weights: (n, length) float32 in [0, 1]: linear ramps where windows overlap; they add to 1 at every pixel.
    """

    starts: tuple[int, ...]
    length: int
    weights: NDArray[np.float32]

    @property
    def side(self) -> int:
        """Length of the side."""
        return self.starts[-1] + self.length


@dataclass(frozen=True, eq=False)
class TileGrid:
    """All tiles of a frame, of one size.

    Attributes:
        rows: Cuts along the height.
        columns: Cuts along the width.
    """

    rows: Axis
    columns: Axis

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles, row by row from the top, each row from the left."""
        height, width = self.rows.length, self.columns.length
        return tuple(Tile(top, left, height, width) for top in self.rows.starts for left in self.columns.starts)

    def share(self, index: int) -> float:
        """How much of the frame tile `index` stands for; the shares of all tiles add to 1."""
        row, column = divmod(index, len(self.columns.starts))
        return float(self.rows.weights[row].sum() * self.columns.weights[column].sum()) / (
            self.rows.side * self.columns.side
        )


@lru_cache(maxsize=256)  # a camera's frames are all cut alike
def cut_frame(
    size: tuple[int, int], *, tile_px: int = TILE_PX, overlap_px: int = OVERLAP_PX, multiple: int
) -> TileGrid:
    """Cuts a frame into equal tiles: as few as `tile_px` allows, and no larger than their overlap needs.

    Args:
        size: (H, W) of the frame at the working scale, multiples of `multiple`.
        tile_px: Longest side of a tile; taken down to a multiple of `multiple`.
        overlap_px: Least overlap of neighbours; taken up to a multiple of `multiple`.
        multiple: Tiles start and end on multiples of this (the network's stride).

    Raises:
        ValueError: The tile is too small for its overlap, or the size is no multiple.
    """
    return TileGrid(*(cut_side(side, tile_px=tile_px, overlap_px=overlap_px, multiple=multiple) for side in size))


def cut_side(side: int, *, tile_px: int, overlap_px: int, multiple: int) -> Axis:
    """Cuts one side of a frame; see `cut_frame`."""
    if side <= 0 or side % multiple:
        raise ValueError(f"a side of {side} px is no multiple of {multiple} px: pad it to {pad_up(side, multiple)} px")
    longest, overlap = tile_px // multiple * multiple, pad_up(overlap_px, multiple)
    if side <= longest:
        return Axis((0,), side, np.ones((1, side), np.float32))
    if longest < 2 * overlap:
        raise ValueError(
            f"tiles of {longest} px are too small for an overlap of {overlap} px: use {2 * overlap} px or more"
        )
    n = -(-(side - overlap) // (longest - overlap))
    length = pad_up(-(-(side + (n - 1) * overlap) // n), multiple)
    steps = (side - length) // multiple
    starts = tuple(multiple * (i * steps // (n - 1)) for i in range(n))
    return Axis(starts, length, _ramps(starts, length, side, overlap))


def pad_up(length: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is no less than `length`."""
    return -(-length // multiple) * multiple


def _ramps(starts: tuple[int, ...], length: int, side: int, overlap: int) -> NDArray[np.float32]:
    position = np.arange(length) + 0.5
    ramps = []
    total = np.zeros(side)
    for start in starts:
        rise = position if start > 0 else np.inf
        fall = length - position if start + length < side else np.inf
        ramps.append(np.ones(length) * np.minimum(1.0, np.minimum(rise, fall) / overlap))
        total[start : start + length] += ramps[-1]
    shares = [ramp / total[start : start + length] for start, ramp in zip(starts, ramps, strict=True)]
    return np.stack(shares).astype(np.float32)
