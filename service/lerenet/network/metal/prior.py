"""Prior maps: how close each cell of the query comes to anything the support has shown."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import full_precision, on_grid, resized_to
from lerenet.network.metal.descriptors import Descriptors
from lerenet.network.metal.discriminant import Discriminant
from lerenet.network.metal.names import FINEST, PROTOTYPES, background_bank, descriptor, foreground_bank


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
    first, second = bank.chunk(2, dim=1)
    return _best_cosine(first, cells), _best_cosine(second, cells)


def _to_prototypes(query: Features, encoding: SupportEncoding) -> Tensor:
    cells = query.shared[descriptor(FINEST)]
    return on_grid(encoding.tensors[PROTOTYPES] @ cells.flatten(2), cells)


def _best_cosine(bank: Tensor, cells: Tensor) -> Tensor:
    """A bank (P, n, d) against descriptors (P, d, h, w): the largest cosine per cell, (P, h, w)."""
    flat = cells.flatten(2)
    if torch.is_grad_enabled():
        # Only the best descriptor of each cell learns: the full similarity matrix is not kept for the way back.
        with torch.no_grad():
            best = (bank @ flat).argmax(1)
        nearest = bank.gather(1, best[..., None].expand(-1, -1, bank.shape[2]))
        cosine = (nearest * flat.mT).sum(2)
    else:
        cosine = (bank @ flat).amax(1)
    return on_grid(cosine, cells)
