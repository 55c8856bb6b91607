"""Banks of descriptors: a fixed number of cells that stand for all that a support set shows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lerenet.network.layers import full_precision

SHARE = 0.25
"""Share of a side's cells, most like or least like the other side, that half of its bank is drawn from."""


@dataclass(frozen=True, eq=False)
class CellPool:
    """The cells that B classes may draw a bank from.

    Attributes:
        rows: (R, d) float32 of unit length, all cells of all images.
        index: (B, n) int64, the rows of each class.
        key: (B, n), where each lies along one fixed direction; infinite where it is not to be drawn.
    """

    rows: Tensor
    index: Tensor
    key: Tensor

    @classmethod
    def of_shots(cls, cells: Tensor, direction: Tensor, shots: Tensor, is_member: Tensor) -> CellPool:
        """From cells (M, d, n) of M images: `shots` (B, K) says whose they are, `is_member` (M, n) which count."""
        n = cells.shape[2]
        index = (shots[..., None] * n + torch.arange(n, device=shots.device)).flatten(1)
        with torch.no_grad(), full_precision(cells):  # bfloat16 keys would tie, and ties follow the order of the shots
            key = torch.einsum("mdn,d->mn", cells, direction).masked_fill(~is_member, torch.inf)
        return cls(cells.mT.flatten(0, 1), index, key[shots].flatten(1))

    def joined(self, other: CellPool) -> CellPool:
        """The cells of both, class by class."""
        index = torch.cat([self.index, other.index + len(self.rows)], dim=1)
        return CellPool(torch.cat([self.rows, other.rows]), index, torch.cat([self.key, other.key], dim=1))

    def spread(self, n: int) -> Tensor:
        """Evenly spaced ranks along the direction: (B, n, d); all zero, which resembles nothing, where no cell is.

        So a bank is a sample spread over what the cells look like, the order of the shots does not matter, and K
        copies of one shot give the bank of one.
        """
        exists = self.key.isfinite().any(1)[:, None, None]
        return self.rows[self.index.gather(1, _spread_ranks(self.key, n))] * exists

    def most_like(self, bank: Tensor, share: float = SHARE) -> CellPool:
        """Only the share of the cells that come closest to any descriptor of a bank (B, m, d)."""
        return self._first(-self._likeness(bank), share)

    def least_like(self, bank: Tensor, share: float = SHARE) -> CellPool:
        """Only the share of the cells that stay farthest from all descriptors of a bank (B, m, d)."""
        return self._first(self._likeness(bank), share)

    @torch.no_grad()
    def _likeness(self, bank: Tensor) -> Tensor:
        """Largest cosine of each cell to a bank, (B, n)."""
        with full_precision(bank):
            return (self.rows[self.index] @ bank.mT).amax(2)

    def _first(self, order: Tensor, share: float) -> CellPool:
        """The share of cells that come first in an order (B, n), with all that are level with the last of them."""
        is_member = self.key.isfinite()
        order = order.masked_fill(~is_member, torch.inf)
        last = (share * is_member.sum(1, keepdim=True)).ceil().long().sub(1).clamp_min(0)
        most = order.sort(dim=1).values.gather(1, last)
        return CellPool(self.rows, self.index, self.key.masked_fill(order > most, torch.inf))


@torch.no_grad()
def _spread_ranks(key: Tensor, n: int) -> Tensor:
    """Positions (B, n) of evenly spaced ranks among the finite keys (B, cells), repeated where those are fewer."""
    count = key.isfinite().sum(1, keepdim=True)
    # floor((i + 1/2) count / n) in integers: float32 runs out of digits at some 30,000 cells.
    rank = (2 * torch.arange(n, device=key.device) + 1) * count // (2 * n)
    return key.argsort(dim=1, stable=True).gather(1, rank)
