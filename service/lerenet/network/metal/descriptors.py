"""Local descriptors: what cells are compared by."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.features import Features
from lerenet.network.metal.names import descriptor


class Descriptors(nn.Module):
    """Each level's cells, projected to few channels and brought to unit length: a product of two is their cosine.

    Few channels are what lets a class keep large banks of them, and the query be compared with all.

    Args:
        channels: Of the maps, finest first.
        n_out: d of each level.
    """

    def __init__(self, channels: tuple[int, ...], n_out: tuple[int, ...]) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Conv2d(c, d, 1) for c, d in zip(channels, n_out, strict=True))

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Per level (B, d, h, w) float32 of unit length."""
        projected = (project(level) for project, level in zip(self.project, features.maps, strict=True))
        return {descriptor(level): F.normalize(cells.float(), dim=1) for level, cells in enumerate(projected)}
