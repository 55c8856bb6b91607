"""Multi-Prototype Excitation (MPE) with area-normalised prototypes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import as_map
from lerenet.network.metal.names import BACKGROUND, FOREGROUND


class MPE(nn.Module):
    """Excites the query where it agrees with the class: channels by a gate of both prototypes, then positions.

    Two responses come out: to the foreground prototype, and to what sets it apart from the background. Both are
    linear in the query, so the gated prototypes scale the projection's weights and no product map is ever made.

    Source: LERENet's MPE (arXiv 2403.11122), channel then spatial excitation. We differ: prototypes are divided by
        area, the gate sees the background, and positions are excited after the projection.

    Args:
        n_channels: C of the finest map.
        n_out: h, channels of each of the two responses.
    """

    def __init__(self, n_channels: int, n_out: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(2 * n_channels, n_channels // 2),
            nn.ReLU(inplace=True),
            nn.Linear(n_channels // 2, n_channels),
            nn.Sigmoid(),
        )
        self.spatial = nn.Parameter(torch.zeros(n_channels))
        self.project = nn.Linear(n_channels, n_out)

    def forward(self, query: Features, encoding: SupportEncoding) -> Tensor:
        """P queries with P encodings to (P, 2 h, h', w')."""
        foreground, background = encoding.tensors[FOREGROUND], encoding.tensors[BACKGROUND]
        gate = self.gate(torch.cat([foreground, background], dim=1))
        finest = query.maps[0]
        cells = finest.flatten(2).mT  # (P, n, C)
        to_class = self._weights(foreground * gate)
        to_contrast = self._weights((foreground - background) * gate)
        attention = (self.spatial * foreground * gate)[:, None]
        weights = torch.cat([to_class, to_contrast, attention], dim=1).to(cells.dtype)
        excited = cells @ weights.mT  # (P, n, 2 h + 1)
        h = to_class.shape[1]
        class_response = (excited[..., :h] + self.project.bias) * torch.sigmoid(excited[..., -1:])
        return as_map(torch.cat([class_response, excited[..., h : 2 * h] + self.project.bias], dim=2), finest)

    def _weights(self, scale: Tensor) -> Tensor:
        """The projection (h, C) with its inputs scaled by (P, C): (P, h, C)."""
        return self.project.weight * scale[:, None]
