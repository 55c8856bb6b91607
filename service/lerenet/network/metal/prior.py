"""Prior maps: how close each cell of the query comes to anything the support has shown."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import full_precision, on_grid, resized_to
from lerenet.network.metal.names import BACKGROUND, FOREGROUND, background_bank, foreground_bank


def _unit(level: int) -> str:
    return f"unit_{level}"


def unit_cells(features: Features, level: int) -> Tensor:
    """A level's cells at unit length (B, C, h, w) float32; computed here where the features lack the shared term."""
    if _unit(level) in features.shared:
        return features.shared[_unit(level)]
    return F.normalize(features.maps[level].float(), dim=1)


class Prior(nn.Module):
    """Per level three maps: best cosine to a foreground and to a background descriptor, and which of them wins.

    Two more compare the finest level with the pooled prototypes. Cosines stay in float32 whatever the autocast.

    Source: max-cosine prior of PFENet (arXiv 2008.01449); with a background bank as in GFDS (arXiv 2502.01216).

    Args:
        n_levels: Maps of the backbone.
    """

    def __init__(self, n_levels: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.full((n_levels,), 10.0))
        self.n_out = 3 * n_levels + 2

    def shared(self, features: Features) -> dict[str, Tensor]:
        """Each level's cells at unit length, (B, C, h, w) float32, once per image."""
        return {_unit(level): unit_cells(features, level) for level in range(len(features.maps))}

    def forward(self, query: Features, encoding: SupportEncoding) -> Tensor:
        """P queries with P encodings to (P, 3 levels + 2, h, w) float32 on the finest grid."""
        finest = query.maps[0]
        with full_precision(finest):
            priors = [resized_to(self._level(level, query, encoding), finest) for level in range(len(query.maps))]
            return torch.cat([*priors, self._to_prototypes(query, encoding)], dim=1)

    def _level(self, level: int, query: Features, encoding: SupportEncoding) -> Tensor:
        cells = unit_cells(query, level)
        foreground = _best_cosine(encoding.tensors[foreground_bank(level)], cells)
        background = _best_cosine(encoding.tensors[background_bank(level)], cells)
        posterior = torch.sigmoid(self.sharpness[level] * (foreground - background))
        return torch.stack([foreground, background, posterior], dim=1)

    def _to_prototypes(self, query: Features, encoding: SupportEncoding) -> Tensor:
        prototypes = torch.stack([encoding.tensors[FOREGROUND], encoding.tensors[BACKGROUND]], dim=1)
        cells = unit_cells(query, 0)
        cosines = F.normalize(prototypes.float(), dim=2) @ cells.flatten(2)
        return on_grid(cosines, cells)


def _best_cosine(bank: Tensor, cells: Tensor) -> Tensor:
    """Unit descriptors (P, n, C) against unit cells (P, C, h, w): the largest cosine per cell, (P, h, w)."""
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
