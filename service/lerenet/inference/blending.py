"""Probability maps of original size, put together from the logits of tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from lerenet.inference.geometry import enlarge, to_probability

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from lerenet.inference.tiles import TileGrid


class BlendedMap:
    """One class's map of one frame, growing from the top as tiles arrive, row by row.

    Where tiles overlap their logits mix in linear ramps. Only rows that later tiles still change are held as float32: a
    frame of any height costs one row of tiles, and the 8-bit map itself.

    Attributes:
        q: (H, W) uint8, round(255 p); complete when every tile has been added.
        grid: The frame's tiles at the working scale.
        ratio: Original pixels per working pixel.
    """

    def __init__(self, grid: TileGrid, size: tuple[int, int], ratio: int) -> None:
        self.grid = grid
        self.ratio = ratio
        self.q: NDArray[np.uint8] = np.zeros(size, np.uint8)
        self._expected = 0
        self._band = torch.empty(0, grid.columns.side)
        self._top = 0  # first row of the band, in working pixels
        self._done = 0  # rows above have been written to `q`, in working pixels

    @property
    def is_single(self) -> bool:
        """Whether one tile holds the whole frame."""
        return len(self.grid.tiles) == 1

    def write(self, q: NDArray[np.uint8]) -> None:
        """Takes the map of a frame of one tile: (at least H, at least W) uint8 in original pixels."""
        height, width = self.q.shape
        self.q[:] = q[:height, :width]

    def add(self, index: int, logits: Tensor) -> None:
        """Adds tile `index` of the grid; tiles come in the grid's order.

        Args:
            index: Position of the tile in `grid.tiles`.
            logits: (tile.height, tile.width) float32 foreground logits.
        """
        if index != self._expected:
            raise ValueError(f"tiles come in order: tile {self._expected} is next, not {index}")
        self._expected += 1
        row, column = divmod(index, len(self.grid.columns.starts))
        tile = self.grid.tiles[index]
        if column == 0:
            self._band = F.pad(self._band.to(logits.device), (0, 0, 0, tile.bottom - self._top - len(self._band)))
        weights_y = torch.from_numpy(self.grid.rows.weights[row]).to(logits.device)
        weights_x = torch.from_numpy(self.grid.columns.weights[column]).to(logits.device)
        part = self._band[tile.top - self._top : tile.bottom - self._top, tile.left : tile.right]
        part += logits * weights_y[:, None] * weights_x
        if tile.right == self.grid.columns.side:
            self._write_rows(
                self.grid.rows.side if tile.bottom == self.grid.rows.side else self.grid.rows.starts[row + 1]
            )

    def _write_rows(self, final: int) -> None:
        """Writes what rows above `final` determine, and lets go of what nothing needs any more."""
        is_last = final == self.grid.rows.side
        halo = 0 if self.ratio == 1 else 1  # interpolation looks one row beyond
        stop = final if is_last else final - halo
        first = max(self._done - halo, 0)
        strip = enlarge(self._band[None, first - self._top : min(stop + halo, final) - self._top], self.ratio)[0]
        rows = self.q[self._done * self.ratio : stop * self.ratio]
        skipped = (self._done - first) * self.ratio
        rows[:] = to_probability(strip[skipped : skipped + len(rows), : self.q.shape[1]])
        self._done = stop
        self._band = self._band[max(stop - halo, 0) - self._top :].clone()
        self._top = max(stop - halo, 0)
