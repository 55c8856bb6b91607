"""Prior maps: how close each cell of the query comes to anything the support has shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import full_precision, on_grid, resized_to
from lerenet.network.metal.descriptors import Descriptors
from lerenet.network.metal.discriminant import Discriminant
from lerenet.network.metal.names import FINEST, PROTOTYPES, background_bank, descriptor, foreground_bank

_PRODUCTS = 1 << 18
"""Of cells and descriptors at a time on a CPU: 1 MiB, which stays in its cache until the largest are found."""


class Prior(nn.Module):
    """Per level six maps: best cosines to either side and to one half of its bank, which side wins, the discriminant.

    The halves are the defect's that is least like the background, and the background's that is spread over all of it.
    Two more maps compare the finest level with the pooled prototypes. All stays in float32 whatever the autocast.

    Source: max-cosine prior of PFENet (arXiv 2008.01449); with a background bank as in GFDS (arXiv 2502.01216).

    Args:
        channels: Of the backbone's maps, finest first.
        descriptor_channels: d of each level's descriptors.
    """

    def __init__(self, channels: tuple[int, ...], descriptor_channels: tuple[int, ...]) -> None:
        super().__init__()
        self.descriptors = Descriptors(channels, descriptor_channels)
        self.discriminant = Discriminant(descriptor_channels)
        self.sharpness = nn.Parameter(torch.full((len(channels),), 10.0))
        self.n_out = 6 * len(channels) + 2

    def shared(self, features: Features) -> dict[str, Tensor]:
        """Each level's descriptors (B, d, h, w) float32, once per image."""
        return cast(dict[str, Tensor], self.descriptors(features))

    def forward(self, query: Features, encoding: SupportEncoding) -> Tensor:
        """P queries with P encodings to (P, 6 levels + 2, h, w) float32 on the finest grid."""
        finest = query.maps[FINEST]
        with full_precision(finest):
            priors = [resized_to(self._level(level, query, encoding), finest) for level in range(len(query.maps))]
            return torch.cat([*priors, _to_prototypes(query, encoding)], dim=1)

    def _level(self, level: int, query: Features, encoding: SupportEncoding) -> Tensor:
        cells = query.shared[descriptor(level)]
        typical, telling = _best_of_halves(encoding.tensors[foreground_bank(level)], cells)
        spread, likeness = _best_of_halves(encoding.tensors[background_bank(level)], cells)
        foreground, background = torch.maximum(typical, telling), torch.maximum(spread, likeness)
        wins = torch.sigmoid(self.sharpness[level] * (foreground - background))
        responses = self.discriminant(level, cells, encoding)
        return torch.stack([foreground, telling, background, spread, wins, responses], dim=1)


def _best_of_halves(bank: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """A bank (P, 2 m, d) against descriptors (P, d, h, w): the largest cosine per cell to each half, (P, h, w) both."""
    halves: Sequence[Tensor]
    if torch.is_grad_enabled():
        halves = [_learning_cosine(half, cells.flatten(2)) for half in bank.chunk(2, dim=1)]
    else:
        halves = _largest_cosines(bank, cells.flatten(2).mT)
    first, second = (on_grid(half, cells) for half in halves)
    return first, second


def _largest_cosines(bank: Tensor, cells: Tensor) -> Sequence[Tensor]:
    """A bank (P, 2 m, d) against cells (P, n, d): the largest cosine per cell, (P, n) for each half."""
    if cells.is_cuda:
        return _largest_of_halves(cells @ bank.mT).unbind(-1)
    n_cells = max(1, _PRODUCTS // bank.shape[1])
    found = cells.new_empty(len(cells), 2, cells.shape[1])
    for each, own, halves in zip(cells, bank, found, strict=True):
        for some, largest in zip(each.split(n_cells), halves.split(n_cells, dim=1), strict=True):
            largest.copy_(_largest_of_halves(some @ own.mT).mT)
    return found.unbind(1)


def _largest_of_halves(cosines: Tensor) -> Tensor:
    """(..., 2 m) to (..., 2)."""
    largest: Tensor = cosines.unflatten(-1, (2, -1)).amax(-1)
    return largest


def _learning_cosine(bank: Tensor, cells: Tensor) -> Tensor:
    """Half a bank (P, m, d) against cells (P, d, n): the largest cosine per cell, (P, n).

    Only the best descriptor of each cell learns: the full similarity matrix is not kept for the way back.
    """
    with torch.no_grad():
        best = (bank @ cells).argmax(1)
    nearest = bank.gather(1, best[..., None].expand(-1, -1, bank.shape[2]))
    return (nearest * cells.mT).sum(2)


def _to_prototypes(query: Features, encoding: SupportEncoding) -> Tensor:
    cells = query.shared[descriptor(FINEST)]
    return on_grid(encoding.tensors[PROTOTYPES] @ cells.flatten(2), cells)
