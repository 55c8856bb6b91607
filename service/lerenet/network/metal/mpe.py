"""Multi-Prototype Excitation (MPE) with area-normalised prototypes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import as_map
from lerenet.network.metal.names import BACKGROUND, FINEST, FOREGROUND


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
        weight, bias = self.project.weight, self.project.bias
        to_class, to_contrast, attention = self.responses(query, encoding, weight, weight)
        class_response = (to_class + bias) * torch.sigmoid(attention)
        return as_map(torch.cat([class_response, to_contrast + bias], dim=2), query.maps[FINEST])

    def responses(
        self, query: Features, encoding: SupportEncoding, to_class: Tensor, to_contrast: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Projections (h, C) of the query, scaled by the gated prototypes: (P, n, h) both, and attention (P, n, 1)."""
        foreground, background = encoding.tensors[FOREGROUND], encoding.tensors[BACKGROUND]
        gate = self.gate(torch.cat([foreground, background], dim=1))
        scaled = [
            to_class * (foreground * gate)[:, None],
            to_contrast * ((foreground - background) * gate)[:, None],
            (self.spatial * foreground * gate)[:, None],
        ]
        cells = query.maps[FINEST].flatten(2).mT  # (P, n, C)
        excited = cells @ torch.cat(scaled, dim=1).to(cells.dtype).mT
        of_class, of_contrast, attention = excited.split([len(to_class), len(to_contrast), 1], dim=2)
        return of_class, of_contrast, attention
